"""What `arbiter doctor` says about the fleet file and the seats that models fill."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbiter.cli.doctor.findings import Finding
from arbiter.cli.doctor.fleet_checks import fleet
from arbiter.settings import Settings
from tests.fleet.files import fleet_file
from tests.panels.model_bundles import protocol_text, seat, write_bundle


def looked(folder: Path, file: Path | None, *seats: str) -> dict[str, Finding]:
    write_bundle(folder / "protocols" / "one", protocol_text("with-models", *seats))
    settings = Settings(data=folder, fleet=file, protocols=folder / "protocols")
    found = {finding.check: finding for finding in fleet(settings)}
    assert all(bool(finding.advice) is (finding.state != "ok") for finding in found.values())
    return found


def states(found: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.state for name, finding in found.items()}


def test_a_fleet_that_serves_every_seat_passes(tmp_path: Path) -> None:
    file = fleet_file(tmp_path, {"gpu-a": ["http://127.0.0.1:1", "http://127.0.0.1:2"]})
    found = looked(tmp_path, file, seat("one", "one"))
    assert states(found) == {"fleet file": "ok", "fleet seats": "ok"}
    assert found["fleet file"].found == "1 server with 2 replicas"
    assert found["fleet seats"].found == "1 seat asks a model; `arbiter panel check` proves them"


def test_no_file_is_no_fault_where_scores_sit_alone(tmp_path: Path) -> None:
    assert states(looked(tmp_path, None)) == {"fleet file": "ok", "fleet seats": "ok"}


def test_no_file_fails_where_a_model_sits(tmp_path: Path) -> None:
    found = looked(tmp_path, None, seat("one", "one"))
    assert states(found) == {"fleet file": "ok", "fleet seats": "fail"}
    assert "'gpu-a' is not known" in found["fleet seats"].found


def test_a_server_that_the_file_lacks_fails(tmp_path: Path) -> None:
    file = fleet_file(tmp_path, {"gpu-b": "http://127.0.0.1:1"})
    assert looked(tmp_path, file, seat("one", "one"))["fleet seats"].state == "fail"


def test_a_seat_without_a_hash_is_worth_a_warning(tmp_path: Path) -> None:
    file = fleet_file(tmp_path, {"gpu-a": "http://127.0.0.1:1"})
    unstated = "\n".join(line for line in seat("one", "one").splitlines() if "weights_sha256" not in line)
    found = looked(tmp_path, file, unstated + "\n")
    assert found["fleet seats"].state == "warn"
    assert "with-models/one" in found["fleet seats"].found


@pytest.mark.parametrize("content", ["", "servers: []", "servers: {", "{servers: [{name: a, replicas: []}]}"])
def test_a_file_that_is_none_is_told_by_its_place(tmp_path: Path, content: str) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(content)
    found = looked(tmp_path, file)
    assert states(found) == {"fleet file": "fail"}
    assert found["fleet file"].found.startswith("fleet.yaml:")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert states(looked(tmp_path, tmp_path / "gone.yaml")) == {"fleet file": "fail"}
