"""`arbiter panel canary`: ask every seat its fixed cases now, and say which answer otherwise than they did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import Status, UsageError
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import show_rows
from arbiter.cli.panel.group import app
from arbiter.cli.persons import PasswordsStdin, ask_passwords, check_reason, prove

if TYPE_CHECKING:
    from arbiter.workflow.canaries import LatestCanary
    from arbiter.workflow.house import House

_COLUMNS = (
    "protocol",
    "member",
    "standing",
    "at",
    "p",
    "level",
    "cases",
    "draws",
    "baseline",
    "alarmed",
    "note",
)


@app.command(
    "canary",
    epilog=examples(
        "arbiter panel canary",
        "arbiter panel canary --latest --json",
        'arbiter panel canary --baseline --as paula --reason "weights r8 admitted on 26 November"',
    ),
)
def canary(
    *,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="Only this protocol's seats.", show_default=False)
    ] = None,
    latest: Annotated[
        bool, typer.Option("--latest", help="Ask nobody: show what the newest runs found.")
    ] = False,
    baseline: Annotated[
        bool,
        typer.Option("--baseline", help="Begin anew: what the seats answer now is what counts. Ends alarms."),
    ] = False,
    login: Annotated[
        str | None,
        typer.Option(
            "--as", help="With --baseline: your login; you need the role policy-approver.", show_default=False
        ),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="With --baseline: why; kept in the clear.", show_default=False),
    ] = None,
    password_stdin: PasswordsStdin = False,
    as_json: AsJson = False,
) -> None:
    """Ask every seat the made-up cases that its protocol brings along, and compare its answers with its baseline.

    The comparison is an exact test; a seat whose p is at or below the level has moved. A seat that was never heard, or whose
    identity is new, begins a baseline. Every run is an entry of the log. By itself this is done every night (ARBITER_CANARY_AT).
    In production the seats are proven first, which takes as long as their weights take to read.

    Exit status: 0 no seat has moved, 1 one has and no new baseline was taken since, 4 none has and one could not be asked.
    """
    if baseline and latest:
        raise UsageError("--latest: expected without --baseline")
    if baseline != (login is not None) or baseline != (reason is not None):
        raise UsageError("--baseline, --as and --reason go together")
    words = None if reason is None else check_reason(reason)
    passwords = [] if login is None else ask_passwords([login], from_stdin=password_stdin)

    async def work(house: House) -> tuple[LatestCanary, ...]:
        from arbiter.workflow.canaries import latest_canaries
        from arbiter.workflow.canary.asked_for import begin_anew, run_now

        if protocol is not None:
            house.shelf.in_force(protocol)
        if login is not None and words is not None:
            (by,) = await prove(house, [login], passwords)
            await begin_anew(house, by, protocol, words)
        elif not latest:
            await run_now(house, protocol)
        found = await latest_canaries(house)
        return tuple(seat for seat in found if protocol is None or seat.protocol == protocol)

    seats = in_house(work)
    show_rows(_COLUMNS, (_row(seat) for seat in seats), as_json=as_json)
    _end(seats)


def _row(seat: LatestCanary) -> tuple[object, ...]:
    return (
        seat.protocol,
        seat.member,
        seat.standing.value,
        seat.at,
        seat.p_value,
        seat.level,
        seat.cases,
        seat.draws,
        seat.baseline_at,
        seat.alarmed_at,
        seat.cause,
    )


def _end(seats: tuple[LatestCanary, ...]) -> None:
    from arbiter.workflow.canaries import CanaryStanding

    standings = {seat.standing for seat in seats}
    if CanaryStanding.MOVED in standings:
        raise typer.Exit(Status.FAILED)
    if standings & {CanaryStanding.NOT_ASKED, CanaryStanding.NEVER}:
        raise typer.Exit(Status.UNAVAILABLE)
