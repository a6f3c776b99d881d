"""People, systems and sites by command, each command a process of its own on one installation."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arbiter.cli.failing import Status
from arbiter.errors import UnauthenticatedError
from arbiter.identity.accounts import MOST_FAILURES, authenticate
from arbiter.identity.sessions import open_session, resume
from tests.cli.conftest import run_process
from tests.system.service import COMMAND, ROOT, Service, environment

PASSWORD = "correct horse battery"
OTHER = "another horse entirely"
REVIEWER = ("--role", "reviewer", "--site", "north")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(service: Service) -> Run:
    def call(*arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return run_process(service.data, {}, *arguments, said=said)

    return call


def create(run: Run, login: str, password: str = PASSWORD) -> None:
    done = run("users", "create", login, login.title(), *REVIEWER, "--password-stdin", said=f"{password}\n")
    assert done.returncode == 0, done.stderr


def shown(run: Run, login: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("users", "show", login, "--json").stdout)
    return found


async def may_log_in(service: Service, login: str, password: str) -> bool:
    async with service.house() as house:
        try:
            await authenticate(house.identities, house.clock, login, password)
        except UnauthenticatedError:
            return False
        return True


async def test_an_account_made_with_a_password_from_standard_input_lets_its_owner_in(
    service: Service, run: Run
) -> None:
    create(run, "anna")
    assert await may_log_in(service, "anna", PASSWORD)
    assert shown(run, "anna") == {
        **shown(run, "ANNA"),
        "login": "anna",
        "name": "Anna",
        "roles": ["reviewer"],
        "sites": ["north"],
        "disabled": None,
        "locked until": None,
    }


@pytest.mark.parametrize(
    "said", ["", "\n", "two\nlines\n", "short\n"], ids=["nothing", "empty", "two", "short"]
)
async def test_an_unfit_password_on_standard_input_makes_no_account(
    service: Service, run: Run, said: str
) -> None:
    done = run("users", "create", "nobody", "Nobody", *REVIEWER, "--password-stdin", said=said)
    assert done.returncode in {Status.FAILED, Status.USAGE}
    async with service.house() as house:
        assert "nobody" not in {row.login for row in await house.identities.accounts()}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("new one", "New", *REVIEWER), "a login is 1 to 64 characters"),
        (("new", "New", "--role", "reviewer", "--site", "nowhere"), "no such site: nowhere"),
        (("new", "New", "--role", "integration-client", "--site", "north"), "expected roles among"),
        (("new", "New", "--role", "reviewer", "--role", "auditor", "--site", "north"), "nobody holds both"),
        (("taken", "New", *REVIEWER), "login taken exists already"),
    ],
)
def test_what_does_not_fit_is_told_without_asking_for_a_password(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    if arguments[0] == "taken":
        create(run, "taken")
    done = run("users", "create", *arguments)
    assert done.returncode == Status.FAILED
    assert said in done.stderr
    assert "password (" not in done.stdout + done.stderr


def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown(service: Service, run: Run) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "users", "create", "carla", "Carla", *REVIEWER],
        cwd=ROOT,
        env=environment(service.data),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        heard = until_hidden(ours, b"password (12 characters or more)")
        os.write(ours, f"{PASSWORD}\n".encode())
        heard += until_hidden(ours, b"epeat")
        os.write(ours, f"{PASSWORD}\n".encode())
        heard += until(ours, b"created a")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(30)
        os.close(ours)
    assert PASSWORD.encode() not in heard
    assert shown(run, "carla")["login"] == "carla"


def until_hidden(terminal: int, words: bytes) -> bytes:
    """Read until these words are shown and what is typed would not be."""
    heard = until(terminal, words)
    ends_at = time.monotonic() + 60
    while termios.tcgetattr(terminal)[3] & termios.ECHO:
        assert time.monotonic() < ends_at, heard
        time.sleep(0.02)
    return heard


def until(terminal: int, words: bytes, seconds: float = 90) -> bytes:
    """Read from a terminal until it shows these words."""
    heard = b""
    ends_at = time.monotonic() + seconds
    while words not in heard:
        ready, _, _ = select.select([terminal], [], [], 1)
        assert time.monotonic() < ends_at, heard
        heard += os.read(terminal, 4096) if ready else b""
    return heard


async def test_wrong_passwords_lock_and_unlock_opens(service: Service, run: Run) -> None:
    create(run, "dora")
    for _ in range(MOST_FAILURES):
        assert not await may_log_in(service, "dora", OTHER)
    assert not await may_log_in(service, "dora", PASSWORD)
    assert shown(run, "dora")["locked until"] is not None
    assert run("users", "unlock", "Dora").returncode == 0
    assert shown(run, "dora")["locked until"] is None
    assert await may_log_in(service, "dora", PASSWORD)


async def test_a_new_password_ends_sessions_and_the_old_password(service: Service, run: Run) -> None:
    create(run, "erik")
    async with service.house() as house:
        erik = await authenticate(house.identities, house.clock, "erik", PASSWORD)
        _, token = await open_session(house.identities, house.clock, house.chance, erik)
    assert shown(run, "erik")["sessions"] == 1
    done = run("users", "set-password", "erik", "--password-stdin", said=f"{OTHER}\n")
    assert done.returncode == 0, done.stderr
    assert not await may_log_in(service, "erik", PASSWORD)
    assert await may_log_in(service, "erik", OTHER)
    async with service.house() as house:
        with pytest.raises(UnauthenticatedError):
            await resume(house.identities, house.clock, token)


async def test_a_disabled_account_is_out_for_good(service: Service, run: Run) -> None:
    create(run, "fred")
    assert run("users", "disable", "fred").returncode == 0
    assert not await may_log_in(service, "fred", PASSWORD)
    assert shown(run, "fred")["disabled"] is not None
    done = run("users", "unlock", "fred")
    assert done.returncode == Status.FAILED
    assert "no active account" in done.stderr


@pytest.mark.parametrize("command", ["show", "disable", "unlock", "set-password"])
def test_nobody_of_that_name_is_said_before_a_password_is_asked_for(run: Run, command: str) -> None:
    done = run("users", command, "nobody-at-all")
    assert done.returncode == Status.FAILED
    assert done.stderr == "arbiter: no account nobody-at-all\n"


def test_a_list_is_tabs_for_a_pipe_and_json_when_asked(run: Run) -> None:
    create(run, "gina")
    lines = [line.split("\t") for line in run("users", "list").stdout.splitlines()]
    listed = json.loads(run("users", "list", "--json").stdout)
    assert [line[1] for line in lines] == [each["login"] for each in listed]
    assert ["gina", "Gina", "reviewer", "north", ""] in [line[1:] for line in lines]
    assert run("accounts", "list").stdout == run("users", "list").stdout


def test_clients_are_registered_shown_and_disabled(run: Run, tmp_path: Path) -> None:
    made = json.loads(
        run("clients", "register", "lab", "--role", "integration-client", "--site", "north", "--json").stdout
    )
    assert re.fullmatch(rf"arb_{made['id']}_[A-Za-z0-9_-]{{43}}", made["token"])
    found = run("clients", "show", made["id"])
    assert "lab" in found.stdout
    assert made["token"] not in found.stdout
    assert run("clients", "disable", made["id"]).returncode == 0
    assert json.loads(run("clients", "show", made["id"], "--json").stdout)["disabled"] is not None
    assert run("clients", "show", "cnobody").returncode == Status.FAILED


def test_sites_are_added_once(run: Run) -> None:
    assert run("sites", "add", "south", "South Hospital").returncode == 0
    assert run("sites", "add", "south", "South Hospital").returncode == Status.FAILED
    assert run("sites", "add", "South!", "South Hospital").returncode == Status.FAILED
    assert {"id": "south", "name": "South Hospital"} in json.loads(run("sites", "list", "--json").stdout)
