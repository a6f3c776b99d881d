"""`arbiter sites`: the hospitals or wards that cases belong to."""

from __future__ import annotations

import typer

from arbiter.cli.examples import examples
from arbiter.cli.inside import for_people
from arbiter.cli.options import AsJson
from arbiter.cli.output import show_rows

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
def sites_add(site: str, name: str) -> None:
    """Add a site; its id is 1 to 64 of a-z, 0-9 and inner hyphens."""
    from arbiter.identity.sites import add_site

    for_people(lambda house: add_site(house.identities, site, name))
