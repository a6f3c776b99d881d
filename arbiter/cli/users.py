"""`arbiter users`: the people who may log in to the clinicians' pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.inside import for_people
from arbiter.cli.options import AsJson, Sites
from arbiter.cli.output import out, show_record, show_rows
from arbiter.cli.persons import read_passwords
from arbiter.identity.roles import ACCOUNT_ROLES, Role

if TYPE_CHECKING:
    from arbiter.store.identities import AccountStanding
    from arbiter.workflow.house import House

app = typer.Typer(
    no_args_is_help=True,
    help="People who may log in.",
    epilog=examples(
        'arbiter users create anna "Anna Example" --role reviewer --site north',
        "arbiter users unlock anna",
        "arbiter users list",
    ),
)

Roles = Annotated[
    list[Role],
    typer.Option("--role", help=f"One of {', '.join(sorted(ACCOUNT_ROLES))}; may be given more than once."),
]
User = Annotated[
    str, typer.Argument(help="The login, or the id that `users list` shows.", show_default=False)
]
PasswordStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from standard input: one line, for scripts."),
]


@app.command(
    "create",
    epilog=examples(
        'arbiter users create anna "Anna Example" --role reviewer --site north',
        'arbiter users create ben "Ben Example" --role auditor --site north --password-stdin < password',
    ),
)
def users_create(
    login: str, display_name: str, role: Roles, site: Sites, *, password_stdin: PasswordStdin = False
) -> None:
    """Create a person's account; the password is asked for once everything else is known to fit."""
    from arbiter.clock import SystemChance, SystemClock
    from arbiter.identity.accounts import check_account, create_account

    if not password_stdin:
        for_people(lambda house: check_account(house.identities, login, display_name, role, site))
    password = _password(from_stdin=password_stdin)

    async def create(house: House) -> str:
        principal = await create_account(
            house.identities, SystemClock(), SystemChance(), login, display_name, password, role, site
        )
        return principal.id

    out.print(f"created {for_people(create)}")


@app.command("list", epilog=examples("arbiter users list", "arbiter users list --json"))
def users_list(*, as_json: AsJson = False) -> None:
    """List people's accounts, by login."""
    from arbiter.identity.accounts import list_accounts

    rows = for_people(lambda house: list_accounts(house.identities))
    show_rows(
        ("id", "login", "name", "roles", "sites", "disabled"),
        ((row.id, row.login, row.display_name, row.roles, row.sites, row.disabled_at) for row in rows),
        as_json=as_json,
    )


@app.command("show", epilog=examples("arbiter users show anna", "arbiter users show anna --json"))
def users_show(user: User, *, as_json: AsJson = False) -> None:
    """Show one account: its roles, whether wrong passwords have locked it, how many sessions are open."""
    standing = for_people(lambda house: _find(house, user))
    row = standing.account
    record = [
        ("id", row.id),
        ("login", row.login),
        ("name", row.display_name),
        ("roles", row.roles),
        ("sites", row.sites),
        ("created", row.created_at),
        ("disabled", row.disabled_at),
        ("wrong passwords in a row", standing.failed_logins),
        ("locked until", standing.locked_until),
        ("sessions", standing.sessions),
    ]
    show_record(record, as_json=as_json)


@app.command("disable", epilog=examples("arbiter users disable anna"))
def users_disable(user: User) -> None:
    """End a person's access for good, open sessions included."""
    from arbiter.clock import SystemClock
    from arbiter.identity.accounts import disable_account

    async def disable(house: House) -> None:
        standing = await _find(house, user)
        await disable_account(house.identities, SystemClock(), standing.account.id)

    for_people(disable)


@app.command("unlock", epilog=examples("arbiter users unlock anna"))
def users_unlock(user: User) -> None:
    """Let a person log in again whose account ten wrong passwords have locked."""
    from arbiter.identity.accounts import unlock_account

    async def unlock(house: House) -> None:
        standing = await _find(house, user)
        await unlock_account(house.identities, standing.account.id)

    for_people(unlock)


@app.command(
    "set-password",
    epilog=examples(
        "arbiter users set-password anna", "arbiter users set-password anna --password-stdin < password"
    ),
)
def users_set_password(user: User, *, password_stdin: PasswordStdin = False) -> None:
    """Replace a person's password; open sessions and a lock end with the old one."""
    from arbiter.clock import SystemChance
    from arbiter.identity.accounts import set_password

    found = for_people(lambda house: _find(house, user)).account
    password = _password(from_stdin=password_stdin)
    for_people(lambda house: set_password(house.identities, SystemChance(), found, password))


async def _find(house: House, user: str) -> AccountStanding:
    from arbiter.identity.accounts import find_account

    return await find_account(house.identities, user)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return read_passwords(1)[0]
    password: str = typer.prompt(
        "password (12 characters or more)", hide_input=True, confirmation_prompt=True
    )
    return password
