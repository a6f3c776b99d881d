"""`arbiter users`: the people who may log in to the clinicians' pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.inside import for_people
from arbiter.cli.options import AsJson, Sites
from arbiter.cli.output import out, show_record, show_rows
from arbiter.cli.persons import AsAdministrator, PasswordsStdin, ask_own_password, read_passwords, who_changes
from arbiter.identity.roles import ACCOUNT_ROLES, Permission, Role

if TYPE_CHECKING:
    from arbiter.store.identities import AccountStanding
    from arbiter.workflow.house import House
    from arbiter.workflow.register import By

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
    typer.Option(
        "--password-stdin",
        help="Read the password from standard input: one line, for scripts; with --as your own in a line before it.",
    ),
]
OtherRoles = Annotated[
    list[Role] | None,
    typer.Option("--role", help="The roles from now on, all of them; may be given more than once."),
]
OtherSites = Annotated[
    list[str] | None,
    typer.Option("--site", help="The sites from now on, all of them; may be given more than once."),
]


@app.command(
    "create",
    epilog=examples(
        'arbiter users create anna "Anna Example" --role reviewer --site north',
        'arbiter users create ben "Ben Example" --role auditor --site north --password-stdin < password',
    ),
)
def users_create(
    login: str,
    display_name: str,
    role: Roles,
    site: Sites,
    *,
    by_login: AsAdministrator = None,
    password_stdin: PasswordStdin = False,
) -> None:
    """Create a person's account; the password is asked for once everything else is known to fit. The log says who made it."""
    from arbiter.identity.accounts import check_account

    if not password_stdin:
        for_people(lambda house: check_account(house.identities, login, display_name, role, site))
    own, password = _passwords(by_login, from_stdin=password_stdin)

    async def create(house: House) -> str:
        from arbiter.workflow.register import make_account

        by = await _by(house, by_login, own)
        return (await make_account(house, by, login, display_name, password, role, site)).id

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


@app.command(
    "change",
    epilog=examples(
        "arbiter users change anna --role auditor",
        "arbiter users change anna --site north --site south --as carla",
    ),
)
def users_change(
    user: User,
    role: OtherRoles = None,
    site: OtherSites = None,
    *,
    by_login: AsAdministrator = None,
    password_stdin: PasswordsStdin = False,
) -> None:
    """Give a person other roles or other sites; what is not named stays. The log says who did it, and both, before and after."""
    if not role and not site:
        raise UsageError("expected --role or --site: what the account is to have from now on")
    own = ask_own_password(by_login, from_stdin=password_stdin)

    async def change(house: House) -> None:
        from arbiter.workflow.register import change_account

        found = (await _find(house, user)).account
        by = await _by(house, by_login, own)
        await change_account(house, by, found.id, role or None, site or None)

    for_people(change)


@app.command("disable", epilog=examples("arbiter users disable anna"))
def users_disable(
    user: User, *, by_login: AsAdministrator = None, password_stdin: PasswordsStdin = False
) -> None:
    """End a person's access for good, open sessions included. The log says who did it."""
    own = ask_own_password(by_login, from_stdin=password_stdin)

    async def disable(house: House) -> None:
        from arbiter.workflow.register import disable_account

        found = (await _find(house, user)).account
        await disable_account(house, await _by(house, by_login, own), found.id)

    for_people(disable)


@app.command("unlock", epilog=examples("arbiter users unlock anna"))
def users_unlock(
    user: User, *, by_login: AsAdministrator = None, password_stdin: PasswordsStdin = False
) -> None:
    """Let a person log in again whose account ten wrong passwords have locked. The log says who did it."""
    own = ask_own_password(by_login, from_stdin=password_stdin)

    async def unlock(house: House) -> None:
        from arbiter.workflow.register import unlock_account

        found = (await _find(house, user)).account
        await unlock_account(house, await _by(house, by_login, own), found.id)

    for_people(unlock)


@app.command(
    "set-password",
    epilog=examples(
        "arbiter users set-password anna", "arbiter users set-password anna --password-stdin < password"
    ),
)
def users_set_password(
    user: User, *, by_login: AsAdministrator = None, password_stdin: PasswordStdin = False
) -> None:
    """Replace a person's password; open sessions and a lock end with the old one. The log says that, never the password."""
    found = for_people(lambda house: _find(house, user)).account
    own, password = _passwords(by_login, from_stdin=password_stdin)

    async def replace(house: House) -> None:
        from arbiter.workflow.register import set_password

        await set_password(house, await _by(house, by_login, own), found, password)

    for_people(replace)


async def _find(house: House, user: str) -> AccountStanding:
    from arbiter.identity.accounts import find_account

    return await find_account(house.identities, user)


async def _by(house: House, login: str | None, own: list[str]) -> By:
    return await who_changes(house, login, own, Permission.ADMIN_ACCOUNTS)


def _passwords(by_login: str | None, *, from_stdin: bool) -> tuple[list[str], str]:
    """Return the password of whoever does it, where a login is given, and the new one."""
    if from_stdin:
        *own, password = read_passwords(1 if by_login is None else 2)
        return own, password
    own = ask_own_password(by_login, from_stdin=False)
    new: str = typer.prompt("password (12 characters or more)", hide_input=True, confirmation_prompt=True)
    return own, new
