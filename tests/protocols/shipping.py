"""The shipped protocols by name, and a case taken through one of them as the service does it, without a database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

from arbiter.adjudication.certifying import Circumstances, adjudicate
from arbiter.documents.taken import TakenFacts
from arbiter.model import CaseId, MemberId, Opinion, Reason, VerdictKind
from arbiter.panels.member import Member
from arbiter.panels.panel import address, ask_panel
from arbiter.policy import CompiledPolicy
from arbiter.protocols.bundle import Bundle, LabelledCase
from arbiter.protocols.intake import take_facts
from arbiter.protocols.loader import read_shipped
from arbiter.workflow.shelf import Shelved, shelve


@cache
def shelved(name: str) -> Shelved:
    return shelve(read_shipped(name))


def bundle(name: str) -> Bundle:
    return shelved(name).bundle


def policy(name: str) -> CompiledPolicy:
    return shelved(name).policy


@cache
def examples(name: str) -> dict[str, LabelledCase]:
    return {case.id: case for case in bundle(name).examples}


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


async def run(name: str, case: LabelledCase) -> tuple[str, tuple[Reason, ...], tuple[Opinion, ...]]:
    """Take a case through intake, exclusions, the panel, policy and adjudication, by the service's own functions."""
    return await run_with(shelved(name), shelved(name).members, case)


async def run_with(
    protocol: Shelved, members: Mapping[MemberId, Member], case: LabelledCase
) -> tuple[str, tuple[Reason, ...], tuple[Opinion, ...]]:
    """Take a case through a protocol in the same way, with these members in its seats."""
    question, now = protocol.protocol.question, datetime.now(UTC)
    taken = TakenFacts.of(take_facts(question, case.raw_facts(now), now), now)
    excluded = protocol.exclusion_reasons(taken)
    if excluded:
        return "escalated", excluded, ()
    put = address(protocol.protocol, taken.facts, taken.hash, now, now + timedelta(seconds=30), seed=1)
    opinions = tuple([item.opinion async for item in ask_panel(members, put, _Clock())])
    known = protocol.bundle.calibration
    around = Circumstances(CaseId("c_example"), case.risk_class, False, True, now, calibration=known)
    verdict = adjudicate(around, protocol, taken, opinions).verdict
    match verdict.kind:
        case VerdictKind.DECIDE:
            return f"decided:{verdict.option}", verdict.reasons, opinions
        case VerdictKind.ASK_FACTS:
            return "asks-facts", verdict.reasons, opinions
        case VerdictKind.ESCALATE:
            return "escalated", verdict.reasons, opinions
