"""`arbiter protocol`: what a bundle asks, of whom and under which rules; a damaged one is told by its place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from arbiter.cli import output
from arbiter.cli.failing import Status
from arbiter.protocols.loader import read_shipped, shipped
from tests.cli.conftest import Arbiter
from tests.panels.model_bundles import protocol_text, write_bundle

SHIPPED = Path(__file__).parents[2] / "arbiter" / "protocols"


@pytest.mark.parametrize("name", shipped())
def test_a_protocol_is_shown_whole(arbiter: Arbiter, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its width was settled when the module was loaded, where COLUMNS was set then.
    monkeypatch.setattr(output.out, "_width", 1000)
    shown, told = read_shipped(name).protocol, arbiter("protocol", "show", name)
    assert told.status == Status.DONE, told.err
    named = [spec.name for spec in shown.question.facts] + [rule.id for rule in shown.rules]
    named += [seat.title for seat in shown.seats] + [exclusion.id for exclusion in shown.question.exclusions]
    named += [shown.question.text, shown.content_hash]
    assert [words for words in named if words not in told.out] == []


@pytest.mark.parametrize("name", shipped())
def test_as_json_it_names_the_same_facts_with_units_and_ages(arbiter: Arbiter, name: str) -> None:
    shown = read_shipped(name).protocol
    told = json.loads(arbiter("protocol", "show", name, "--json").out)
    assert [(fact["name"], fact["unit"]) for fact in told["facts"]] == [
        (spec.name, spec.unit) for spec in shown.question.facts
    ]
    ages = {fact["name"]: fact["greatest_age_seconds"] for fact in told["facts"]}
    for spec in shown.question.facts:
        assert ages[spec.name] == (spec.greatest_age and spec.greatest_age.total_seconds())
    assert [rule["id"] for rule in told["rules"]] == [rule.id for rule in shown.rules]


def test_the_list_names_every_shipped_protocol(arbiter: Arbiter) -> None:
    listed = [line.split("\t")[0] for line in arbiter("protocol", "list").out.splitlines()]
    assert listed == [read_shipped(name).protocol.id for name in shipped()]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    shutil.copytree(SHIPPED / "deterioration", folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return folder


def test_a_bundle_in_a_folder_is_shown_and_checked(arbiter: Arbiter, bundle: Path) -> None:
    expected = read_shipped("deterioration").protocol.content_hash
    assert expected in arbiter("protocol", "show", str(bundle)).out
    assert json.loads(arbiter("protocol", "check", str(bundle), "--json").out)["content_hash"] == expected


def test_a_bundle_with_faults_is_told_by_line(arbiter: Arbiter, bundle: Path) -> None:
    policy = bundle / "policy.yaml"
    policy.write_text(policy.read_text().replace("effect: permit", "effect: allow", 1))
    for command in ("check", "show"):
        told = arbiter("protocol", command, str(bundle))
        assert told.status == Status.FAILED
        assert "policy.yaml:" in told.err


@pytest.mark.parametrize("name", ["deterioratoin", "/nowhere", ""])
def test_what_is_no_protocol_names_those_there_are(arbiter: Arbiter, name: str) -> None:
    told = arbiter("protocol", "show", name)
    assert told.status in {Status.USAGE, Status.FAILED}
    assert told.err
    assert told.out == ""


# --- what is decided alone ------------------------------------------------------------------------------------------


def decided_alone(arbiter: Arbiter, *command: str) -> str:
    told = arbiter("protocol", *command)
    assert told.status == Status.DONE, told.err
    (line,) = [line for line in told.out.splitlines() if line.startswith("decided alone: ")]
    return line.removeprefix("decided alone: ")


def test_a_strategy_that_states_no_error_rate_is_told_before_it_is_put_to_use(
    arbiter: Arbiter, tmp_path: Path
) -> None:
    folder = str(write_bundle(tmp_path / "weighed", protocol_text("weighed")))
    expected = (
        "nothing in production, where every case escalates: no error rate is stated for the strategy weighted"
    )
    assert decided_alone(arbiter, "check", folder) == expected
    assert decided_alone(arbiter, "show", folder) == expected
    for command in ("check", "show"):
        told = json.loads(arbiter("protocol", command, folder, "--json").out)
        assert told["decided_alone"] == {"automatic": True, "strategy": "weighted", "error_rates": None}


def test_one_that_states_rates_is_shown_with_them_and_a_clinicians_as_one(
    arbiter: Arbiter, bundle: Path
) -> None:
    stated = "what a calibration certifies; of these decisions may be wrong: urgent-review 2%, continue-monitoring 3%"
    assert decided_alone(arbiter, "check", str(bundle)) == stated
    clinicians = decided_alone(arbiter, "show", "surgery-readiness")
    assert clinicians == "nothing, a clinician decides every case"
