"""Times `decide` on a panel of seven members with five samples each, and tells by module where that time goes.

The panel's calibration is fitted on drawn cases and lets everything through, so that the whole decision is made. All
members lean to one option, and those missing are of one family: then every answer that they could have given leads to
the same decision, and all are weighed. The policy permits at no cost; a hospital's own is its own to measure.
"""

from __future__ import annotations

import cProfile
import pstats
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from arbiter.adjudication import Bench, decide
from arbiter.calibrating.fitting import fit
from arbiter.calibrating.making import provisional
from arbiter.calibration import Calibration, Labels
from arbiter.documents.calibrations import sealed
from arbiter.documents.opinions import identity_hash
from arbiter.model import (
    MemberId,
    MemberIdentity,
    MemberStatus,
    Opinion,
    PolicyOutcome,
    RiskClass,
    RuleEffect,
    RuleHit,
)
from arbiter.question import (
    QUESTION,
    Adjudication,
    Guarantee,
    ModelSpec,
    Option,
    Protocol,
    Question,
    Seat,
    Strategy,
    Timers,
)
from benchmarks.adjudication.comparing import FIT, FITTING, SETTINGS, TEMPERING
from benchmarks.adjudication.panels import draw_cases, draw_panel, labelled

PANEL: Final = SETTINGS[0]
OPTIONS: Final = ("one", "two", "three")
VOTES: Final = ((5, 0, 0), (4, 1, 0), (5, 0, 0), (5, 0, 0), (4, 0, 1), (5, 0, 0), (5, 0, 0))
MISSING: Final = (0, 1, 2, 3)

_AT: Final = datetime(2026, 11, 27, tzinfo=UTC)
_HASH: Final = "0" * 64
_PERMITS: Final = PolicyOutcome(
    OPTIONS, (RuleHit("permits", RuleEffect.PERMIT, (), "Nothing is against it."),), (), _HASH
)


@dataclass(frozen=True, slots=True)
class Took:
    """Microseconds of processor time to decide with so many members missing; `kind` is what came of it."""

    strategy: Strategy
    missing: int
    median_us: float
    ninety_us: float
    kind: str


def time_decide(times: int) -> list[Took]:
    """Return how long deciding takes, so many times each; the more are missing, the fewer times."""
    return [
        _timed(_bench(strategy), strategy, missing, max(5, times // 4**missing))
        for strategy in (Strategy.POSTERIOR, Strategy.MAJORITY)
        for missing in MISSING
    ]


def profile_decide(times: int) -> Mapping[str, float]:
    """Return the share of each module in deciding under the posterior with nobody missing, dearest first."""
    bench, opinions = _bench(Strategy.POSTERIOR), _opinions(0)
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(times):
        decide(bench, opinions, _policy)
    profile.disable()
    found: defaultdict[str, float] = defaultdict(float)
    for (file, _, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        found[Path(file).stem if file.endswith(".py") else f"C: {name.strip('<>')}"] += own
    whole = sum(found.values())
    return {part: own / whole for part, own in sorted(found.items(), key=lambda item: -item[1])}


def _timed(bench: Bench, strategy: Strategy, missing: int, times: int) -> Took:
    opinions = _opinions(missing)
    kind = decide(bench, opinions, _policy).kind
    seconds = sorted(_seconds(lambda: decide(bench, opinions, _policy)) for _ in range(times))
    return Took(
        strategy,
        missing,
        1e6 * statistics.median(seconds),
        1e6 * seconds[min(times - 1, int(0.9 * times))],
        kind.value,
    )


def _seconds(what: Callable[[], object]) -> float:
    """Return the thread's own processor time: deciding waits for nothing, and a busy neighbour is not its cost."""
    began = time.thread_time()
    what()
    return time.thread_time() - began


def _policy(facets: Mapping[str, str], valid: int) -> PolicyOutcome:  # noqa: ARG001 - whatever was said
    return _PERMITS


def _identity(member: str) -> MemberIdentity:
    return MemberIdentity("vllm", member, "1", _HASH)


def _opinions(missing: int) -> Sequence[Opinion]:
    return [
        Opinion(
            member=MemberId(f"m{at}"),
            asks=QUESTION,
            status=MemberStatus.VALID,
            facts_hash=_HASH,
            votes=tuple((option, count) for option, count in zip(OPTIONS, counts, strict=True) if count),
            samples=sum(counts),
            evidence=(),
            missing=(),
            rationale="",
            identity=_identity(f"m{at}"),
            asked_at=_AT,
            answered_at=_AT,
        )
        for at, counts in list(enumerate(VOTES))[missing:]
    ]


def _bench(strategy: Strategy) -> Bench:
    wait = timedelta(minutes=1)
    model = ModelSpec("server", "model", "1", None, None, "bfloat16", "1", 5, Decimal(1), Decimal(1), 100)
    protocol = Protocol(
        id="bench",
        version="1.0.0",
        title="Bench",
        question=Question(
            "Which?",
            tuple(Option(option, option.capitalize()) for option in OPTIONS),
            (),
            tuple((risk, Timers(wait, wait, wait, wait)) for risk in RiskClass),
            (),
        ),
        facets=(),
        seats=tuple(
            Seat(MemberId(f"m{at}"), f"M{at}", QUESTION, "vllm", "m", family, Decimal(1), False, (), model)
            for at, family in enumerate(PANEL.families)
        ),
        adjudication=_settings(strategy),
        rules=(),
        duty_group="bench",
        content_hash=_HASH,
        policy_hash=_HASH,
    )
    calibration = _calibration(protocol) if strategy is Strategy.POSTERIOR else None
    return Bench(protocol, _HASH, RiskClass.ROUTINE, calibration=calibration)


def _settings(strategy: Strategy) -> Adjudication:
    posterior, alpha = strategy is Strategy.POSTERIOR, Decimal("0.05")
    return Adjudication(
        strategy=strategy,
        automatic=True,
        threshold=None if posterior else Decimal("0.5"),
        least_valid=2,
        least_families=1,
        least_effective=Decimal(1),
        greatest_between=Decimal(1),
        greatest_within=Decimal(1),
        family_correlation=Decimal("0.5"),
        asks_for_facts=False,
        guarantee=Guarantee(alpha, tuple((option, alpha) for option in OPTIONS)) if posterior else None,
    )


def _calibration(protocol: Protocol) -> Calibration:
    chance = random.Random("timing")
    panel = draw_panel(PANEL, chance)
    fitting, tempering = (
        labelled(draw_cases(panel, number, chance), len(OPTIONS)) for number in (FITTING, TEMPERING)
    )
    identities = {seat.member: identity_hash(_identity(seat.member)) for seat in protocol.seats}
    labels = Labels(
        _HASH, _HASH, (("synthetic", FITTING + TEMPERING),), FITTING, TEMPERING, 0, synthetic=True
    )
    fitted = fit(fitting, tempering, PANEL.families, FIT)
    return sealed(provisional(protocol, identities, fitted, FIT, labels, "bench"))
