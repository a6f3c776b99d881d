"""Every shipped protocol as a whole: its policy proves itself, and every example ends as its author says."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from arbiter.panels.seating import SCORES, seat_members
from arbiter.policy import run_rule_tests
from arbiter.protocols.loader import shipped
from tests.protocols.shipping import bundle, examples, policy, run

each_protocol = pytest.mark.parametrize("name", shipped())


@pytest.mark.parametrize(("name", "case"), [(name, case) for name in shipped() for case in examples(name)])
async def test_every_example_ends_as_it_says(name: str, case: str) -> None:
    outcome, reasons, _ = await run(name, examples(name)[case])
    expected = examples(name)[case].expect
    assert outcome == expected, [f"{reason.code}: {reason.detail}" for reason in reasons]


@each_protocol
def test_every_rule_passes_its_own_tests(name: str) -> None:
    assert run_rule_tests(policy(name)) == ()


@each_protocol
def test_every_seat_has_its_member(name: str) -> None:
    assert len(seat_members(bundle(name).protocol)) == len(bundle(name).protocol.seats)


@each_protocol
def test_there_are_examples_of_every_rule_exclusion_and_unit(name: str) -> None:
    protocol = bundle(name).protocol
    covered = {mark for case in bundle(name).examples for mark in case.covers}
    wanted = {f"rule:{rule.id}" for rule in protocol.rules}
    wanted |= {f"exclusion:{exclusion.id}" for exclusion in protocol.question.exclusions}
    wanted |= {f"unit:{item.unit}" for spec in protocol.question.facts for item in spec.conversions}
    assert wanted <= covered
    bound = {mark for mark in covered if mark.split(":")[0] in {"rule", "exclusion", "unit"}}
    assert bound <= wanted, "an example covers what the protocol does not have"


@each_protocol
def test_there_are_forty_examples_or_more_and_some_of_every_outcome(name: str) -> None:
    protocol, cases = bundle(name).protocol, bundle(name).examples
    assert len(cases) >= 40
    outcomes = Counter(case.expect for case in cases)
    if protocol.adjudication.automatic:
        decided = {f"decided:{option}" for option in protocol.question.option_ids()}
        assert set(outcomes) == {*decided, "escalated", "asks-facts"}
        assert min(outcomes.values()) >= 5
    else:
        # Whatever the panel says, and whatever it lacks, it is a clinician's to decide.
        assert set(outcomes) == {"escalated"}


@each_protocol
@pytest.mark.parametrize("mark", ["rule:", "exclusion:"])
async def test_examples_that_name_a_rule_or_exclusion_are_about_it(name: str, mark: str) -> None:
    rules = {rule.id: rule for rule in bundle(name).protocol.rules}
    for case in bundle(name).examples:
        named = [cover.removeprefix(mark) for cover in case.covers if cover.startswith(mark)]
        if case.expect != "escalated" or "disagreement" in case.covers:
            continue
        _, reasons, _ = await run(name, case)
        for id_ in named:
            denies = id_ in rules and rules[id_].effect.value == "deny"
            if mark == "exclusion:" or denies:
                assert any(id_ in reason.detail for reason in reasons), (case.id, id_, reasons)


@each_protocol
def test_every_fact_is_read_by_a_member_a_rule_or_an_exclusion(name: str) -> None:
    protocol = bundle(name).protocol
    conditions = [rule.when for rule in protocol.rules] + [item.when for item in protocol.question.exclusions]
    read = {word for text in conditions for word in re.findall(r"facts\.([a-z0-9_]+)", text)}
    read |= {row.fact for seat in protocol.seats for row in SCORES[seat.implementation].rows}
    assert {spec.name for spec in protocol.question.facts} == read


def test_a_fact_of_one_name_is_the_same_thing_in_every_protocol() -> None:
    known: dict[str, tuple[object, ...]] = {}
    for name in shipped():
        for spec in bundle(name).protocol.question.facts:
            thing = (spec.title, spec.kind, spec.unit, spec.codes, spec.decimals)
            assert known.setdefault(spec.name, thing) == thing, (name, spec.name)


@each_protocol
def test_a_case_decided_wrongly_against_its_label_is_not_among_the_examples(name: str) -> None:
    for case in bundle(name).examples:
        if case.expect and case.expect.startswith("decided:"):
            assert case.expect == f"decided:{case.label}"
