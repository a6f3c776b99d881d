"""The shipped protocols by name, and a case taken through one of them as the service does it, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

from arbiter.adjudication import Bench, recompute
from arbiter.documents import facts_hash
from arbiter.model import Opinion, Reason, VerdictKind
from arbiter.panels.panel import address, ask_panel
from arbiter.panels.seating import seat_members
from arbiter.policy import CompiledPolicy, compile_policy, evaluate, exclusions
from arbiter.protocols.bundle import Bundle, LabelledCase
from arbiter.protocols.intake import take_facts
from arbiter.protocols.loader import read_shipped


@cache
def bundle(name: str) -> Bundle:
    return read_shipped(name)


@cache
def policy(name: str) -> CompiledPolicy:
    return compile_policy(bundle(name).protocol)


@cache
def examples(name: str) -> dict[str, LabelledCase]:
    return {case.id: case for case in bundle(name).examples}


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


async def run(name: str, case: LabelledCase) -> tuple[str, tuple[Reason, ...], tuple[Opinion, ...]]:
    """Take a case through intake, exclusions, the panel, policy and adjudication, as the service does."""
    protocol, taken_at = bundle(name).protocol, datetime.now(UTC)
    facts = take_facts(protocol.question, case.raw_facts(taken_at), taken_at)
    bound = facts_hash(facts)
    excluded = exclusions(policy(name), facts)
    if excluded:
        return "escalated", excluded, ()
    put = address(protocol, facts, bound, taken_at, taken_at + timedelta(seconds=30), seed=1)
    opinions = tuple([opinion async for opinion in ask_panel(seat_members(protocol), put, _Clock())])
    bench = Bench(protocol, bound, case.risk_class)
    _, verdict = recompute(
        bench,
        facts,
        opinions,
        lambda facts, facets, risk, valid: evaluate(policy(name), facts, facets, risk, valid),
    )
    match verdict.kind:
        case VerdictKind.DECIDE:
            return f"decided:{verdict.option}", verdict.reasons, opinions
        case VerdictKind.ASK_FACTS:
            return "asks-facts", verdict.reasons, opinions
        case VerdictKind.ESCALATE:
            return "escalated", verdict.reasons, opinions
