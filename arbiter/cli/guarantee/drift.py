"""`arbiter guarantee drift`, `agreement`, `acknowledge-drift`: what has moved since a protocol version's first cases, and who looked into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import Status
from arbiter.cli.guarantee.group import app
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_rows
from arbiter.cli.persons import PasswordsStdin, ask_passwords, prove
from arbiter.cli.when import to_the_minute

if TYPE_CHECKING:
    from arbiter.store.drifts import DriftAlarm, WindowRow
    from arbiter.workflow.drift.standings import StreamStanding
    from arbiter.workflow.house import House

_COLUMNS = ("protocol", "version", "stream", "cases", "evidence", "alarmed", "anew")
_JSON_COLUMNS = ("protocol", "version", "stream", "cases", "reference", "one_in", "alarmed", "anew")
_WINDOW_COLUMNS = ("protocol", "version", "asks", "window", "cases", "alpha", "ended")
_MOST_WINDOWS = 10_000


@app.command("drift", epilog=examples("arbiter guarantee drift", "arbiter guarantee drift --json"))
def guarantee_drift(*, as_json: AsJson = False) -> None:
    """Show what has moved since the first cases of each protocol version: the facts its members read, how far they agree.

    Evidence of 1 in 400 says: in one of 400 streams that never change is this much ever found, at most. A running service counts
    each case about a minute after it has concluded; training cases do not count. An alarm stops no decision.

    Exit status: 0 no alarm stands, 1 one does.
    """

    async def work(house: House) -> tuple[StreamStanding, ...]:
        from arbiter.workflow.drift.standings import drift_standings

        return await drift_standings(house)

    standings = in_house(work)
    if as_json:
        show_rows(_JSON_COLUMNS, (_json_row(each) for each in standings), as_json=True)
    else:
        show_rows(_COLUMNS, (_row(each) for each in standings), as_json=False)
    if any(each.alarmed_at is not None for each in standings):
        raise typer.Exit(Status.FAILED)


@app.command(
    "agreement", epilog=examples("arbiter guarantee agreement", "arbiter guarantee agreement --json")
)
def guarantee_agreement(*, as_json: AsJson = False) -> None:
    """Show how far members agreed beyond chance, a row for each 200 cases in turn: Krippendorff's alpha.

    1 is full agreement, 0 what chance would bring; without a value where nobody ever named but one option. `asks` is the question
    or a facet that at least two seats answer.
    """

    async def work(house: House) -> tuple[WindowRow, ...]:
        from arbiter.store.drifts import load_windows

        return tuple(await load_windows(house.store, _MOST_WINDOWS))

    rows = (
        (row.protocol, row.version, row.asks, row.number, row.cases, row.alpha, row.ended_at)
        for row in in_house(work)
    )
    show_rows(_WINDOW_COLUMNS, rows, as_json=as_json)


@app.command(
    "acknowledge-drift",
    epilog=examples(
        "arbiter guarantee acknowledge-drift deterioration fact.heart_rate --as paula "
        '--reason "new monitors since Monday, checked against the old ones"'
    ),
)
def guarantee_acknowledge_drift(
    protocol: Annotated[str, typer.Argument(help="The protocol's id.", show_default=False)],
    stream: Annotated[
        str, typer.Argument(help="What moved, as `arbiter guarantee drift` names it.", show_default=False)
    ],
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            help="What was found; kept in the clear, in the log for good. Name no patient.",
            show_default=False,
        ),
    ],
    login: Annotated[
        str, typer.Option("--as", help="Your login; you need the role policy-approver.", show_default=False)
    ],
    *,
    password_stdin: PasswordsStdin = False,
) -> None:
    """End an alarm that you have looked into: the stream begins anew, and the next cases are what later ones are compared with.

    It alarms more reluctantly from then on, so that alarms stay as rarely false as was promised. The log says who did it.
    """
    passwords = ask_passwords([login], from_stdin=password_stdin)

    async def work(house: House) -> tuple[DriftAlarm, ...]:
        from arbiter.workflow.drift.acknowledging import acknowledge_drift

        (by,) = await prove(house, [login], passwords)
        return await acknowledge_drift(house, by, protocol, stream, reason)

    for alarm in in_house(work):
        since = to_the_minute(alarm.alarmed_at)
        out.print(
            f"{alarm.protocol} {alarm.version} {alarm.stream}: acknowledged the alarm of {since}; begun anew",
            markup=False,
        )


def _row(each: StreamStanding) -> tuple[object, ...]:
    return (
        each.protocol,
        each.version,
        each.stream,
        each.cases,
        _evidence(each),
        each.alarmed_at,
        each.run,
    )


def _json_row(each: StreamStanding) -> tuple[object, ...]:
    return (
        each.protocol,
        each.version,
        each.stream,
        each.cases,
        each.reference,
        None if each.one_in is None else round(each.one_in, 3),
        each.alarmed_at,
        each.run,
    )


def _evidence(each: StreamStanding) -> str:
    """Return in words how much is found against nothing having changed."""
    if each.one_in is None:
        return f"none yet: {each.cases} of its first {each.reference} cases"
    return f"1 in {each.one_in:,.0f}"
