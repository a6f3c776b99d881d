"""`arbiter webhooks`: where notices go, whether they arrive, and those that were given up."""

from __future__ import annotations

from typing import Annotated

import typer

webhooks = typer.Typer(
    no_args_is_help=True, help="Where signed notices go, and what became of those that were given up."
)


@webhooks.command("add")
def webhooks_add(
    url: Annotated[str, typer.Argument(help="https://…; http:// for the loopback address alone.")],
    client: Annotated[str | None, typer.Option(help="The id of the client whose cases it hears of.")] = None,
    group: Annotated[str | None, typer.Option(help="The duty group that is called by it.")] = None,
) -> None:
    """Register an endpoint of a client or of a duty group, and print its secret, which is shown this once."""
    from arbiter.cli import _in_house, out
    from arbiter.workflow.endpoints import register_endpoint

    added = _in_house(lambda house: register_endpoint(house, url, client=client, duty_group=group))
    out.print(f"registered {added.id}; its signing secret, shown this once:")
    out.print(added.secret, markup=False)


@webhooks.command("list")
def webhooks_list() -> None:
    """List the endpoints."""
    from arbiter.cli import _in_house, _list
    from arbiter.workflow.endpoints import list_endpoints

    rows = _in_house(list_endpoints)
    _list(
        ("id", "client", "group", "url", "disabled"),
        (
            (row.id, row.client or "", row.duty_group or "", row.url, str(row.disabled_at or ""))
            for row in rows
        ),
    )


@webhooks.command("disable")
def webhooks_disable(endpoint: str) -> None:
    """Send nothing to an endpoint any more; what waits for it becomes dead letters."""
    from arbiter.cli import _in_house
    from arbiter.workflow.endpoints import disable

    _in_house(lambda house: disable(house, endpoint))


@webhooks.command("test")
def webhooks_test(endpoint: str) -> None:
    """Send an endpoint a signed notice about no case, and say what became of it."""
    from arbiter.channels.attempt import Sent
    from arbiter.cli import _in_house, err, out
    from arbiter.workflow.endpoints import try_endpoint

    attempt = _in_house(lambda house: try_endpoint(house, endpoint))
    if not isinstance(attempt, Sent):
        err.print(f"not taken: {attempt.fault}", markup=False)
        raise typer.Exit(1)
    out.print("taken")


@webhooks.command("dead-letters")
def webhooks_dead_letters() -> None:
    """List what was given up, mail included, oldest first."""
    from arbiter.cli import _in_house, _list
    from arbiter.workflow.endpoints import dead_letters

    letters = _in_house(dead_letters)
    _list(
        ("id", "channel", "recipient", "case", "about", "attempts", "given up", "fault"),
        (
            (
                str(letter.id), letter.channel, letter.recipient, letter.case, letter.topic,
                str(letter.attempts), str(letter.dead_at), letter.fault,
            )
            for letter in letters
        ),
    )  # fmt: skip


@webhooks.command("redrive")
def webhooks_redrive(
    letters: Annotated[list[int] | None, typer.Argument(help="Ids that `dead-letters` shows.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
) -> None:
    """Send dead letters anew, under the ids they had."""
    from arbiter.cli import _in_house, out
    from arbiter.workflow.endpoints import redrive

    if bool(letters) == everything:
        raise typer.BadParameter("name the letters, or --all")
    count = _in_house(lambda house: redrive(house, letters or None))
    out.print(f"{count} are sent anew")
