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
from arbiter.cli.output import out, show_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arbiter.workflow.house import House
    from arbiter.workflow.watching.standings import GuaranteeStanding, Watched


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
        for line in (line for standing in standings for line in _lines(standing, told)):
            out.print(line, markup=False)
        if not standings:
            out.print("no protocol in force states an error rate")
    if any(standing.stop is not None or standing.alarms for standing in standings):
        raise typer.Exit(Status.FAILED)


def _share(text: str) -> float:
    try:
        share = float(Decimal(text))
    except ArithmeticError:
        share = 0.0
    if not 0.0 < share <= 1.0:
        raise UsageError(f"--share: expected a number above 0 and at most 1, got {text}")
    return share


def _lines(standing: GuaranteeStanding, share: float) -> Iterator[str]:
    yield f"{standing.protocol}: {standing.title}"
    if standing.calibration is None:
        yield "  no calibration is in force: every case escalates"
    for alarm in standing.alarms:
        at = alarm.at.isoformat(sep=" ", timespec="minutes")
        yield f"  ALARM since {at}: {alarm.kind.value} {alarm.target}; lift it with `arbiter guarantee lift`"
    if standing.stop is not None:
        yield f"  NOTHING IS DECIDED ALONE: {_STOPS[standing.stop.value]}"
    if standing.waiting is not None:
        since = standing.waiting.oldest.isoformat(sep=" ", timespec="minutes")
        yield f"  {standing.waiting.count} decisions wait for readers, the longest since {since}"
    for watched in standing.watched:
        yield f"  {_claim(watched)}"
        yield f"    {_found(watched)}"
        yield f"    {_delay(watched, share)}"


_STOPS = {
    "frozen": "an alarm stands",
    "behind": "a decision has waited for its readers longer than ARBITER_AUDIT_DAYS",
}


def _claim(watched: Watched) -> str:
    claim = watched.tally.claim
    what = "decisions for" if claim.kind.value == "option" else "member"
    return f"{what} {claim.target}: wrong in at most {_percent(claim.alpha)}"


def _found(watched: Watched) -> str:
    tally = watched.tally
    if not tally.audits:
        return "nothing was audited yet"
    since = " since the last lift" if tally.claim.lifts else ""
    said = f"{tally.audits} audited{since}, {tally.errors} wrong"
    if watched.estimate is not None and watched.bound is not None:
        said += f"; of all decisions about {_percent(watched.estimate)}, at most {_percent(watched.bound)}"
    return f"{said}; evidence has come {100 * tally.way_to_alarm:.0f}% of the way to the alarm"


def _delay(watched: Watched, share: float) -> str:
    delay = watched.delay
    begin = f"were {_percent(delay.rate)} wrong from now on"
    if delay.audits is None or delay.decisions is None:
        return f"{begin}, the alarm would not be sure to come"
    return (
        f"{begin}, the alarm would come after {delay.audits:.0f} audits on average, "
        f"{delay.decisions:.0f} decisions with {_percent(share)} of them audited"
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
