"""`arbiter guarantee show`: what audits found, what waits for readers, what is stopped, and how soon more errors are noticed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import Status, UsageError
from arbiter.cli.guarantee.group import app
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_json, show_rows
from arbiter.cli.when import to_the_minute
from arbiter.errors import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arbiter.workflow.house import House
    from arbiter.workflow.watching.standings import GuaranteeStanding, Watched


_COLUMNS = (
    "protocol",
    "claim",
    "limit",
    "audited",
    "wrong",
    "estimate",
    "at_most",
    "evidence",
    "audits_to_alarm",
    "decisions_to_alarm",
)


@app.command("show", epilog=examples("arbiter guarantee show", "arbiter guarantee show deterioration --json"))
def guarantee_show(
    protocol: Annotated[str | None, typer.Argument(help="This protocol alone.", show_default=False)] = None,
    *,
    share: Annotated[
        str | None,
        typer.Option(
            "--share",
            help="What auditing this share of decisions would mean, above 0 and at most 1; else ARBITER_AUDIT_SHARE.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how the stated error rates hold up: what clinicians found who read decisions without seeing them.

    An alarm stops everything that its protocol decides alone until it is lifted. Decisions that wait too long for their readers
    stop it too, until they are read.

    Wrong may be, of decisions for an option or of a member's answers, the share in `limit`. `estimate` is of all decisions since the
    calibration came in force, `at_most` its upper bound. `evidence` is how far the alarm is. The last two columns: after how many
    audits, and so decisions, it would come on average if from now on twice as many were wrong as may be.

    Exit status: 0 nothing is stopped and no alarm stands, 1 something is.
    """
    audited = None if share is None else _share(share)

    async def work(house: House) -> tuple[tuple[GuaranteeStanding, ...], float]:
        from arbiter.workflow.calibrations.standings import look_for_approved
        from arbiter.workflow.watching.standings import guarantees

        await look_for_approved(house)
        found = await guarantees(house, audited, protocol)
        return found, float(house.settings.audit_share) if audited is None else audited

    standings, told = in_house(work)
    if as_json:
        show_json([_document(standing, told) for standing in standings])
    else:
        _tell(standings, protocol)
    if any(standing.stop is not None or standing.alarms for standing in standings):
        raise typer.Exit(Status.FAILED)


def _tell(standings: tuple[GuaranteeStanding, ...], protocol: str | None) -> None:
    for line in (line for standing in standings for line in _lines(standing)):
        out.print(line, markup=False)
    if not standings:
        out.print(
            "no protocol in force states an error rate"
            if protocol is None
            else f"protocol {protocol} states no error rate"
        )
    rows = [_row(standing, watched) for standing in standings for watched in standing.watched]
    show_rows(_COLUMNS, rows, as_json=False)


def _share(text: str) -> float:
    try:
        share = float(Decimal(text))
    except ArithmeticError:
        share = 0.0
    if not 0.0 < share <= 1.0:
        raise UsageError(f"--share: expected a number above 0 and at most 1, got {text}")
    return share


def _lines(standing: GuaranteeStanding) -> Iterator[str]:
    """Yield what is wrong, or waits, of a protocol."""
    name = standing.protocol
    if standing.calibration is None:
        yield f"{name}: no calibration is in force: every case escalates"
    for alarm in standing.alarms:
        at = to_the_minute(alarm.at)
        # A member's warns and stops nothing.
        word = "ALARM" if alarm.kind.value == "option" else "warning"
        yield f"{name}: {word} since {at}: {alarm.kind.value} {alarm.target}; lift it with `arbiter guarantee lift`"
    if standing.stop is not None:
        yield f"{name}: NOTHING IS DECIDED ALONE: {_STOPS[standing.stop.value]}"
    if standing.waiting is not None:
        since = to_the_minute(standing.waiting.oldest)
        again = f", {standing.waiting.doubted} of them by a second reader" if standing.waiting.doubted else ""
        told = counted(standing.waiting.count, "decision")
        yield f"{name}: {told} to be read{again}, the longest since {since}"


_STOPS = {
    "frozen": "an alarm stands",
    "behind": "a decision has waited for its readers longer than ARBITER_AUDIT_DAYS",
}


def _row(standing: GuaranteeStanding, watched: Watched) -> tuple[object, ...]:
    tally, delay = watched.tally, watched.delay
    claim = tally.claim
    return (
        standing.protocol,
        claim.target if claim.kind.value == "option" else f"member {claim.target}",
        _percent(claim.alpha),
        tally.audits,
        tally.errors,
        None if watched.estimate is None else _percent(watched.estimate),
        None if watched.bound is None else _percent(watched.bound),
        f"{100 * tally.way_to_alarm:.0f}%",
        "not sure" if delay.audits is None else f"{delay.audits:.0f}",
        "not sure" if delay.decisions is None else f"{delay.decisions:.0f}",
    )


def _percent(rate: float) -> str:
    return f"{100.0 * rate:.3g}%"


def _document(standing: GuaranteeStanding, share: float) -> dict[str, Any]:
    waiting = standing.waiting
    return {
        "protocol": standing.protocol,
        "calibration": None if standing.calibration is None else standing.calibration.content_hash,
        "stop": standing.stop,
        "share": share,
        "waiting": 0 if waiting is None else waiting.count,
        "waiting_for_a_second_reader": 0 if waiting is None else waiting.doubted,
        "waiting_since": None if waiting is None else waiting.oldest,
        "alarms": [
            {"kind": alarm.kind, "target": alarm.target, "calibration": alarm.calibration, "at": alarm.at}
            for alarm in standing.alarms
        ],
        "claims": [_claim_document(watched) for watched in standing.watched],
    }


def _claim_document(watched: Watched) -> dict[str, Any]:
    tally, claim = watched.tally, watched.tally.claim
    return {
        "kind": claim.kind,
        "target": claim.target,
        "alpha": claim.alpha,
        "delta": claim.delta,
        "lifts": claim.lifts,
        "audits": tally.audits,
        "errors": tally.errors,
        "log_evidence": tally.path[-1] if tally.path else None,
        "estimate": watched.estimate,
        "bound": watched.bound,
        "delay": {
            "rate": watched.delay.rate,
            "audits": watched.delay.audits,
            "decisions": watched.delay.decisions,
        },
    }
