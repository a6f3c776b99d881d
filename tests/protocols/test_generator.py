"""The synthetic patients: the same for the same seed, sound at intake, and as hard as their documentation says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from functools import cache

import pytest

from arbiter.errors import Problem
from arbiter.model import FactValue
from arbiter.panels.scores import cart, mews, news2
from arbiter.panels.scores.table import Score
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.deterioration.generator import generate, main
from arbiter.protocols.examples import read_examples
from arbiter.protocols.intake import take_facts
from arbiter.protocols.loader import read_shipped
from arbiter.question import Question

TAKEN_AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@cache
def question() -> Question:
    return read_shipped("deterioration").protocol.question


def read(source: bytes) -> tuple[LabelledCase, ...]:
    problems: list[Problem] = []
    cases = read_examples(source, question(), problems)
    assert problems == []
    return cases


@cache
def six_hundred() -> tuple[LabelledCase, ...]:
    return read("\n".join(json.dumps(case) for case in generate(1, 600)).encode())


def fresh(case: LabelledCase) -> dict[str, FactValue]:
    facts = take_facts(question(), case.raw_facts(TAKEN_AT), TAKEN_AT)
    ages = {spec.name: spec.greatest_age for spec in question().facts}
    kept = {}
    for fact in facts:
        limit = ages[fact.name]
        if limit is None or TAKEN_AT - fact.observed_at <= limit:
            kept[fact.name] = fact.value
    return kept


def area_under_curve(score: Score, cases: tuple[LabelledCase, ...]) -> float:
    """Mann and Whitney's: the chance that an urgent case scores above another, ties counting half."""
    totals: dict[bool, list[int]] = {True: [], False: []}
    for case in cases:
        total = score.assess(fresh(case), frozenset()).total
        if total is not None:
            totals[case.label == "urgent-review"].append(total)
    pairs = [(high > low) + (high == low) / 2 for high in totals[True] for low in totals[False]]
    return sum(pairs) / len(pairs)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (json.dumps(list(generate(seed, 50))) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_more_cases_begin_with_the_same_ones() -> None:
    assert list(generate(3, 20))[:10] == list(generate(3, 10))


def test_every_case_passes_intake_and_has_an_id_of_its_own() -> None:
    cases = six_hundred()
    assert len({case.id for case in cases}) == 600
    for case in cases:
        take_facts(question(), case.raw_facts(TAKEN_AT), TAKEN_AT)


@pytest.mark.parametrize(
    ("score", "least", "most"), [(news2.SCORE, 0.9, 0.995), (mews.SCORE, 0.85, 0.99), (cart.SCORE, 0.8, 0.97)]
)
def test_labels_follow_the_scores_and_no_score_is_perfect(score: Score, least: float, most: float) -> None:
    area = area_under_curve(score, six_hundred())
    print(f"{score.title}: area under the curve {area:.3f} over 600 cases of seed 1")
    assert least < area < most


def test_about_three_in_ten_are_urgent() -> None:
    urgent = sum(case.label == "urgent-review" for case in six_hundred())
    assert 0.2 < urgent / 600 < 0.36


def test_every_fact_is_missing_somewhere_and_some_are_stale() -> None:
    cases = six_hundred()
    present = Counter(fact.name for case in cases for fact in case.facts)
    for spec in question().facts:
        if spec.name != "age":
            assert 0 < present[spec.name] < 600, spec.name
    stale = sum(len(case.facts) - len(fresh(case)) for case in cases)
    assert 5 < stale < 100


def test_other_units_appear() -> None:
    units = {fact.unit for case in six_hundred() for fact in case.facts}
    assert {"[degF]", "kPa", "Cel", "mm[Hg]"} <= units


@pytest.mark.parametrize("cases", [0, -1, 100_001])
def test_a_silly_number_of_cases_is_refused(cases: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to"):
        next(generate(1, cases))


def test_the_command_writes_one_case_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "2", "--cases", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["synthetic-2-1", "synthetic-2-2", "synthetic-2-3"]


def test_the_module_runs_as_a_command() -> None:
    command = [
        sys.executable,
        "-m",
        "arbiter.protocols.deterioration.generator",
        "--seed",
        "1",
        "--cases",
        "2",
    ]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert len(read(done.stdout)) == 2
