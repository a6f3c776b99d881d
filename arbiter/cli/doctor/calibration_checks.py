"""What `arbiter doctor` looks at about stated error rates: which protocols state one, and whether a calibration certifies it."""

from __future__ import annotations

from collections.abc import Iterator

from arbiter.calibration import Calibration
from arbiter.cli.doctor.findings import Finding
from arbiter.cli.when import to_the_minute
from arbiter.errors import ArbiterError
from arbiter.protocols.bundle import Bundle
from arbiter.question import Protocol, Strategy
from arbiter.settings import Mode, Settings
from arbiter.store.calibration_steps import StepsRow, load_steps
from arbiter.store.calibrations import load_calibration
from arbiter.store.transaction import Where
from arbiter.workflow.calibrations.fitness import fitting_bundled
from arbiter.workflow.calibrations.in_force import ApprovedCalibrations
from arbiter.workflow.calibrations.standings import approved_among, newest_approved
from arbiter.workflow.protocol_checking import bundles

_CHECK = "calibration"


async def calibrations(settings: Settings, where: Where) -> tuple[Finding, ...]:
    """Look at what every protocol in force that decides alone states and is certified by."""
    try:
        current = {bundle.protocol.id: bundle for bundle in bundles(settings.protocols)}
    except ArbiterError as error:
        advice = "correct the folder that ARBITER_PROTOCOLS names: Arbiter does not start with it"
        return (Finding(_CHECK, "fail", str(error), advice),)
    unstated = tuple(
        _unstated(settings, bundle.protocol)
        for _, bundle in sorted(current.items())
        if bundle.protocol.adjudication.lacks_error_rate
    )
    deciding = [
        bundle
        for _, bundle in sorted(current.items())
        if bundle.protocol.adjudication.strategy is Strategy.POSTERIOR
    ]
    if not deciding:
        return (Finding(_CHECK, "ok", "no protocol in force decides by one"), *unstated)
    rows = await load_steps(where)

    async def fetch(content_hash: str) -> Calibration:
        return await load_calibration(where, content_hash)

    approved = await approved_among(rows, fetch)
    return (*_findings(settings, deciding, rows, approved), *unstated)


def _unstated(settings: Settings, protocol: Protocol) -> Finding:
    states_none = f"no error rate is stated for its strategy {protocol.adjudication.strategy.value}"
    if not settings.needs_error_rate:
        return Finding(_CHECK, "ok", f"{protocol.id}: in production every case would escalate: {states_none}")
    advice = "let it decide by the posterior under a guarantee, or say `automatic: false`: a clinician decides either way"
    return Finding(_CHECK, "warn", f"{protocol.id}: every case escalates: {states_none}", advice)


def _findings(
    settings: Settings, deciding: list[Bundle], rows: tuple[StepsRow, ...], approved: ApprovedCalibrations
) -> Iterator[Finding]:
    newest = newest_approved(rows)
    demonstration = settings.mode is Mode.DEMONSTRATION
    for bundle in deciding:
        protocol = bundle.protocol
        row = newest.get(protocol.content_hash)
        bundled = fitting_bundled(bundle.calibration, protocol)
        counts = approved.in_force(protocol.content_hash, bundled, demonstration=demonstration)
        if counts is None:
            yield _none_in_force(protocol.id, protocol.content_hash, row, rows)
        elif row is not None and row.approved is not None:
            since = to_the_minute(row.approved.at)
            yield Finding(_CHECK, "ok", f"{protocol.id}: {counts.content_hash} in force since {since}")
        else:
            found = f"{protocol.id}: {counts.content_hash} in force, which came with its bundle: a demonstration's"
            yield Finding(_CHECK, "ok", found)
        if counts is not None:
            yield from _one_option_alone(counts)


def _one_option_alone(calibration: Calibration) -> Iterator[Finding]:
    """Warn where an audit tells its reader what was decided: nothing else could have been."""
    certified = [stratum.option for stratum in calibration.strata if stratum.certified is not None]
    if len(certified) == 1:
        found = f"{calibration.protocol}: {certified[0]} alone is certified, so an audit tells its reader what was decided"
        advice = "label more cases until another option is certified too; till then what audits find is no independent check"
        yield Finding(_CHECK, "warn", found, advice)


def _none_in_force(
    name: str, protocol_hash: str, refused: StepsRow | None, rows: tuple[StepsRow, ...]
) -> Finding:
    escalates = f"{name}: every case escalates"
    if refused is not None:
        found = f"{escalates}: {refused.calibration} was approved and is not taken: synthetic labels, or not what was approved"
        advice = "`arbiter calibration show` says which; propose one of real labels"
        return Finding(_CHECK, "fail", found, advice)
    waiting = [
        row.calibration
        for row in rows
        if row.protocol_hash == protocol_hash and row.approved is None and row.withdrawn is None
    ]
    if waiting:
        advice = f"somebody else than its proposer: `arbiter calibration approve {waiting[-1]} --as LOGIN`"
        return Finding(_CHECK, "warn", f"{escalates}: no calibration is approved, one is proposed", advice)
    others = [row for row in newest_approved(rows).values() if row.protocol == name]
    why = "those approved are for other versions" if others else "no calibration is in force"
    advice = (
        "make one from labelled cases, then `arbiter calibration propose` and, by somebody else, `approve`"
    )
    return Finding(_CHECK, "warn", f"{escalates}: {why}", advice)
