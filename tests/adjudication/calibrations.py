"""A calibration that lets a small panel decide, to be bent by each test: every member right nine times in ten, alone in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from arbiter.calibration import Calibration, Labels, Level, MemberRecord, Stratum
from arbiter.documents.calibrations import sealed
from arbiter.documents.opinions import identity_hash
from arbiter.model import MemberIdentity
from arbiter.question import QUESTION, Protocol

LABELS = Labels("a" * 64, "b" * 64, (("synthetic", 900),), 360, 90, 450, synthetic=True)
RIGHT = Decimal("0.9")
ALPHA = Decimal("0.05")
"""Of an option for which the protocol states none."""


def identity(member: str) -> MemberIdentity:
    """What answers in a small panel's seat."""
    return MemberIdentity("score", member, "1", "d" * 64)


def level(threshold: str, accepted: int = 200, errors: int = 2, bound: str = "0.031111") -> Level:
    return Level(Decimal(threshold), accepted, errors, Decimal(bound))


def stratum(option: str, threshold: str | None = "0.8", alpha: Decimal = ALPHA) -> Stratum:
    held = () if threshold is None else (level(threshold),)
    return Stratum(option, alpha, held[0] if held else None, held)


def matrix(size: int, right: Decimal = RIGHT) -> tuple[tuple[Decimal, ...], ...]:
    """Right with this chance whatever the truth is, and else as likely one of the others as another."""
    wrong = (1 - right) / (size - 1)
    return tuple(tuple(right if said == truth else wrong for said in range(size)) for truth in range(size))


def calibration(
    protocol: Protocol,
    thresholds: Mapping[str, str | None] | None = None,
    reliability: Mapping[str, Sequence[Sequence[str]]] | None = None,
    correlations: Mapping[tuple[str, str], str] | None = None,
    **changes: Any,
) -> Calibration:
    """Return a calibration of exactly this protocol; `correlations` names pairs, the others err alone."""
    options = protocol.question.option_ids()
    guarantee = protocol.adjudication.guarantee
    rates = {} if guarantee is None else dict(guarantee.error_rates)
    members = [seat.member for seat in protocol.seats if seat.asks == QUESTION]
    known = {
        member: tuple(tuple(Decimal(number) for number in row) for row in rows)
        for member, rows in (reliability or {}).items()
    }
    alike = {frozenset(pair): Decimal(rho) for pair, rho in (correlations or {}).items()}
    made = Calibration(
        protocol=protocol.id,
        protocol_version=protocol.version,
        protocol_hash=protocol.content_hash,
        options=options,
        prior=(Decimal(1) / len(options),) * len(options),
        records=tuple(
            MemberRecord(member, identity_hash(identity(member)), known.get(member, matrix(len(options))))
            for member in members
        ),
        facet_members=tuple(
            sorted(
                (seat.member, identity_hash(identity(seat.member)))
                for seat in protocol.seats
                if seat.asks != QUESTION
            )
        ),
        correlations=tuple(
            tuple(
                Decimal(1) if one == other else alike.get(frozenset((one, other)), Decimal(0))
                for other in members
            )
            for one in members
        ),
        temperature=Decimal(1),
        delta=Decimal("0.05"),
        strata=tuple(
            stratum(option, (thresholds or {}).get(option, "0.8"), rates.get(option, ALPHA))
            for option in options
        ),
        labels=LABELS,
        smoothing=Decimal(1),
        shrinkage=Decimal(20),
        family_correlation=Decimal("0.5"),
        code_version="0",
        content_hash="",
    )
    return sealed(replace(made, **changes))
