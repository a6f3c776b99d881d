"""`arbiter evaluate` from the command line: what it writes and says, and how it ends where it cannot."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

from arbiter.cli.failing import Status
from tests.cli.commands import invoked
from tests.evaluation.small import invented, write
from tests.panels.model_bundles import protocol_text, seat, write_bundle

pytestmark = pytest.mark.usefixtures("no_settings")

LINES = invented("deterioration", 400)


def evaluate(*arguments: str) -> tuple[int, str, str]:
    return invoked("evaluate", *arguments)


def test_it_writes_a_page_and_json_and_says_the_most_important(tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", LINES)
    status, out, _ = evaluate("deterioration", "cases.jsonl", "--out", "made/out")
    assert status == Status.DONE
    assert "400 cases asked, 0 used again" in out
    assert "be right in" in out
    report = json.loads((tmp_path / "made" / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["cases_file"] == "cases.jsonl"
    page = (tmp_path / "made" / "out" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert all(f"<li>{sentence[:20]}" in page for sentence in report["summary"][:1])


def test_json_on_standard_output_is_that_of_the_file(tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", LINES)
    status, out, _ = evaluate("deterioration", "cases.jsonl", "--out", "out", "--json")
    assert status == Status.DONE
    assert json.loads(out) == json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))


def test_a_second_run_uses_what_is_there_and_says_so_in_numbers(tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", LINES)
    evaluate("deterioration", "cases.jsonl", "--out", "out")
    write(tmp_path / "cases.jsonl", [{**LINES[0], "title": "changed"}, *LINES[1:-1]])
    status, out, err = evaluate("deterioration", "cases.jsonl", "--out", "out")
    assert status == Status.DONE
    assert "1 case asked, 398 used again" in out
    assert "1 case of the opinions: changed since it was heard, asked again;" in err
    assert "1 case of the opinions: not in the file of cases, kept and not used" in err
    assert "398 of 399 cases: heard before, used again" in err
    status, out, _ = evaluate("deterioration", "cases.jsonl", "--out", "out", "--fresh", "--parallel", "1")
    assert "399 cases asked, 0 used again" in out


def test_a_file_whose_name_is_no_utf_8_is_reported_all_the_same(tmp_path: Path) -> None:
    name = os.fsdecode(b"f\xffle.jsonl")
    write(tmp_path / name, invented("surgery-readiness", 5))
    status, _, err = evaluate("surgery-readiness", name, "--out", "out")
    assert status == Status.DONE, err
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["cases_file"] == "f?le.jsonl"


def test_a_panel_on_which_nobody_votes_is_reported_as_such(tmp_path: Path) -> None:
    write(tmp_path / "cases.jsonl", invented("surgery-readiness", 30))
    status, out, _ = evaluate("surgery-readiness", "cases.jsonl", "--out", "out")
    assert status == Status.DONE
    assert "no accuracy of a decision can be stated" in out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("nothing", "cases.jsonl", "--out", "out"), Status.USAGE, "expected one of the protocols in force"),
        (("deterioration", "gone.jsonl", "--out", "out"), Status.FAILED, "gone.jsonl"),
        (("deterioration", "empty.jsonl", "--out", "out"), Status.FAILED, "have 1 problem"),
        (("deterioration", "one.jsonl", "--out", "out"), Status.FAILED, "give more labelled cases"),
        (("anticoagulation", "cases.jsonl", "--out", "out"), Status.FAILED, "look like another protocol's"),
        (("deterioration", "cases.jsonl"), Status.USAGE, "--out"),
        (("deterioration", "cases.jsonl", "--out", "out", "--parallel", "0"), Status.USAGE, "--parallel"),
        (("deterioration", "cases.jsonl", "--out", "cases.jsonl"), Status.FAILED, "cases.jsonl"),
    ],
)
def test_what_cannot_be_evaluated_ends_in_words(
    tmp_path: Path, arguments: tuple[str, ...], status: Status, said: str
) -> None:
    write(tmp_path / "cases.jsonl", LINES[:5])
    write(tmp_path / "one.jsonl", LINES[:1])
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    found, _, err = evaluate(*arguments)
    assert found == status
    assert said in err
    assert "Traceback" not in err


def test_without_matplotlib_it_says_what_to_install_before_it_asks_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "cases.jsonl", LINES[:5])
    found: Any = importlib.util.find_spec
    monkeypatch.setattr(
        "arbiter.cli.hearing.find_spec", lambda name: None if name == "matplotlib" else found(name)
    )
    status, _, err = evaluate("deterioration", "cases.jsonl", "--out", "out")
    assert status == Status.FAILED
    assert "pip install 'arbiter-panel[evaluation]'" in err
    assert not (tmp_path / "out").exists()


def test_a_panel_with_models_and_no_fleet_file_says_what_is_missing(tmp_path: Path) -> None:
    write_bundle(tmp_path / "mine", protocol_text("mine", seat("reader", "small")))
    write(tmp_path / "cases.jsonl", LINES[:5])
    status, _, err = evaluate("./mine", "cases.jsonl", "--out", "out")
    assert status == Status.FAILED
    assert "ARBITER_FLEET is not set" in err
