"""`arbiter sites`: the hospitals or wards that cases belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from arbiter.cli.examples import examples
from arbiter.cli.inside import for_people
from arbiter.cli.options import AsJson
from arbiter.cli.output import show_rows
from arbiter.cli.persons import AsAdministrator, PasswordsStdin, ask_own_password, who_changes

if TYPE_CHECKING:
    from arbiter.workflow.house import House

app = typer.Typer(
    no_args_is_help=True,
    help="The sites that cases belong to.",
    epilog=examples('arbiter sites add north "North Hospital"', "arbiter sites list"),
)


@app.command("list", epilog=examples("arbiter sites list", "arbiter sites list --json"))
def sites_list(*, as_json: AsJson = False) -> None:
    """List the sites."""
    show_rows(("id", "name"), for_people(lambda house: house.identities.sites()), as_json=as_json)


@app.command("add", epilog=examples('arbiter sites add north "North Hospital"'))
def sites_add(
    site: str, name: str, *, login: AsAdministrator = None, password_stdin: PasswordsStdin = False
) -> None:
    """Add a site; its id is 1 to 64 of a-z, 0-9 and inner hyphens. The log says who added it."""
    passwords = ask_own_password(login, from_stdin=password_stdin)

    async def add(house: House) -> None:
        from arbiter.identity.roles import Permission
        from arbiter.workflow.register import add_site

        by = await who_changes(house, login, passwords, Permission.ADMIN_ACCOUNTS)
        await add_site(house, by, site, name)

    for_people(add)
