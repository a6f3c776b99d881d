"""The shipped protocol as a whole: its policy proves itself, and every example ends as its author says."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from arbiter.adjudication import Bench, recompute
from arbiter.documents import facts_hash
from arbiter.model import Opinion, Reason, VerdictKind
from arbiter.panels.panel import address, ask_panel
from arbiter.panels.seating import seat_members
from arbiter.policy import CompiledPolicy, compile_policy, evaluate, exclusions, run_rule_tests
from arbiter.protocols.bundle import Bundle, LabelledCase
from arbiter.protocols.intake import take_facts
from arbiter.protocols.loader import read_shipped
from arbiter.question import QUESTION


@cache
def bundle() -> Bundle:
    return read_shipped("deterioration")


@cache
def policy() -> CompiledPolicy:
    return compile_policy(bundle().protocol)


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


async def run(case: LabelledCase) -> tuple[str, tuple[Reason, ...], tuple[Opinion, ...]]:
    """Take a case through intake, exclusions, the panel, policy and adjudication, as the service does."""
    protocol, taken_at = bundle().protocol, datetime.now(UTC)
    facts = take_facts(protocol.question, case.raw_facts(taken_at), taken_at)
    bound = facts_hash(facts)
    excluded = exclusions(policy(), facts)
    if excluded:
        return "escalated", excluded, ()
    put = address(protocol, facts, bound, taken_at, taken_at + timedelta(seconds=30), seed=1)
    opinions = tuple([item.opinion async for item in ask_panel(seat_members(protocol), put, _Clock())])
    bench = Bench(protocol, bound, case.risk_class)
    _, verdict = recompute(
        bench,
        facts,
        opinions,
        lambda facts, facets, risk, valid: evaluate(policy(), facts, facets, risk, valid),
    )
    match verdict.kind:
        case VerdictKind.DECIDE:
            return f"decided:{verdict.option}", verdict.reasons, opinions
        case VerdictKind.ASK_FACTS:
            return "asks-facts", verdict.reasons, opinions
        case VerdictKind.ESCALATE:
            return "escalated", verdict.reasons, opinions


CASES = {case.id: case for case in bundle().examples}


@pytest.mark.parametrize("case", list(CASES))
async def test_every_example_ends_as_it_says(case: str) -> None:
    outcome, reasons, _ = await run(CASES[case])
    assert outcome == CASES[case].expect, [f"{reason.code}: {reason.detail}" for reason in reasons]


def test_every_rule_passes_its_own_tests() -> None:
    assert run_rule_tests(policy()) == ()


def test_every_seat_has_its_member() -> None:
    assert len(seat_members(bundle().protocol)) == len(bundle().protocol.seats)


def test_there_are_examples_of_every_rule_exclusion_unit_and_outcome() -> None:
    protocol = bundle().protocol
    assert len(CASES) >= 40
    covered = {mark for case in CASES.values() for mark in case.covers}
    wanted = {f"rule:{rule.id}" for rule in protocol.rules}
    wanted |= {f"exclusion:{exclusion.id}" for exclusion in protocol.question.exclusions}
    wanted |= {f"unit:{item.unit}" for spec in protocol.question.facts for item in spec.conversions}
    assert wanted <= covered
    known = wanted | {mark for mark in covered if mark.split(":")[0] in {"missing", "too-old", "unknown"}}
    assert {mark for mark in covered - known if ":" in mark} <= {"treatment-limitation:dnacpr"}
    outcomes = Counter(case.expect for case in CASES.values())
    assert set(outcomes) == {
        "decided:urgent-review",
        "decided:continue-monitoring",
        "escalated",
        "asks-facts",
    }
    assert min(outcomes.values()) >= 5


@pytest.mark.parametrize("mark", ["rule:", "exclusion:"])
async def test_examples_that_name_a_rule_or_exclusion_are_about_it(mark: str) -> None:
    for case in CASES.values():
        named = [cover.removeprefix(mark) for cover in case.covers if cover.startswith(mark)]
        if case.expect != "escalated" or "disagreement" in case.covers:
            continue
        _, reasons, _ = await run(case)
        for name in named:
            rule = next((rule for rule in bundle().protocol.rules if rule.id == name), None)
            denies = rule is not None and rule.effect.value == "deny"
            if mark == "exclusion:" or denies:
                assert any(name in reason.detail for reason in reasons), (case.id, name, reasons)


async def test_a_case_decided_wrongly_against_its_label_is_not_among_the_examples() -> None:
    for case in CASES.values():
        if case.expect and case.expect.startswith("decided:"):
            assert case.expect == f"decided:{case.label}"


def test_all_voting_seats_are_one_family_because_they_share_inputs() -> None:
    voting = [seat for seat in bundle().protocol.seats if seat.asks == QUESTION]
    assert len(voting) == 3
    assert len({seat.family for seat in voting}) == 1


def test_greatest_ages_stand_on_every_fact_that_changes() -> None:
    standing = {spec.name for spec in bundle().protocol.question.facts if spec.greatest_age is None}
    assert standing == {"spo2_scale", "age", "pregnant", "treatment_limitation"}
