"""Reads a calibration for deciding: whose record stands in it, how alike these members err, what their word is worth.

A calibration is read once and kept: every case of a protocol asks the same of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from arbiter.adjudication.bench import Bench, Heard
from arbiter.adjudication.posterior import Matrix, Shares, log_posterior, tempered
from arbiter.calibration import Calibration
from arbiter.model import MemberId, Reason, ReasonCode


@dataclass(frozen=True, slots=True)
class Records:
    """A calibration as numbers; `places` says where a member stands in `reliabilities`, `correlations` and `identities`."""

    places: dict[MemberId, int]
    identities: tuple[str, ...]
    facet_members: dict[MemberId, str]
    prior: Shares
    reliabilities: tuple[Matrix, ...]
    correlations: tuple[tuple[Fraction, ...], ...]
    temperature: float

    def knows(self, voice: Heard) -> bool:
        """Tell whether whoever answered, or abstained, in a seat is whom the calibration was made with."""
        if voice.votes_on_question:
            return self.place(voice) is not None
        return voice.identity in {None, self.facet_members.get(voice.seat.member)}

    def place(self, voice: Heard) -> int | None:
        """Return where the record of whoever answered stands, or None when it is nobody's whom the calibration knows."""
        place = self.places.get(voice.seat.member)
        if place is None or voice.identity not in {None, self.identities[place]}:
            return None
        return place


@lru_cache(maxsize=64)
def _read(calibration: Calibration) -> Records:
    return Records(
        places={record.member: place for place, record in enumerate(calibration.records)},
        identities=tuple(record.identity for record in calibration.records),
        facet_members=dict(calibration.facet_members),
        prior=tuple(map(float, calibration.prior)),
        reliabilities=tuple(
            tuple(tuple(map(float, row)) for row in record.reliability) for record in calibration.records
        ),
        correlations=tuple(tuple(map(Fraction, row)) for row in calibration.correlations),
        temperature=float(calibration.temperature),
    )


def records_of(bench: Bench) -> Records | None:
    """Return the records that count on this bench; None without a calibration of exactly this protocol and its options."""
    calibration = bench.calibration
    if calibration is None or calibration_fault(bench) is not None:
        return None
    return _read(calibration)


def calibration_fault(bench: Bench) -> str | None:
    """Return in words why there is nothing to decide by, or None when there is."""
    if bench.calibration is None:
        return "no calibration is in force"
    if bench.calibration.protocol_hash != bench.protocol.content_hash:
        return "the calibration is for another version of the protocol"
    if bench.calibration.options != bench.option_ids():
        return "the calibration is for other options"
    guarantee = bench.settings.guarantee
    rates = {} if guarantee is None else dict(guarantee.error_rates)
    if guarantee is None or bench.calibration.delta > guarantee.delta:
        return "the calibration promises less than the protocol"
    if any(stratum.alpha > rates.get(stratum.option, -1) for stratum in bench.calibration.strata):
        return "the calibration promises less than the protocol"
    return None


def record_reasons(bench: Bench, heard: Iterable[Heard]) -> list[Reason]:
    """Return why what came cannot be weighed by what is known of the members: of those that abstained too."""
    fault = calibration_fault(bench)
    if fault is not None:
        return [Reason(ReasonCode.NO_CALIBRATION, fault)]
    records = records_of(bench)
    return [
        Reason(ReasonCode.UNRECORDED_MEMBER, voice.seat.title)
        for voice in heard
        if records is None or (not voice.is_missing and not records.knows(voice))
    ]


def places_of(records: Records | None, voices: Sequence[Heard]) -> tuple[int, ...] | None:
    """Return where all these members stand in the records, or None when one of them stands nowhere."""
    if records is None:
        return None
    found = tuple(place for voice in voices if (place := records.place(voice)) is not None)
    return found if len(found) == len(voices) else None


def posterior_of(
    records: Records, places: Sequence[int], weights: Sequence[Fraction], distributions: Sequence[Shares]
) -> tuple[float, ...]:
    """Return the probability of each option, given what the members at `places` said and how much each counts."""
    reliabilities = [records.reliabilities[place] for place in places]
    logarithms = log_posterior(records.prior, reliabilities, tuple(map(float, weights)), distributions)
    return tempered(logarithms, records.temperature)
