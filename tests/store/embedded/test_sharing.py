"""Processes on one machine share the embedded server, which stops with its last user and with nobody's kill."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from arbiter.store.embedded import EmbeddedPostgres
from tests.store.embedded.servers import SMALL


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
