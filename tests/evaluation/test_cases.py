"""Labelled cases as read: every fault by its line, nothing taken that is not one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from arbiter.errors import RefusedError
from arbiter.evaluation.cases import read_cases
from tests.evaluation.small import invented, shelved, write

QUESTION = shelved("deterioration").protocol.question
ONE = invented("deterioration", 1)[0]


def refused(path: Path, content: str) -> list[str]:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RefusedError) as caught:
        read_cases(path, QUESTION)
    return [f"{problem.pointer} {problem.detail}" for problem in caught.value.problems]


def line(**changes: object) -> str:
    return json.dumps({**ONE, **changes}) + "\n"


def test_cases_are_bound_to_the_bytes_of_their_lines_and_the_file_to_all(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", invented("deterioration", 3))
    found = read_cases(path, QUESTION)
    lines = path.read_bytes().splitlines()
    assert [case.hash for case in found.cases] == [hashlib.sha256(own).hexdigest() for own in lines]
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_more_cases_are_taken_than_a_bundle_may_hold_as_examples(tmp_path: Path) -> None:
    small = {name: fact for name, fact in ONE["facts"].items() if name == "age"}
    path = tmp_path / "many.jsonl"
    path.write_text("".join(line(id=f"c{at}", facts=small) for at in range(10_001)), encoding="utf-8")
    assert len(read_cases(path, QUESTION).cases) == 10_001


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "mine.jsonl:1:1 expected one labelled case a line, none came"),
        ("\n \n", "mine.jsonl:1:1 expected one labelled case a line, none came"),
        (line() + line(), "mine.jsonl:2:1 expected the id 'synthetic-3-1' once, it came again"),
        (line() + "{", "mine.jsonl:2:2"),
        ("[]\n", "mine.jsonl:1:1"),
        (line(label="maybe"), "expected the label to be one of urgent-review, continue-monitoring, 'maybe' came"),
        (line(facts={"pulse": {"value": 1, "age_minutes": 0}}), "expected a fact of the question, 'pulse' came"),
        (line(facts={"age": {"value": float("nan"), "age_minutes": 0}}), "expected a finite number, NaN came"),
        (line(facts={"age": {"value": float("inf"), "age_minutes": 0}}), "expected a finite number, Infinity came"),
        (line(id="<script>alert(1)</script>"), "mine.jsonl:1:1 id:"),
        (line(id="\u202egnp.exe"), "mine.jsonl:1:1 id:"),
        (line(id="x" * 10_000), "mine.jsonl:1:1 id:"),
        (line(id=""), "mine.jsonl:1:1 id:"),
        (line(provenance=";x"), "mine.jsonl:1:1 synthetic-3-1: expected the provenance to say before its first semicolon"),
        ("\n" + line() + "\n" + line(id="b", provenance="  ; by whom"), "mine.jsonl:4:1 b: expected the provenance"),
        ("x" * 20_000 + "\n", "expected at most 16384 characters in a line"),
        ("\udcff".encode("utf-8", "surrogatepass").decode("latin-1"), "mine.jsonl:1:1"),
    ],
)  # fmt: skip
def test_what_is_no_labelled_case_is_refused_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    assert any(said in problem for problem in refused(tmp_path / "mine.jsonl", content))


def test_bytes_that_are_no_utf_8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b"\xff\xfe{}\n")
    with pytest.raises(RefusedError):
        read_cases(path, QUESTION)


@pytest.mark.parametrize("other", ["anticoagulation", "surgery-readiness"])
def test_cases_of_another_protocol_are_refused_in_one_sentence(tmp_path: Path, other: str) -> None:
    path = write(tmp_path / "mine.jsonl", invented(other, 300))
    with pytest.raises(
        RefusedError, match=r"look like another protocol's: .* facts are none of this"
    ) as caught:
        read_cases(path, QUESTION)
    assert caught.value.problems == ()


def test_one_unknown_fact_among_known_ones_is_told_with_its_line(tmp_path: Path) -> None:
    known = {name: fact for name, fact in ONE["facts"].items() if name != "age"}
    content = line(facts={**known, "pulse": {"value": 1, "age_minutes": 0}})
    told = refused(tmp_path / "mine.jsonl", content)
    assert told == ["mine.jsonl:1:1 synthetic-3-1: expected a fact of the question, 'pulse' came"]
