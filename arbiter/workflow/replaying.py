"""An auditor's use case over every case: each certificate is made again, and what does not come out the same is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from arbiter.errors import (
    ArbiterError,
    ConfigurationError,
    ErasedError,
    NotFoundError,
    RefusedError,
    UndecidableError,
    VerificationError,
)
from arbiter.model import CaseId
from arbiter.store.cases.heads import count_cases, load_case_ids
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.house import House

PAGE: Final = 500
MOST_FINDINGS: Final = 100
"""So many are told one by one: whatever was changed for all cases would else be told as often as there are cases."""

_UNREADABLE = (
    VerificationError,
    RefusedError,
    UndecidableError,
    NotFoundError,
    ConfigurationError,
    KeyError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Unlike:
    """What is not as recorded: the case, the entry's number where one is at fault, and what in words."""

    case: CaseId
    entry: int | None
    said: str


@dataclass(frozen=True, slots=True)
class ReplayedCases:
    """What replaying every case came to.

    `certificates` came out the same; `unlike` cases have something that did not, of which `found` names the first
    `MOST_FINDINGS`. Of `erased` cases nothing is left to replay.
    """

    cases: int
    certificates: int
    erased: int
    unlike: int
    found: tuple[Unlike, ...]


async def replay_cases(house: House, progress: Callable[[int, int], None] | None = None) -> ReplayedCases:
    """Make every certificate of every case again from its recorded inputs and compare the bytes.

    `progress` hears (cases replayed, cases in all). Cases that come in meanwhile may be among them.
    """
    async with house.store.read() as transaction:
        total = await count_cases(transaction)
    cases = certificates = erased = unlike = 0
    found: list[Unlike] = []
    after = CaseId("")
    while page := await _page(house, after):
        after = page[-1]
        for case in page:
            cases += 1
            try:
                same, findings = await _replay(house, case)
            except ErasedError:
                erased += 1
            else:
                certificates += same
                unlike += bool(findings)
                found += findings[: MOST_FINDINGS - len(found)]
            if progress is not None:
                progress(cases, max(cases, total))
    return ReplayedCases(cases, certificates, erased, unlike, tuple(found))


async def _page(house: House, after: CaseId) -> tuple[CaseId, ...]:
    async with house.store.read() as transaction:
        return await load_case_ids(transaction, after, PAGE)


async def _replay(house: House, case: CaseId) -> tuple[int, list[Unlike]]:
    """Return how many of a case's certificates came out the same, and what did not."""
    try:
        steps = await replay_case(house, case)
    except _UNREADABLE as error:
        said = str(error) if isinstance(error, ArbiterError) else "what is kept of it cannot be read"
        return 0, [Unlike(case, None, said)]
    unlike = [Unlike(case, step.seq, step.said) for step in steps if not step.same]
    return len(steps) - len(unlike), unlike
