"""`arbiter panel check` before a real vLLM that `arbiter panel serve` started: the seats are proven, a planted adapter is caught."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vllm.server import VllmServer, a_vllm

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

ALL = ["answer", "name", "kind", "folder", "context", "version", "weights"]


@pytest.fixture(scope="module")
def own(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of this module's own: it plants one."""
    folder = tmp_path_factory.mktemp("own")
    for name in ("model", "adapters"):
        shutil.copytree(models / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def server(vllm_python: Path, own: Path) -> Iterator[VllmServer]:
    """The tests go by their order."""
    with a_vllm(vllm_python, own) as started:
        yield started


def checked(server: VllmServer, status: int) -> dict[str, dict[str, Any]]:
    """What the command tells of each seat of the base with three adapters."""
    ended = server.arbiter("panel", "check", str(server.bundle), "--json")
    assert ended.returncode == status, ended.stderr
    return {seat["seat"]: seat for seat in json.loads(ended.stdout)}


def states(seat: dict[str, Any]) -> dict[str, str]:
    return {line["check"]: line["state"] for line in seat["checks"]}


def test_every_seat_of_a_base_with_three_adapters_is_proven(server: VllmServer) -> None:
    found = checked(server, 0)
    assert found.keys() == server.adapters.keys()
    for seat in found.values():
        assert states(seat) == dict.fromkeys(ALL, "proven")
    for name in server.adapters:
        assert f'"{name}"' in json.dumps(found[name])
    assert server.log.count("POST /v1/chat/completions") == len(server.adapters)


def test_a_person_sees_it_in_lines_and_a_script_in_the_status(server: VllmServer) -> None:
    ended = server.arbiter("panel", "check", str(server.bundle))
    assert ended.returncode == 0
    assert len(ended.stdout.splitlines()) == len(server.adapters)
    assert "3 seats at their replicas: 3 proven" in ended.stderr


def test_a_planted_wrong_adapter_is_caught_by_its_hash(server: VllmServer, own: Path) -> None:
    file = own / "adapters" / "voting" / "adapter_model.safetensors"
    right = file.read_bytes()
    shutil.copyfile(own / "adapters" / "abstaining" / file.name, file)
    try:
        found = checked(server, 1)
        assert {name: seat["state"] for name, seat in found.items()} == {
            "voting": "wrong",
            "abstaining": "proven",
            "unchanged": "proven",
        }
        (line,) = [line for line in found["voting"]["checks"] if line["state"] != "proven"]
        assert line["check"] == "weights"
        assert line["came"] == server.weights_sha256("voting") != line["expected"]
        assert "put the right files back" in line["what_to_do"]
        # The server still answers with what it loaded before: no completion would have told.
        assert states(found["voting"])["answer"] == "proven"
    finally:
        file.write_bytes(right)
    assert {seat["state"] for seat in checked(server, 0).values()} == {"proven"}


def test_a_frozen_server_proves_nothing_and_is_told_apart_from_a_wrong_one(server: VllmServer) -> None:
    server.freeze()
    try:
        found = checked(server, 1)
    finally:
        server.thaw()
    assert {seat["state"] for seat in found.values()} == {"silent"}


def test_a_dead_server_is_told_and_what_it_held_is_given_back(server: VllmServer) -> None:
    server.kill()
    assert {seat["state"] for seat in checked(server, 1).values()} == {"silent"}
    assert server.processes() == []
    assert server.left_in_memory() == []
