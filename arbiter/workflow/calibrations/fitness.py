"""Whether a calibration fits the protocol it names: what a second person is never asked to find out by reading numbers.

Deciding reads the threshold and believes the rest, so what the calibration states is held here against what the protocol
promises, and each bound against the counts it is said to follow from.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from arbiter.calibrating.binomial import upper_bound
from arbiter.calibrating.looks import MARKS, are_marks
from arbiter.calibration import Calibration, Level, Stratum, is_synthetic
from arbiter.errors import Problem
from arbiter.question import QUESTION, Guarantee, Protocol

_ROUNDING: Final = Decimal("0.000000001")
"""What halving may leave of an exact bound; a calibration's own is rounded up to six decimals."""


def misfits(
    calibration: Calibration, protocol: Protocol | None, *, demonstration: bool
) -> tuple[Problem, ...]:
    """Return why nothing may be decided by a calibration, given the version in force of the protocol it names (None: none)."""
    if protocol is None:
        return (_problem("/protocol/id", "unknown", "a protocol that is in force here"),)
    if calibration.protocol_hash != protocol.content_hash:
        expected = (
            f"the version of {protocol.id} that is in force here, {protocol.version} {protocol.content_hash}"
        )
        return (_problem("/protocol/hash", "unknown", expected),)
    guarantee = protocol.adjudication.guarantee
    if guarantee is None:
        return (_problem("/protocol/id", "out-of-place", "a protocol that decides by the posterior"),)
    return (
        *_of_the_panel(calibration, protocol),
        *_of_the_guarantee(calibration, guarantee),
        *_of_the_labels(calibration, demonstration=demonstration),
    )


def fitting_bundled(calibration: Calibration | None, protocol: Protocol) -> Calibration | None:
    """Return what came in a protocol's bundle, None where there is nothing or it does not fit: it counts in a demonstration alone."""
    if calibration is None or misfits(calibration, protocol, demonstration=True):
        return None
    return calibration


def _of_the_panel(calibration: Calibration, protocol: Protocol) -> Iterator[Problem]:
    named = (calibration.protocol, calibration.protocol_version)
    if named != (protocol.id, protocol.version):
        yield _problem("/protocol", "out-of-place", f"{protocol.id} {protocol.version}, which has that hash")
    options = protocol.question.option_ids()
    if calibration.options != options:
        yield _problem("/options", "out-of-place", f"the question's: {', '.join(options)}")
    voting = sorted(seat.member for seat in protocol.seats if seat.asks == QUESTION)
    if sorted(record.member for record in calibration.records) != voting:
        yield _problem("/members", "out-of-place", f"the voting members: {', '.join(voting)}")
    others = sorted(seat.member for seat in protocol.seats if seat.asks != QUESTION)
    if [member for member, _ in calibration.facet_members] != others:
        expected = ", ".join(others) or "nobody"
        yield _problem("/facet_members", "out-of-place", f"the members that answer facets: {expected}")


def _of_the_guarantee(calibration: Calibration, guarantee: Guarantee) -> Iterator[Problem]:
    if calibration.delta > guarantee.delta:
        yield _problem("/delta", "out-of-range", f"at most the protocol's {guarantee.delta}")
    rates = dict(guarantee.error_rates)
    for at, stratum in enumerate(calibration.strata):
        place = f"/strata/{at}"
        if stratum.option not in rates:
            yield _problem(f"{place}/option", "out-of-place", f"one of {', '.join(sorted(rates))}")
        elif stratum.alpha > rates[stratum.option]:
            yield _problem(f"{place}/alpha", "out-of-range", f"at most {rates[stratum.option]}")
        for number, level in enumerate(stratum.tested):
            if level.bound + _ROUNDING < _least_bound(level, calibration.delta):
                counts = f"{level.errors} errors of {level.accepted}"
                expected = f"at least what {counts} leave possible"
                yield _problem(f"{place}/tested/{number}/bound", "out-of-range", expected)


def _of_the_labels(calibration: Calibration, *, demonstration: bool) -> Iterator[Problem]:
    labels = calibration.labels
    # The flag and the counts are said by the same file; one of the two is enough to be taken at its word.
    invented = any(is_synthetic(name) and count for name, count in labels.provenance)
    if invented and not labels.synthetic:
        yield _problem("/labels/synthetic", "out-of-place", "true, as its provenance says")
    elif labels.synthetic and not demonstration:
        yield _problem("/labels/synthetic", "out-of-place", "labels of real cases: this is no demonstration")
    labelled = sum(count for _, count in labels.provenance)
    if not (invented or labels.synthetic or are_marks(labels.marks, labels.guarantee)):
        most = min(MARKS, labels.guarantee)
        yield _problem(
            "/labels/marks", "out-of-range", f"{most} marks of the cases it was certified on, sorted"
        )
    if labelled != labels.fitting + labels.tempering + labels.guarantee:
        yield _problem("/labels/provenance", "out-of-range", "each case of the three sets, counted once")
    if sum(map(_loosest, calibration.strata)) > labels.guarantee:
        yield _problem(
            "/strata", "out-of-range", f"at most the {labels.guarantee} cases of the guarantee set"
        )


def _loosest(stratum: Stratum) -> int:
    return max((level.accepted for level in stratum.tested), default=0)


def _least_bound(level: Level, delta: Decimal) -> Decimal:
    return Decimal(upper_bound(level.errors, level.accepted, float(delta)))


def _problem(pointer: str, code: str, expected: str) -> Problem:
    return Problem(pointer, code, f"expected {expected}")
