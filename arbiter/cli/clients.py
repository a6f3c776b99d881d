"""`arbiter clients`: the hospital systems that may call the REST door."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.cli.examples import examples
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson, Sites
from arbiter.cli.output import out, show_json, show_record, show_rows
from arbiter.cli.persons import AsAdministrator, PasswordsStdin, ask_own_password, who_changes
from arbiter.identity.roles import CLIENT_ROLES, Permission, Role

if TYPE_CHECKING:
    from arbiter.store.identities import ClientRow
    from arbiter.workflow.house import House

app = typer.Typer(
    no_args_is_help=True,
    help="Hospital systems that may call the REST door.",
    epilog=examples(
        'arbiter clients register "ward system" --role integration-client --site north',
        "arbiter clients list",
        "arbiter clients rotate cabcdefghijklmnop",
    ),
)

Roles = Annotated[
    list[Role],
    typer.Option("--role", help=f"One of {', '.join(sorted(CLIENT_ROLES))}; may be given more than once."),
]
ExpiresInDays = Annotated[
    int | None,
    typer.Option(
        "--expires-in-days", min=1, max=3660, help="Refuse the token after so many days.", show_default=False
    ),
]


@app.command(
    "register",
    epilog=examples(
        'arbiter clients register "ward system" --role integration-client --site north',
        "arbiter clients register auditor --role auditor --site north --site south --json",
        'arbiter clients register "patient index" --role patient-index --site north --expires-in-days 365',
    ),
)
def clients_register(
    name: str,
    role: Roles,
    site: Sites,
    *,
    expires_in_days: ExpiresInDays = None,
    login: AsAdministrator = None,
    password_stdin: PasswordsStdin = False,
    as_json: AsJson = False,
) -> None:
    """Register a system and print its token, which is shown this once. The log says who registered it."""
    passwords = ask_own_password(login, from_stdin=password_stdin)

    async def register(house: House) -> tuple[str, str]:
        from arbiter.workflow.register import register_client

        by = await who_changes(house, login, passwords, Permission.ADMIN_CLIENTS)
        lasts = None if expires_in_days is None else timedelta(days=expires_in_days)
        principal, token = await register_client(house, by, name, role, site, expires_after=lasts)
        return principal.id, token

    client, token = in_house(register)
    _show_token(client, token, "registered", as_json=as_json)


@app.command("list", epilog=examples("arbiter clients list", "arbiter clients list --json"))
def clients_list(*, as_json: AsJson = False) -> None:
    """List registered systems, oldest first."""
    from arbiter.identity.clients import list_clients

    rows = in_house(lambda house: list_clients(house.identities))
    show_rows(
        ("id", "name", "roles", "sites", "expires", "disabled"),
        ((row.id, row.name, row.roles, row.sites, row.expires_at, row.disabled_at) for row in rows),
        as_json=as_json,
    )


@app.command("show", epilog=examples("arbiter clients show cabcdefghijklmnop"))
def clients_show(client: str, *, as_json: AsJson = False) -> None:
    """Show one system; CLIENT is the id that `clients list` shows."""
    from arbiter.identity.clients import find_client

    row = in_house(lambda house: find_client(house.identities, client))
    show_record(_record(row), as_json=as_json)


@app.command("disable", epilog=examples("arbiter clients disable cabcdefghijklmnop"))
def clients_disable(
    client: str, *, login: AsAdministrator = None, password_stdin: PasswordsStdin = False
) -> None:
    """Refuse a system's token from now on; CLIENT is the id that `clients list` shows. The log says who did it."""
    passwords = ask_own_password(login, from_stdin=password_stdin)

    async def disable(house: House) -> None:
        from arbiter.workflow.register import disable_client

        by = await who_changes(house, login, passwords, Permission.ADMIN_CLIENTS)
        await disable_client(house, by, client)

    in_house(disable)


@app.command("rotate", epilog=examples("arbiter clients rotate cabcdefghijklmnop"))
def clients_rotate(
    client: str,
    *,
    login: AsAdministrator = None,
    password_stdin: PasswordsStdin = False,
    as_json: AsJson = False,
) -> None:
    """Give a system another token, which is shown this once, and refuse the old one. The log says who did it."""
    passwords = ask_own_password(login, from_stdin=password_stdin)

    async def rotate(house: House) -> str:
        from arbiter.workflow.register import rotate_client

        by = await who_changes(house, login, passwords, Permission.ADMIN_CLIENTS)
        return await rotate_client(house, by, client)

    _show_token(client, in_house(rotate), "rotated", as_json=as_json)


def _show_token(client: str, token: str, done: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"id": client, "token": token})
        return
    out.print(f"{done} {client}; its token, shown this once:")
    out.print(token, markup=False)


def _record(row: ClientRow) -> list[tuple[str, Any]]:
    return [
        ("id", row.id),
        ("name", row.name),
        ("roles", row.roles),
        ("scopes", row.scopes),
        ("sites", row.sites),
        ("created", row.created_at),
        ("expires", row.expires_at),
        ("disabled", row.disabled_at),
    ]
