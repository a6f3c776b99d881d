"""People, systems and sites by command, each command a process of its own on one installation."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arbiter.cli.failing import Status
from arbiter.clock import SystemChance
from arbiter.errors import UnauthenticatedError
from arbiter.identity.accounts import MOST_FAILURES, authenticate
from arbiter.identity.sessions import open_session, resume
from arbiter.store.keys import init_keys
from tests.cli.conftest import Arbiter, Ended, run_process
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
        _, token = await open_session(house.sessions, house.clock, house.chance, erik)
    assert shown(run, "erik")["sessions"] == 1
    done = run("users", "set-password", "erik", "--password-stdin", said=f"{OTHER}\n")
    assert done.returncode == 0, done.stderr
    assert not await may_log_in(service, "erik", PASSWORD)
    assert await may_log_in(service, "erik", OTHER)
    async with service.house() as house:
        with pytest.raises(UnauthenticatedError):
            await resume(house.sessions, house.clock, token)


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


# --- what the log says of it -------------------------------------------------------------------------------------------


@pytest.fixture
def here(service: Service, arbiter: Arbiter, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run a command in this process, on the installation, with `said` on its standard input."""
    for name, value in environment(service.data).items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str, said: str = "") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        return arbiter(*arguments)

    return call


Here = Callable[..., Ended]


def register_of(here: Here) -> list[dict[str, Any]]:
    done = here("audit", "log", "--case", "house", "--from-start", "--limit", "1000", "--json")
    assert done.status == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def done(here: Here, *arguments: str, said: str = "") -> str:
    ended = here(*arguments, said=said)
    assert ended.status == 0, (arguments, ended.err)
    return ended.out


def test_each_command_that_changes_who_may_do_what_leaves_its_entry(here: Here) -> None:
    done(here, "users", "create", "hugo", "Hugo", *REVIEWER, "--password-stdin", said=f"{PASSWORD}\n")
    hugo = json.loads(done(here, "users", "show", "hugo", "--json"))["id"]
    lab = ("clients", "register", "lab", "--role", "integration-client", "--site", "north", "--json")
    client = json.loads(done(here, *lab))["id"]
    commands = [
        (("users", "change", "hugo", "--role", "auditor"), "", "account.changed"),
        (("users", "set-password", "hugo", "--password-stdin"), f"{OTHER}\n", "account.password-set"),
        (("users", "unlock", "hugo"), "", "account.unlocked"),
        (("users", "disable", "hugo"), "", "account.disabled"),
        (("clients", "rotate", client), "", "client.rotated"),
        (("clients", "disable", client), "", "client.disabled"),
        (("sites", "add", "west", "West Hospital"), "", "site.added"),
    ]
    before = register_of(here)
    assert [each["type"] for each in before[-2:]] == ["account.made", "client.registered"]
    for arguments, said, _ in commands:
        done(here, *arguments, said=said)
    new = register_of(here)[len(before) :]
    assert [(each["type"], each["actor"]) for each in new] == [(kind, "operator") for *_, kind in commands]
    assert new[0]["about"]["roles"] == {"before": ["reviewer"], "after": ["auditor"]}
    assert {each["about"].get("account", hugo) for each in new} == {hugo}
    assert {each["about"].get("client", client) for each in new} == {client}
    assert all(each["about"]["machine_user"] == os.getuid() for each in new)
    assert all(isinstance(each["index"], int) for each in new), "sealed when the command has ended"
    words = done(here, "audit", "log", "--type", "account", "--limit", "4").splitlines()
    assert words[-1].split("\t")[-1] == (
        f"account {hugo}, roles reviewer -> auditor, sites north, by the machine's user {os.getuid()}"
    )


def test_an_administrator_who_gives_a_login_is_who_did_it(here: Here) -> None:
    own = "an administrator of old"
    administrator = ("--role", "administrator", "--site", "north", "--password-stdin")
    done(here, "users", "create", "ada", "Ada", *administrator, said=f"{own}\n")
    asked = ("--as", "ada", "--password-stdin")
    done(here, "users", "create", "ivo", "Ivo", *REVIEWER, *asked, said=f"{own}\n{PASSWORD}\n")
    done(here, "users", "change", "ivo", "--role", "auditor", *asked, said=f"{own}\n")
    done(here, "sites", "add", "east", "East Hospital", *asked, said=f"{own}\n")
    ada = json.loads(done(here, "users", "show", "ada", "--json"))["id"]
    found = register_of(here)[-3:]
    assert [(each["type"], each["actor"]) for each in found] == [
        ("account.made", ada),
        ("account.changed", ada),
        ("site.added", ada),
    ]
    assert not any("machine_user" in each["about"] for each in found)


def test_who_is_no_administrator_changes_nothing_by_their_login(here: Here) -> None:
    done(here, "users", "create", "kim", "Kim", *REVIEWER, "--password-stdin", said=f"{PASSWORD}\n")
    before = register_of(here)
    attempts = [
        ("kim", PASSWORD, ("users", "disable", "kim")),
        ("kim", PASSWORD, ("users", "change", "kim", "--role", "administrator")),
        ("kim", PASSWORD, ("clients", "register", "x", "--role", "auditor", "--site", "north")),
        ("kim", OTHER, ("sites", "add", "far", "Far")),
        ("nobody", PASSWORD, ("sites", "add", "far", "Far")),
    ]
    for login, password, arguments in attempts:
        ended = here(*arguments, "--as", login, "--password-stdin", said=f"{password}\n")
        assert ended.status == Status.FAILED, ended.err
    assert register_of(here) == before


def test_a_change_that_names_nothing_new_is_refused(here: Here) -> None:
    ended = here("users", "change", "nobody-at-all")
    assert ended.status == Status.USAGE
    assert "--role or --site" in ended.err


def test_the_first_account_of_an_installation_is_among_its_logs_first_entries(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Short enough for a socket's path, and one that the database's own user may pass through.
    data = Path(tempfile.mkdtemp(prefix="arb-"))
    monkeypatch.setenv("ARBITER_DATA", str(data))
    try:
        init_keys(data, "fresh.example/log", SystemChance())
        done(here, "sites", "add", "north", "North Hospital")
        done(here, "users", "create", "first", "First", *REVIEWER, "--password-stdin", said=f"{PASSWORD}\n")
        entries = register_of(here)
        assert [each["index"] for each in entries] == [0, 1], "sealed, though nothing ever served"
        assert [(each["seq"], each["type"], each["actor"]) for each in entries] == [
            (0, "site.added", "operator"),
            (1, "account.made", "operator"),
        ]
        assert entries[1]["about"]["login"] == "first"
    finally:
        shutil.rmtree(data)
