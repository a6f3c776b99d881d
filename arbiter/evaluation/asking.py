"""Takes labelled cases the service's own way, without a database: intake, exclusions, panel, policy, adjudication.

Ages of facts count from a fixed instant, so that a case is as old tomorrow as it is today. Where no model sits on the panel the
clock stands still at it and a second run writes the same bytes; else it runs on from there, for a model's time is worth knowing.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from arbiter import __version__
from arbiter.adjudication.certifying import Circumstances, adjudicate
from arbiter.adjudication.deciding import escalation
from arbiter.documents.taken import TakenFacts
from arbiter.errors import InvalidCaseError
from arbiter.evaluation.cases import Case
from arbiter.evaluation.hearing import Came, Hearing, panel_hash
from arbiter.model import CaseId, Opinion, Verdict
from arbiter.panels.panel import address, ask_panel
from arbiter.ports import Clock
from arbiter.protocols.intake import take_facts
from arbiter.question import Protocol
from arbiter.workflow.shelf import Shelved

TAKEN_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When every case counts as taken in."""


@dataclass(frozen=True, slots=True)
class StandingClock:
    """It is always the instant from which ages count."""

    def now(self) -> datetime:
        """Return that instant."""
        return TAKEN_AT


class RunningClock:
    """Began at the instant from which ages count, and goes on from there."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def now(self) -> datetime:
        """Return that instant and what has passed since."""
        return TAKEN_AT + timedelta(seconds=time.perf_counter() - self._began)


def clock_for(protocol: Protocol) -> Clock:
    """Return the clock that a panel's cases are heard by."""
    models = any(seat.model is not None for seat in protocol.seats)
    return RunningClock() if models else StandingClock()


async def hear_all(
    shelved: Shelved,
    clock: Clock,
    cases: Iterable[Case],
    keep: Callable[[Hearing], None],
    *,
    parallel: int,
) -> None:
    """Put cases to the panel, at most `parallel` at a time, and hand each hearing to `keep` as soon as it is there.

    A member has as long as the protocol gives the panel for the case's risk class.
    """
    left = iter(cases)
    bound = panel_hash(shelved)

    async def work() -> None:
        for case in left:
            keep(await hear(shelved, clock, case, bound))
            # Scores answer at once: without this one worker would go through all cases and nobody could interrupt it.
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(parallel):
            group.create_task(work())


async def hear(shelved: Shelved, clock: Clock, case: Case, bound: str) -> Hearing:
    """Put one case to the panel; `bound` is the panel's hash."""
    try:
        taken = taken_in(shelved, case)
    except InvalidCaseError as error:
        problems = tuple(f"{problem.pointer}: {problem.code}" for problem in error.problems)
        return Hearing(case.id, case.hash, bound, Came.REFUSED, (), None, judge_of(shelved), problems)
    excluded = shelved.exclusion_reasons(taken)
    if excluded:
        return Hearing(case.id, case.hash, bound, Came.EXCLUDED, (), escalation(excluded), judge_of(shelved))
    opinions = await _opinions(shelved, clock, case, taken)
    verdict = _verdict(shelved, case, taken, opinions)
    return Hearing(case.id, case.hash, bound, Came.ASKED, opinions, verdict, judge_of(shelved))


def judge_of(shelved: Shelved) -> str:
    """Return what verdicts come from: the version of the code, and the calibration where the protocol has one."""
    calibration = shelved.bundle.calibration
    return __version__ if calibration is None else f"{__version__}, calibration {calibration.content_hash}"


def judged_again(shelved: Shelved, case: Case, hearing: Hearing) -> Hearing:
    """Return a hearing with the verdict that this code, by this calibration, comes to; nobody is asked again."""
    if hearing.judged_by == judge_of(shelved) or hearing.came is Came.REFUSED:
        return hearing
    taken = taken_in(shelved, case)
    excluded = shelved.exclusion_reasons(taken)
    verdict = escalation(excluded) if excluded else _verdict(shelved, case, taken, hearing.opinions)
    return replace(hearing, verdict=verdict, judged_by=judge_of(shelved))


def taken_in(shelved: Shelved, case: Case) -> TakenFacts:
    """Return a case's facts as the service takes them in at `TAKEN_AT`; raises InvalidCaseError where it would not."""
    facts = take_facts(shelved.protocol.question, case.labelled.raw_facts(TAKEN_AT), TAKEN_AT)
    return TakenFacts.of(facts, TAKEN_AT)


async def _opinions(shelved: Shelved, clock: Clock, case: Case, taken: TakenFacts) -> tuple[Opinion, ...]:
    risk_class = case.labelled.risk_class
    patience = shelved.protocol.timers(risk_class).panel
    # A case draws the same samples whatever is asked before it.
    seed = int.from_bytes(hashlib.sha256(case.id.encode()).digest()[:4]) >> 1
    asked = address(
        shelved.protocol, taken.facts, taken.hash, TAKEN_AT, clock.now() + patience, seed, risk_class
    )
    found: Mapping[str, Opinion] = {
        returned.opinion.member: returned.opinion
        async for returned in ask_panel(shelved.members, asked, clock)
    }
    return tuple(found[seat.member] for seat in shelved.protocol.seats)


def _verdict(shelved: Shelved, case: Case, taken: TakenFacts, opinions: tuple[Opinion, ...]) -> Verdict:
    around = Circumstances(
        CaseId(case.id),
        case.labelled.risk_class,
        False,
        True,
        TAKEN_AT,
        calibration=shelved.bundle.calibration,
    )
    return adjudicate(around, shelved, taken, opinions).verdict
