"""The embedded server lets nobody else in: not to its socket, its files or the data folder on the way to them."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from arbiter.errors import ConfigurationError
from arbiter.store.database import conninfo
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.postgres_programs import find_programs
from tests.store.embedded.servers import SMALL, connected, kept


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


def run_as_nobody(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command as another user of the machine."""
    return subprocess.run(
        command, user=65534, group=65534, extra_groups=[], capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as somebody else")
def test_another_user_of_the_machine_cannot_connect(server: EmbeddedPostgres) -> None:
    stranger = run_as_nobody(find_programs() / "psql", conninfo(server.superuser_url))
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
        read = run_as_nobody("cat" if path.suffix else "ls", path)
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
