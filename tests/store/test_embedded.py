"""The embedded server: survives kills of any process, is shared, stops with its last user, and lets nobody else in."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from arbiter.errors import ConfigurationError
from arbiter.settings import Settings
from arbiter.store import migrate
from arbiter.store.database import DATABASE, conninfo, keep_running, prepare_database
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres, _command_line, kill_postmaster
from arbiter.store.postgres_programs import find_programs

# These test durability, so fsync stays on; only the time to make the folder is saved.
SMALL = {"shared_buffers": "16MB"}


@pytest.fixture(scope="module")
def made(short_folder: Path) -> Path:
    """A data folder with a server that was made and stopped, to be copied."""
    server = EmbeddedPostgres(short_folder / "made", SMALL)
    server.start()
    with connected(server) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    server.stop()
    return short_folder / "made"


@pytest.fixture
def data(made: Path, short_folder: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    folder = short_folder / f"e{abs(hash(request.node.nodeid)) % 10**8}"
    # Owners and modes too: the server refuses a folder that is not its own.
    subprocess.run(["cp", "-a", str(made), str(folder)], check=True)
    yield folder
    leftover = EmbeddedPostgres(folder, SMALL)
    if leftover.answers():
        leftover.start()
        leftover.stop()
    shutil.rmtree(folder)


@pytest.fixture
def server(data: Path) -> Iterator[EmbeddedPostgres]:
    opened = EmbeddedPostgres(data, SMALL)
    opened.start()
    yield opened
    opened.stop()


def connected(server: EmbeddedPostgres) -> psycopg.Connection:
    return psycopg.connect(conninfo(server.superuser_url), autocommit=True)


def add(server: EmbeddedPostgres, number: int) -> None:
    with connected(server) as connection:
        connection.execute("INSERT INTO kept VALUES (%s)", [number])


def kept(server: EmbeddedPostgres) -> list[int]:
    with connected(server) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM kept ORDER BY id")]


def run_until_killed(data: Path) -> subprocess.Popen[str]:
    """Another process that uses the server and waits."""
    code = (
        "import sys, time; from pathlib import Path; from arbiter.store.embedded import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1])); server.start(); print('ready', flush=True)\n"
        "sys.stdin.readline(); server.stop()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str], *, kill: bool = False) -> None:
    if kill:
        process.kill()
    process.communicate("\n", timeout=30)


def test_starting_again_does_nothing(server: EmbeddedPostgres) -> None:
    before = server.postmaster_pid()
    server.start()
    again = EmbeddedPostgres(server.folder.parent)
    again.start()
    assert server.postmaster_pid() == before
    # Or the server would go on running while its folder is removed.
    again.stop()


def test_data_outlives_a_stop(data: Path) -> None:
    server = EmbeddedPostgres(data, SMALL)
    server.start()
    add(server, 1)
    server.stop()
    assert server.postmaster_pid() is None
    server.stop()
    server.start()
    assert kept(server) == [1]
    server.stop()


def test_data_outlives_a_kill_of_the_postmaster(server: EmbeddedPostgres) -> None:
    for round_number in range(3):
        add(server, round_number)
        kill_postmaster(server)
        server.start()
        assert kept(server) == list(range(round_number + 1))


def test_a_kill_with_a_busy_backend_is_waited_for(server: EmbeddedPostgres) -> None:
    """The orphaned backend still holds the shared memory; a second server beside it would destroy the data."""
    add(server, 1)
    with ThreadPoolExecutor(1) as pool, connected(server) as busy:
        backend = busy.info.backend_pid
        running = pool.submit(busy.execute, "SELECT sum(i) FROM generate_series(1, 8000000) AS i")
        time.sleep(0.2)
        kill_postmaster(server)
        assert not running.done()
        server.start()
        # Ended, though perhaps not yet reaped.
        assert _command_line(backend) == b""
    assert kept(server) == [1]


def test_a_pid_file_that_names_a_stranger_does_not_stop_the_start(data: Path) -> None:
    """After a crash in a container the same small process ids come again, and belong to something else."""
    server = EmbeddedPostgres(data, SMALL)
    server.start()
    add(server, 1)
    lines = (server.folder / "postmaster.pid").read_text().splitlines()
    kill_postmaster(server)
    stranger = subprocess.Popen(["sleep", "60"], user=(server.folder.stat().st_uid))
    try:
        for path in (server.folder / "postmaster.pid", server.folder / ".s.PGSQL.5432.lock"):
            path.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert server.postmaster_pid() is None
        server.start()
        assert kept(server) == [1]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        server.stop()


@pytest.mark.parametrize("content", ["", "\n", "garbage\n", "0\n", "-1\n"])
def test_a_damaged_pid_file_does_not_stop_the_start(data: Path, content: str) -> None:
    server = EmbeddedPostgres(data, SMALL)
    path = server.folder / "postmaster.pid"
    path.write_text(content)
    server.start()
    assert kept(server) == []
    server.stop()


def test_a_half_made_folder_is_made_anew(short_folder: Path) -> None:
    data = short_folder / "half"
    (data / "postgres.partial" / "base").mkdir(parents=True)
    (data / "postgres.partial" / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(data, {**SMALL, "fsync": "off"})
    server.start()
    assert server.answers()
    assert not (data / "postgres.partial").exists()
    server.stop()


def test_the_server_stays_while_another_process_uses_it(server: EmbeddedPostgres) -> None:
    other = run_until_killed(server.folder.parent)
    pid = server.postmaster_pid()
    server.stop()
    assert server.postmaster_pid() == pid
    end(other)
    assert server.postmaster_pid() is None


def test_a_killed_process_does_not_count_as_a_user(server: EmbeddedPostgres) -> None:
    other = run_until_killed(server.folder.parent)
    end(other, kill=True)
    assert server.answers()
    server.stop()
    assert server.postmaster_pid() is None


def test_a_server_left_by_a_killed_process_is_found(data: Path) -> None:
    end(run_until_killed(data), kill=True)
    server = EmbeddedPostgres(data, SMALL)
    left = server.postmaster_pid()
    assert left is not None
    server.start()
    assert server.postmaster_pid() == left
    server.stop()
    assert server.postmaster_pid() is None


def test_a_server_outlives_ctrl_c_in_the_terminal(data: Path) -> None:
    """The postmaster is no member of our process group, so the terminal's signal is for us alone to handle."""
    server = EmbeddedPostgres(data, SMALL)
    server.start()
    pid = server.postmaster_pid()
    assert pid is not None
    assert os.getpgid(pid) != os.getpgid(0)
    server.stop()


