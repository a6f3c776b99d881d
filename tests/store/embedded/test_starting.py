"""The embedded server starts with its data whole on what a stop, a kill or a stranger left, or says why it cannot."""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from arbiter.errors import ConfigurationError
from arbiter.store.embedded import EmbeddedPostgres, _command_line, kill_postmaster
from tests.store.embedded.servers import SMALL, add, connected, kept


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


def test_a_signal_to_another_pid_is_never_sent(data: Path) -> None:
    """`kill_postmaster` on a stopped server must not hit whoever has the number now."""
    server = EmbeddedPostgres(data, SMALL)
    stranger = subprocess.Popen(["sleep", "60"])
    (server.folder / "postmaster.pid").write_text(f"{stranger.pid}\n")
    kill_postmaster(server)
    assert stranger.poll() is None
    stranger.send_signal(signal.SIGTERM)
    stranger.wait()


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


def test_a_server_that_cannot_start_says_why(data: Path) -> None:
    server = EmbeddedPostgres(data, {**SMALL, "no_such_setting": "1"})
    with pytest.raises(ConfigurationError, match="no_such_setting"):
        server.start()
    server.stop()
