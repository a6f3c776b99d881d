"""The file of cases: the same bytes each time, what was there stays, nobody but its owner reads it."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from arbiter.errors import RefusedError
from arbiter.evaluation.cases import read_cases
from arbiter.labels.cases_file import content_of, keep_cases
from arbiter.protocols.bundle import ExampleFact, LabelledCase
from tests.evaluation.small import shelved
from tests.labels.hospital import patients

QUESTION = shelved("deterioration").protocol.question
CASES = patients(12)


def test_what_is_written_reads_back_line_by_line(tmp_path: Path) -> None:
    content = content_of(CASES, QUESTION, "cases.jsonl")
    assert content == content_of(tuple(CASES), QUESTION, "other.jsonl")
    (tmp_path / "cases.jsonl").write_bytes(content)
    assert tuple(case.labelled for case in read_cases(tmp_path / "cases.jsonl", QUESTION).cases) == CASES
    assert all(json.loads(line)["label"] for line in content.splitlines())


@pytest.mark.parametrize(
    "text",
    ["0.1", "36.8", "899.99", "0", "12", "-3.5", "0.000001", "123456789.123456", "1.0000000000000000001"],
)
def test_numbers_keep_every_digit_that_a_fact_may_have(text: str) -> None:
    case = replace(CASES[0], facts=(ExampleFact("lactate", Decimal(text), "mmol/L", 0),))
    line = json.loads(content_of([case], QUESTION, "x"), parse_float=Decimal, parse_int=Decimal)
    assert line["facts"]["lactate"]["value"] == Decimal(text)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda case: replace(case, label="maybe"),
        lambda case: replace(case, id="Not An Id"),
        lambda case: replace(case, provenance="x" * 201),
        lambda case: replace(case, title=""),
        lambda case: replace(case, facts=(ExampleFact("pulse", Decimal(1), "/min", 0),)),
        lambda case: replace(case, facts=(ExampleFact("age", Decimal(1), "a", 366 * 24 * 60 + 1),)),
        lambda case: replace(case, facts=(ExampleFact("age", Decimal(f"1.{1:030}"), "a", 0),)),
        lambda case: replace(case, facts=tuple(ExampleFact(f"f{at}", "x" * 200, None, 0) for at in range(100))),
    ],
)  # fmt: skip
def test_what_would_not_read_back_as_it_is_is_not_written(spoilt: object) -> None:
    assert callable(spoilt)
    with pytest.raises(RefusedError, match="would not read back as they are"):
        content_of([spoilt(CASES[0])], QUESTION, "cases.jsonl")


def test_an_id_that_comes_twice_is_not_written() -> None:
    twice: list[LabelledCase] = [CASES[0], replace(CASES[1], id=CASES[0].id)]
    with pytest.raises(RefusedError, match="would not read back"):
        content_of(twice, QUESTION, "cases.jsonl")


@pytest.mark.parametrize("umask", [0o022, 0o000, 0o077])
def test_a_file_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        keep_cases(tmp_path / "cases.jsonl", b"x\n", force=False)
        keep_cases(tmp_path / "cases.jsonl", b"y\n", force=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "cases.jsonl").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["cases.jsonl"]


def test_a_file_that_was_open_to_others_is_closed_when_replaced(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_bytes(b"old\n")
    (tmp_path / "cases.jsonl").chmod(0o644)
    keep_cases(tmp_path / "cases.jsonl", b"new\n", force=True)
    assert stat.S_IMODE((tmp_path / "cases.jsonl").stat().st_mode) == 0o600


def test_what_is_there_stays_unless_its_end_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(b"old\n")
    with pytest.raises(FileExistsError):
        keep_cases(path, b"new\n", force=False)
    assert path.read_bytes() == b"old\n"
    keep_cases(path, b"new\n", force=True)
    assert path.read_bytes() == b"new\n"
    assert [path.name for path in tmp_path.iterdir()] == ["cases.jsonl"]


def test_a_link_to_another_file_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"old\n")
    (tmp_path / "cases.jsonl").symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError):
        keep_cases(tmp_path / "cases.jsonl", b"new\n", force=False)
    keep_cases(tmp_path / "cases.jsonl", b"new\n", force=True)
    assert (tmp_path / "precious").read_bytes() == b"old\n"
    assert not (tmp_path / "cases.jsonl").is_symlink()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(b"old\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        keep_cases(path, b"new\n", force=True)
    assert path.read_bytes() == b"old\n"
    assert [path.name for path in tmp_path.iterdir()] == ["cases.jsonl"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        keep_cases(tmp_path / "nowhere" / "cases.jsonl", b"x\n", force=False)
    with pytest.raises(OSError, match="directory"):
        keep_cases(tmp_path, b"x\n", force=True)
