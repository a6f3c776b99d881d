"""`arbiter clients`: the hospital systems that may call the REST door."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.cli.examples import examples
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson, Sites
from arbiter.cli.output import out, show_json, show_record, show_rows
from arbiter.identity.roles import CLIENT_ROLES, Role

if TYPE_CHECKING:
    from arbiter.store.identities import ClientRow
    from arbiter.workflow.house import House

app = typer.Typer(
    no_args_is_help=True,
    help="Hospital systems that may call the REST door.",
    epilog=examples(
        'arbiter clients register "ward system" --role integration-client --site north',
        "arbiter clients list",
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
    as_json: AsJson = False,
) -> None:
    """Register a system and print its token, which is shown this once."""
    from arbiter.clock import SystemChance, SystemClock
    from arbiter.identity.clients import register_client

    clock = SystemClock()
    expires_at = None if expires_in_days is None else clock.now() + timedelta(days=expires_in_days)

    async def register(house: House) -> tuple[str, str]:
        principal, token = await register_client(
            house.identities, clock, SystemChance(), name, role, site, expires_at=expires_at
        )
        return principal.id, token

    client, token = in_house(register)
    if as_json:
        show_json({"id": client, "token": token})
        return
    out.print(f"registered {client}; its token, shown this once:")
    out.print(token, markup=False)


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
def clients_disable(client: str) -> None:
    """Refuse a system's token from now on; CLIENT is the id that `clients list` shows."""
    from arbiter.clock import SystemClock
    from arbiter.identity.clients import disable_client

    in_house(lambda house: disable_client(house.identities, SystemClock(), client))


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
