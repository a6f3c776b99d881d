"""Who does what a command changes: a person's account, proven by its password."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.failing import UsageError
from arbiter.errors import RefusedError, counted
from arbiter.workflow.reasons import reason_in

if TYPE_CHECKING:
    from arbiter.identity.principals import Principal
    from arbiter.identity.roles import Permission
    from arbiter.workflow.house import House
    from arbiter.workflow.register import By

_LONGEST_INPUT = 4096

PasswordsStdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin",
        help="Read passwords from standard input, a line each in the order of the persons, for scripts.",
    ),
]

AsAdministrator = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="Your login, for the log's entry; you need the role administrator. Else it says `operator`: whoever is at this "
        "machine.",
        show_default=False,
    ),
]


def check_reason(text: str) -> str:
    """Return the reason that somebody gives as it is kept; raises UsageError, before a password is asked for."""
    try:
        return reason_in(text)
    except RefusedError as error:
        raise UsageError(str(error)) from None


def ask_passwords(logins: list[str], *, from_stdin: bool) -> list[str]:
    """Return each person's password, typed unseen or from standard input."""
    if from_stdin:
        return read_passwords(len(logins))
    return [typer.prompt(f"password of {login}", hide_input=True) for login in logins]


def ask_own_password(login: str | None, *, from_stdin: bool) -> list[str]:
    """Return the password of whoever gave their login, nothing when nobody did: for `who_changes`."""
    return ask_passwords([] if login is None else [login], from_stdin=from_stdin)


def read_passwords(count: int) -> list[str]:
    """Return so many passwords from standard input, a line each."""
    lines = sys.stdin.read(_LONGEST_INPUT).splitlines()
    if len(lines) != count:
        raise UsageError(
            f"expected {counted(count, 'line')} of standard input, a password each; {len(lines)} came"
        )
    return lines


async def prove(house: House, logins: list[str], passwords: list[str]) -> list[Principal]:
    """Return the accounts that these logins and passwords prove; raises as `authenticate`."""
    from arbiter.identity.accounts import authenticate

    return [
        await authenticate(house.identities, house.clock, login, password)
        for login, password in zip(logins, passwords, strict=True)
    ]


async def who_changes(house: House, login: str | None, passwords: list[str], permission: Permission) -> By:
    """Return who changes the register: the administrator whom login and password prove, or the operator at the machine."""
    from arbiter.workflow.register import administrator, operator

    if login is None:
        return operator()
    (principal,) = await prove(house, [login], passwords)
    return administrator(principal, permission)
