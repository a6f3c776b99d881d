"""The synthetic patients of every shipped protocol: the same for the same seed, marked, and sound at intake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

from arbiter.protocols.intake import take_facts
from arbiter.protocols.loader import shipped
from tests.patience import PATIENCE_SECONDS
from tests.protocols.patients import TAKEN_AT, fresh, generator, module_name, read, six_hundred
from tests.protocols.shipping import bundle

pytestmark = pytest.mark.parametrize("name", shipped())


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(name: str) -> None:
    first, again, other = (json.dumps(list(generator(name).generate(seed, 50))) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_more_cases_begin_with_the_same_ones(name: str) -> None:
    generate = generator(name).generate
    assert list(generate(3, 20))[:10] == list(generate(3, 10))


def test_every_case_passes_intake_and_has_an_id_of_its_own(name: str) -> None:
    cases = six_hundred(name)
    assert len({case.id for case in cases}) == 600
    for case in cases:
        take_facts(bundle(name).protocol.question, case.raw_facts(TAKEN_AT), TAKEN_AT)


def test_every_case_says_that_it_is_synthetic_and_expects_nothing(name: str) -> None:
    for case in six_hundred(name):
        assert case.id.startswith("synthetic-1-")
        assert case.provenance.startswith("synthetic")
        assert case.expect is None


def test_every_option_is_the_truth_for_some(name: str) -> None:
    labels = Counter(case.label for case in six_hundred(name))
    assert set(labels) == set(bundle(name).protocol.question.option_ids())
    assert min(labels.values()) >= 30


def test_every_fact_is_missing_somewhere_and_some_are_stale(name: str) -> None:
    cases = six_hundred(name)
    present = Counter(fact.name for case in cases for fact in case.facts)
    for spec in bundle(name).protocol.question.facts:
        if spec.name != "age":
            assert 0 < present[spec.name] < 600, spec.name
    stale = sum(len(case.facts) - len(fresh(name, case)) for case in cases)
    assert 5 < stale < 100


def test_every_number_comes_in_its_own_unit_and_some_in_another(name: str) -> None:
    sent = {(fact.name, fact.unit) for case in six_hundred(name) for fact in case.facts}
    specs = bundle(name).protocol.question.facts
    assert {(spec.name, spec.unit) for spec in specs if spec.unit is not None} <= sent
    assert any((spec.name, item.unit) in sent for spec in specs for item in spec.conversions)


@pytest.mark.parametrize("cases", [0, -1, 100_001])
def test_a_silly_number_of_cases_is_refused(name: str, cases: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to"):
        next(generator(name).generate(1, cases))


def test_the_command_writes_one_case_a_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert generator(name).main(["--seed", "2", "--cases", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["synthetic-2-1", "synthetic-2-2", "synthetic-2-3"]


def test_the_module_runs_as_a_command(name: str) -> None:
    command = [sys.executable, "-m", module_name(name), "--seed", "1", "--cases", "2"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_SECONDS)
    assert len(read(name, done.stdout)) == 2