def test_processes_that_start_at_once_share_one_server(data: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        others = list(pool.map(run_until_killed, [data] * 3))
    assert EmbeddedPostgres(data, SMALL).answers()
    for other in others:
        end(other)
    assert EmbeddedPostgres(data, SMALL).postmaster_pid() is None


def test_nobody_else_may_reach_the_socket_or_the_files(server: EmbeddedPostgres) -> None:
    """Local connections are trusted, so the folder's mode is the access control."""
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    with connected(server) as connection:
        shown = {
            name: row[0]
            for name in (
                "listen_addresses",
                "fsync",
                "full_page_writes",
                "synchronous_commit",
                "data_checksums",
            )
            for row in connection.execute(f"SHOW {name}".encode())
        }
    assert shown == {
        "listen_addresses": "",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as somebody else")
def test_another_user_of_the_machine_cannot_connect(server: EmbeddedPostgres) -> None:
    stranger = subprocess.run(
        [find_programs() / "psql", conninfo(server.superuser_url)],
        user=65534,
        group=65534,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert stranger.returncode != 0
    assert "Permission denied" in stranger.stderr


_AS_ORDINARY_USER = """
import os, pathlib, sys
import psycopg
from arbiter.store.embedded import EmbeddedPostgres
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
server = EmbeddedPostgres(pathlib.Path(sys.argv[1]), {"fsync": "off"})
server.start()
os.kill(server.postmaster_pid(), 9)
server.start()
assert server.folder.stat().st_uid == os.geteuid()
server.stop()
assert server.postmaster_pid() is None
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="elsewhere every test here runs as an ordinary user")
def test_an_ordinary_user_runs_a_server_of_its_own(short_folder: Path) -> None:
    user = pwd.getpwnam("nobody").pw_uid
    short_folder.chmod(0o711)
    data = short_folder / "ordinary"
    data.mkdir(mode=0o700)
    os.chown(data, user, user)
    ran = subprocess.run(
        [sys.executable, "-c", _AS_ORDINARY_USER, str(data), str(user)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


ROOT_ALONE = pytest.mark.skipif(os.geteuid() != 0, reason="only root opens a way for another user")


def started_under(made: Path, above: Path, mode: int) -> Path:
    """Start and stop a server on a data folder of that mode under `above`; return the data folder."""
    data = above / "data"
    subprocess.run(["cp", "-a", str(made), str(data)], check=True)
    os.chown(data, 0, 0)
    data.chmod(mode)
    server = EmbeddedPostgres(data, SMALL)
    server.start()
    try:
        assert kept(server) == []
    finally:
        server.stop()
    return data


def standing(folder: Path) -> tuple[str, str]:
    status = folder.stat()
    return oct(stat.S_IMODE(status.st_mode)), grp.getgrgid(status.st_gid).gr_name


@ROOT_ALONE
@pytest.mark.parametrize("before", [0o700, 0o701, 0o711, 0o705], ids=oct)
def test_the_databases_user_and_nobody_else_may_pass_through_the_data_folder(
    made: Path, short_folder: Path, before: int
) -> None:
    above = short_folder / f"closed-{before:o}"
    above.mkdir(mode=0o700)
    data = started_under(made, above, before)
    if before == 0o711:
        # Its group has a right that would be taken from it: left alone, and told by `arbiter doctor`.
        assert standing(data) == ("0o711", "root")
    else:
        assert standing(data) == ("0o710", "pgserver")
        # Nothing is changed by another start.
        server = EmbeddedPostgres(data, SMALL)
        server.start()
        server.stop()
        assert standing(data) == ("0o710", "pgserver")
    assert standing(above) == ("0o710", "pgserver")


@ROOT_ALONE
def test_a_stranger_gets_to_nothing_in_the_data_folder(made: Path, short_folder: Path) -> None:
    above = short_folder / "way"
    above.mkdir(mode=0o755)
    data = started_under(made, above, 0o701)
    (data / "arbiter.log").write_text("careless")
    (data / "arbiter.log").chmod(0o644)
    short_folder.chmod(0o711)
    for path in (data, data / "arbiter.log", data / "postgres", data / "postgres" / "arbiter.conf"):
        read = subprocess.run(
            ["cat" if path.suffix else "ls", str(path)],
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert read.returncode != 0, path
        assert "Permission denied" in read.stderr
    assert standing(above) == ("0o755", "root"), "what everybody may pass already stays as it is"


@ROOT_ALONE
def test_a_folder_whose_group_has_rights_keeps_them(made: Path, short_folder: Path) -> None:
    shared = short_folder / "shared"
    shared.mkdir(mode=0o750)
    os.chown(shared, 0, grp.getgrnam("daemon").gr_gid)
    started_under(made, shared, 0o700)
    assert standing(shared) == ("0o751", "daemon")


@ROOT_ALONE
def test_a_folder_of_the_databases_own_group_is_opened_to_that(made: Path, short_folder: Path) -> None:
    odd = short_folder / "odd"
    odd.mkdir(mode=0o700)
    # With others' right and without its group's, its own group's user could not pass.
    os.chown(odd, 0, grp.getgrnam("pgserver").gr_gid)
    odd.chmod(0o701)
    started_under(made, odd, 0o700)
    assert standing(odd) == ("0o711", "pgserver")


def test_no_file_of_the_server_is_open_to_others(server: EmbeddedPostgres) -> None:
    opened = {
        str(path): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in (server.folder, *server.folder.rglob("*"))
        # The server's own marks in the folder of its socket: what may be connected to is the folder's to say.
        if not path.name.startswith(".s.PGSQL") and stat.S_IMODE(path.lstat().st_mode) & 0o077
    }
    assert opened == {}


def test_a_data_folder_too_deep_for_a_socket_works(made: Path, short_folder: Path) -> None:
    deep = short_folder / ("deep" + "x" * 60) / ("er" + "y" * 60)
    deep.parent.mkdir(mode=0o755)
    subprocess.run(["cp", "-a", str(made), str(deep)], check=True)
    server = EmbeddedPostgres(deep, SMALL)
    assert server.socket_folder != server.folder
    server.start()
    try:
        assert kept(server) == []
        assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
    finally:
        server.stop()
        shutil.rmtree(server.socket_folder)


def test_a_socket_folder_that_somebody_else_made_first_is_refused(made: Path, short_folder: Path) -> None:
    deep = short_folder / ("trap" + "x" * 60) / ("er" + "y" * 60)
    deep.parent.mkdir(mode=0o755)
    subprocess.run(["cp", "-a", str(made), str(deep)], check=True)
    server = EmbeddedPostgres(deep, SMALL)
    server.socket_folder.mkdir(mode=0o777)
    server.socket_folder.chmod(0o777)
    try:
        with pytest.raises(ConfigurationError, match="not a private folder"):
            server.start()
    finally:
        server.stop()
        server.socket_folder.rmdir()


def test_a_server_that_cannot_start_says_why(data: Path) -> None:
    server = EmbeddedPostgres(data, {**SMALL, "no_such_setting": "1"})
    with pytest.raises(ConfigurationError, match="no_such_setting"):
        server.start()
    server.stop()


def test_settings_of_the_environment_do_not_lead_astray(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, wrong in {
        "PGDATA": "/nowhere",
        "PGPORT": "1",
        "PGHOST": "/nowhere",
        "PGUSER": "nobody",
    }.items():
        monkeypatch.setenv(name, wrong)
    server = EmbeddedPostgres(data, SMALL)
    server.start()
    assert kept(server) == []
    server.stop()


# --- the database on it ------------------------------------------------------------------------------------------


async def test_a_prepared_database_is_migrated_and_found_again(data: Path) -> None:
    first = await prepare_database(Settings(data=data))
    second = await prepare_database(Settings(data=data))
    assert first.app_url == second.app_url
    assert first.owner_url is not None
    assert migrate.drift(first.owner_url) == []
    with psycopg.connect(first.conninfo) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == (
            "arbiter_app",
            DATABASE,
        )
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("30s",)
    second.close()
    assert first.embedded is not None
    assert first.embedded.answers()
    first.close()
    assert first.embedded.postmaster_pid() is None


async def test_two_that_prepare_at_once_do_not_clash(data: Path) -> None:
    prepared = await asyncio.gather(*(prepare_database(Settings(data=data)) for _ in range(2)))
    for database in prepared:
        assert database.owner_url is not None
        assert migrate.drift(database.owner_url) == []
    for database in prepared:
        database.close()


async def test_a_server_that_died_under_us_comes_back(data: Path) -> None:
    database = await prepare_database(Settings(data=data))
    assert database.embedded is not None
    before = database.embedded.postmaster_pid()
    watching = asyncio.create_task(keep_running(database, every_seconds=0.05))
    kill_postmaster(database.embedded)
    for _ in range(200):
        await asyncio.sleep(0.05)
        if database.embedded.postmaster_pid() not in {None, before} and database.embedded.answers():
            break
    assert database.embedded.answers()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    database.close()


# --- roles on a bare server ----------------------------------------------------------------------------------------


def test_migrating_makes_the_applications_role_when_it_may(server: EmbeddedPostgres) -> None:
    with connected(server) as connection:
        connection.execute("CREATE DATABASE bare")
    migrate.upgrade(server.url(SUPERUSER, "bare"))
    with connected(server) as connection:
        row = connection.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'arbiter_app'").fetchone()
    assert row == (False,)


def test_migrating_says_which_role_is_missing_when_it_may_not_make_it(server: EmbeddedPostgres) -> None:
    with connected(server) as connection:
        connection.execute("CREATE ROLE plain LOGIN")
        connection.execute("CREATE DATABASE bare OWNER plain")
    with pytest.raises(ConfigurationError, match="the role arbiter_app is missing"):
        migrate.upgrade(server.url("plain", "bare"))
    assert migrate.current(server.url("plain", "bare")) is None


def test_a_signal_to_another_pid_is_never_sent(data: Path) -> None:
    """`kill_postmaster` on a stopped server must not hit whoever has the number now."""
    server = EmbeddedPostgres(data, SMALL)
    stranger = subprocess.Popen(["sleep", "60"])
    (server.folder / "postmaster.pid").write_text(f"{stranger.pid}\n")
    kill_postmaster(server)
    assert stranger.poll() is None
    stranger.send_signal(signal.SIGTERM)
    stranger.wait()
