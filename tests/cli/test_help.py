"""Every command explains itself: an example in its help that parses, options described, nothing heavy loaded."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from arbiter import __version__
from arbiter.cli import app
from arbiter.cli.examples import commands_in
from arbiter.cli.failing import Status
from tests.cli.commands import every_command
from tests.patience import PATIENCE_SECONDS
from tests.system.service import ROOT

COMMANDS = every_command()
ROOT_COMMAND: Any = get_command(app)
GROUPS = [
    ROOT_COMMAND,
    *(below for below in ROOT_COMMAND.commands.values() if getattr(below, "commands", None)),
]
EXAMPLES = sorted(
    {
        example
        for command in (*GROUPS, *(command for _, command in COMMANDS))
        for example in commands_in(command.epilog or "")
    }
)
HEAVY = {
    "sqlalchemy",
    "psycopg",
    "alembic",
    "httpx",
    "fastapi",
    "uvicorn",
    "cel_expr_python",
    "opentelemetry",
    "uvloop",
}

each_command = pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS]
)


def test_the_commands_are_those_that_the_documentation_promises() -> None:
    assert {path[0] for path, _ in COMMANDS} == {
        "demo", "guarantee", "serve", "worker", "submit", "watch", "outcome", "protocol", "calibrate",
        "calibration", "audit", "replay", "keys", "clients", "users",
        "sites", "webhooks", "witness", "panel", "evaluate", "labels", "migrate", "doctor", "version", "erase", "hold", "backup", "restore",
        "oversight", "plant",
    }  # fmt: skip


@each_command
def test_every_command_has_an_example_of_itself_in_its_help(path: tuple[str, ...], command: Any) -> None:
    shown = commands_in(command.epilog or "")
    assert shown, "no example"
    assert all(example.startswith(f"arbiter {' '.join(path)}") for example in shown)
    told = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"})
    assert told.exit_code == 0
    for example in shown:
        assert example in re.sub(r"\s+", " ", told.output)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_parses(example: str) -> None:
    words = shlex.split(re.split(r" [<>|] ", example)[0])
    assert words[0] == "arbiter"
    group: Any = ROOT_COMMAND
    rest = words[1:]
    while getattr(group, "commands", None):
        group = group.commands[rest[0]]
        rest = rest[1:]
    # Refuses a misspelt option, a value of the wrong kind, an argument too many or too few.
    with group.make_context(words[0], rest) as context:
        assert set(context.params) == {parameter.name for parameter in group.params}


@each_command
def test_every_command_and_option_says_what_it_does(path: tuple[str, ...], command: Any) -> None:
    assert command.help.strip().splitlines()[0].endswith(".")
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.help, f"{' '.join(path)} {parameter.name}"


@each_command
def test_what_lists_or_reports_also_speaks_json(path: tuple[str, ...], command: Any) -> None:
    reports = path != ("keys", "rotate", "log") and path[-1] in {
        "list",
        "show",
        "verify",
        "verify-receipt",
        "verify-proof",
        "log",
        "diff",
        "stats",
        "check",
        "replay",
        "doctor",
        "submit",
        "watch",
        "drift",
        "agreement",
        "history",
        "outcome",
    }
    if reports:
        assert "--json" in {flag for parameter in command.params for flag in parameter.opts}


def test_the_old_name_of_users_still_works_and_is_not_shown() -> None:
    runner = CliRunner()
    assert "accounts" not in runner.invoke(app, ["--help"]).output
    old = runner.invoke(app, ["accounts", "create", "--help"])
    assert old.exit_code == 0
    assert "--password-stdin" in old.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("version",),
        ("--help",),
        ("submit", "--help"),
        ("protocol", "check", "--help"),
        ("audit", "verify-receipt", "/nowhere", "--key", "k"),
        ("audit", "verify-proof", "/nowhere", "/nowhere", "--key", "k"),
        ("audit", "diff", "/nowhere", "/nowhere", "--key", "k"),
    ],
    ids=" ".join,
)
def test_a_light_command_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    """What makes a command wait is what it imports; the clock of a busy machine would say anything."""
    program = (
        "import sys, json\nfrom arbiter.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('\\n' + json.dumps(sorted({HEAVY!r} & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [], done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["submitt"], "No such command"),
        (["submit", "--risk-class", "soon", "x.json"], "routine"),
        (["submit", "--wait", "61", "x.json"], "60"),
        (["submit", "--wait", "-1", "x.json"], "--wait"),
        (["submit", "a.json", "b.json"], "unexpected extra argument"),
        (["submit", "--token", "arb_x", "a.json"], "No such option"),
        (["watch", "--limit", "0"], "--limit"),
        (["watch", "--every", "soon"], "--every"),
        (["users", "create", "anna"], "Missing argument"),
        (["users", "create", "anna", "Anna", "--site", "north"], "--role"),
        (["users", "create", "anna", "Anna", "--role", "boss", "--site", "north"], "boss"),
        (["clients", "register", "x", "--role", "reviewers", "--site", "n"], "reviewers"),
        (["audit", "verify-receipt", "r.json"], "--key"),
        (["audit", "verify-proof", "p.tlog-proof"], "--key"),
        (["audit", "proof", "c_x"], "--output"),
        (["audit", "show", "c_x", "third"], "seq"),
        (["audit", "log", "--limit", "10001"], "--limit"),
        (["keys", "init"], "Missing argument"),
        (["replay"], "CASE, --all"),
        (["replay", "--all", "c_x"], "CASE, --all"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_line_that_does_not_fit_ends_with_2_and_names_what(arguments: list[str], said: str) -> None:
    told = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert told.exit_code == Status.USAGE
    assert said in told.output
    assert "Traceback" not in told.output


def test_the_version_is_the_packages() -> None:
    told = CliRunner().invoke(app, ["version"])
    assert (told.exit_code, told.output) == (0, f"{__version__}\n")
