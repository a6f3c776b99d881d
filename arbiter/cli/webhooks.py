"""`arbiter webhooks`: where notices go, whether they arrive, and those that were given up."""

from __future__ import annotations

from typing import Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import Status
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import err, out, show_json, show_rows

app = typer.Typer(
    no_args_is_help=True,
    help="Where signed notices go, and what became of those that were given up.",
    epilog=examples(
        "arbiter webhooks add https://ehr.hospital.example/arbiter --client cabcdefghijklmnop",
        "arbiter webhooks dead-letters",
    ),
)


@app.command(
    "add",
    epilog=examples(
        "arbiter webhooks add https://ehr.hospital.example/arbiter --client cabcdefghijklmnop",
        "arbiter webhooks add https://pager.hospital.example/arbiter --group outreach",
    ),
)
def webhooks_add(
    url: Annotated[str, typer.Argument(help="https://…; http:// for the loopback address alone.")],
    *,
    client: Annotated[
        str | None, typer.Option(help="The id of the client whose cases it hears of.", show_default=False)
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="The duty group that is called by it.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register an endpoint of a client or of a duty group, and print its secret, which is shown this once.

    Says on standard error if its owner has an enabled one of the same address already.
    """
    from arbiter.workflow.endpoints import register_endpoint

    added = in_house(lambda house: register_endpoint(house, url, client=client, duty_group=group))
    if added.beside:
        there = ", ".join(added.beside)
        err.print(f"warning: {there} has the same owner and address, and stays enabled", markup=False)
    if as_json:
        show_json({"id": added.id, "secret": added.secret})
        return
    out.print(f"registered {added.id}; its signing secret, shown this once:")
    out.print(added.secret, markup=False)


@app.command("list", epilog=examples("arbiter webhooks list", "arbiter webhooks list --json"))
def webhooks_list(*, as_json: AsJson = False) -> None:
    """List the endpoints."""
    from arbiter.workflow.endpoints import list_endpoints

    show_rows(
        ("id", "client", "group", "url", "disabled"),
        ((row.id, row.client, row.duty_group, row.url, row.disabled_at) for row in in_house(list_endpoints)),
        as_json=as_json,
    )


@app.command("disable", epilog=examples("arbiter webhooks disable we_aaaaaaaaaaaaaaaa"))
def webhooks_disable(endpoint: str) -> None:
    """Send nothing to an endpoint any more; what waits for it becomes dead letters."""
    from arbiter.workflow.endpoints import disable

    in_house(lambda house: disable(house, endpoint))


@app.command("test", epilog=examples("arbiter webhooks test we_aaaaaaaaaaaaaaaa"))
def webhooks_test(endpoint: str) -> None:
    """Send an endpoint a signed notice about no case, and say what became of it."""
    from arbiter.channels.attempt import Sent
    from arbiter.workflow.endpoints import try_endpoint

    attempt = in_house(lambda house: try_endpoint(house, endpoint))
    if not isinstance(attempt, Sent):
        err.print(f"not taken: {attempt.fault}", markup=False)
        raise typer.Exit(Status.FAILED)
    out.print("taken")


@app.command(
    "dead-letters", epilog=examples("arbiter webhooks dead-letters", "arbiter webhooks dead-letters --json")
)
def webhooks_dead_letters(*, as_json: AsJson = False) -> None:
    """List what was given up, mail included, oldest first."""
    from arbiter.workflow.endpoints import dead_letters

    show_rows(
        ("id", "channel", "recipient", "case", "about", "attempts", "given_up", "fault"),
        (
            (
                letter.id, letter.channel, letter.recipient, letter.case, letter.topic, letter.attempts,
                letter.dead_at, letter.fault,
            )
            for letter in in_house(dead_letters)
        ),
        as_json=as_json,
    )  # fmt: skip


@app.command("redrive", epilog=examples("arbiter webhooks redrive 17 18", "arbiter webhooks redrive --all"))
def webhooks_redrive(
    letters: Annotated[
        list[int] | None, typer.Argument(help="Ids that `dead-letters` shows.", show_default=False)
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
) -> None:
    """Send dead letters anew, under the ids they had."""
    from arbiter.workflow.endpoints import redrive

    if bool(letters) == everything:
        raise typer.BadParameter("name the letters, or --all")
    count = in_house(lambda house: redrive(house, letters or None))
    out.print(f"{count} are sent anew")
