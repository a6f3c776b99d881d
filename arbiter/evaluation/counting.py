"""Counts what became of cases and what each seat did: what can be said of any panel, voting or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from arbiter.evaluation.ballots import Floats
from arbiter.evaluation.cases import Case
from arbiter.evaluation.figures.members import Counted, MemberFigures, PartCount, Seen
from arbiter.evaluation.hearing import Came, Hearing
from arbiter.evaluation.splitting import Part, part_of
from arbiter.model import MemberStatus, Opinion
from arbiter.question import Seat

PART_NAMES: Final = {Part.FITTING: "fitting", Part.TEMPERING: "temperature", Part.HELD_OUT: "held out"}


def most_first(counter: Counter[str]) -> tuple[Counted, ...]:
    """Return what was counted, the most frequent first and of equals the first by name."""
    return tuple(
        Counted(name, count) for name, count in sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    )


def seen(pairs: Sequence[tuple[Case, Hearing]]) -> Seen:
    """Return what became of all cases, part by part."""
    parts = Counter((part_of(case.id), hearing.came) for case, hearing in pairs)
    verdicts = [hearing.verdict for _, hearing in pairs if hearing.came is Came.ASKED and hearing.verdict]
    excluded = [hearing.verdict for _, hearing in pairs if hearing.came is Came.EXCLUDED and hearing.verdict]
    return Seen(
        cases=len(pairs),
        parts=tuple(
            PartCount(
                PART_NAMES[part],
                sum(parts[part, came] for came in Came),
                *(parts[part, came] for came in (Came.ASKED, Came.EXCLUDED, Came.REFUSED)),
            )
            for part in Part
        ),
        exclusions=most_first(
            Counter(
                f"{reason.code.value}: {reason.detail}" for verdict in excluded for reason in verdict.reasons
            )
        ),
        refusals=most_first(Counter(problem for _, hearing in pairs for problem in hearing.problems)),
        verdicts=most_first(
            Counter(
                f"decide {verdict.option}" if verdict.option is not None else verdict.kind.value
                for verdict in verdicts
            )
        ),
        reasons=most_first(
            # A verdict may give a reason twice, with other details; it is one case all the same.
            Counter(
                code for verdict in verdicts for code in {reason.code.value for reason in verdict.reasons}
            )
        ),
    )


def members(seats: Iterable[Seat], pairs: Sequence[tuple[Case, Hearing]]) -> tuple[MemberFigures, ...]:
    """Return what each seat did over the cases that were put to the panel."""
    by_member: dict[str, list[Opinion]] = {}
    for _, hearing in pairs:
        for opinion in hearing.opinions:
            by_member.setdefault(opinion.member, []).append(opinion)
    return tuple(_member(seat, by_member.get(seat.member, [])) for seat in seats)


def _member(seat: Seat, opinions: Sequence[Opinion]) -> MemberFigures:
    statuses = Counter(opinion.status for opinion in opinions)
    seconds = seconds_of(opinions) if seat.model is not None and opinions else None
    leading = Counter(
        opinion.leading_option() or "no one option"
        for opinion in opinions
        if opinion.status is MemberStatus.VALID
    )
    identities = Counter(
        f"{opinion.identity.name} {opinion.identity.version}, sha256 {opinion.identity.digest[:12]}"
        for opinion in opinions
    )
    return MemberFigures(
        member=seat.member,
        title=seat.title,
        asks=seat.asks,
        family=seat.family,
        kind=seat.backend,
        identities=most_first(identities),
        statuses=tuple(Counted(status.value, statuses[status]) for status in MemberStatus),
        answers=most_first(leading),
        samples=sum(opinion.samples for opinion in opinions) if seat.model is not None else None,
        seconds_median=None if seconds is None else float(np.median(seconds)),
        seconds_p95=None if seconds is None else float(np.quantile(seconds, 0.95)),
    )


def seconds_of(opinions: Iterable[Opinion]) -> Floats:
    """Return how long each answer took."""
    return np.array([(opinion.answered_at - opinion.asked_at).total_seconds() for opinion in opinions])
