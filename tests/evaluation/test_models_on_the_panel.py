"""A panel with language models behind a server: what they take is told, and nobody is asked a second time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from arbiter.cli import app
from tests.evaluation.small import invented, write
from tests.fleet.files import fleet_file
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.panels.model_servers import misbehaving, refusing_url

CASES = 120


def test_models_are_asked_once_and_their_samples_and_time_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seats = [seat("calm", "good"), seat("lost", "ungrounded"), seat("silent", "abstains")]
    write_bundle(tmp_path / "mine", protocol_text("mine", *seats, panel_seconds=30))
    write(tmp_path / "cases.jsonl", invented("deterioration", CASES))
    arguments = ["evaluate", "./mine", "cases.jsonl", "--out", "out", "--parallel", "4"]
    with misbehaving() as url:
        monkeypatch.setenv("ARBITER_FLEET", str(fleet_file(tmp_path / "fleet", {"gpu-a": url})))
        first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    members = {member["member"]: member for member in report["members"]}
    asked = sum(part["asked"] for part in report["seen"]["parts"])
    states = {
        name: {each["name"]: each["count"] for each in own["statuses"]} for name, own in members.items()
    }
    assert states["calm"]["valid"] == states["lost"]["invalid"] == states["silent"]["abstained"] == asked
    assert members["calm"]["samples"] == 3 * asked
    assert 0 < members["calm"]["seconds_median"] <= members["calm"]["seconds_p95"] < 30
    assert members["news2"]["samples"] is members["news2"]["seconds_median"] is None
    ways = {way["name"]: way for way in report["decisions"]["strategies"]}
    assert ways["calm"]["samples_per_case"] == 3.0
    assert ways["service"]["samples_per_case"] == pytest.approx(
        sum(members[name]["samples"] for name in ("calm", "lost", "silent")) / asked
    )
    assert ways["news2"]["samples_per_case"] is None
    # The server is gone: whoever was asked again would be down.
    monkeypatch.setenv("ARBITER_FLEET", str(fleet_file(tmp_path / "fleet", {"gpu-a": refusing_url()})))
    second = CliRunner().invoke(app, arguments)
    assert f"0 cases asked, {CASES} used again" in second.stdout
    again = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    for one in (report, again):
        one["provenance"].pop("generated_at")
    assert again == report


def test_what_a_model_could_not_say_while_its_server_was_down_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "mine", protocol_text("mine", seat("calm", "good"), panel_seconds=30))
    lines = invented("deterioration", CASES)
    write(tmp_path / "cases.jsonl", lines)
    arguments = ["evaluate", "./mine", "cases.jsonl", "--out", "out", "--parallel", "8"]
    monkeypatch.setenv("ARBITER_FLEET", str(fleet_file(tmp_path / "fleet", {"gpu-a": refusing_url()})))
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.stderr
    assert states_of(tmp_path, "calm")["valid"] == 0
    with misbehaving() as url:
        monkeypatch.setenv("ARBITER_FLEET", str(fleet_file(tmp_path / "fleet", {"gpu-a": url})))
        second = CliRunner().invoke(app, arguments)
    asked = sum(states_of(tmp_path, "calm").values())
    assert f"{asked} cases of the opinions: a member was down or too late, asked again" in second.stderr
    assert f"{asked} cases asked, {CASES - asked} used again" in second.stdout
    assert states_of(tmp_path, "calm")["valid"] == asked


def states_of(folder: Path, member: str) -> dict[str, int]:
    report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    (own,) = [each for each in report["members"] if each["member"] == member]
    return {each["name"]: each["count"] for each in own["statuses"]}
