"""What is committed: the weights that the manifest states, small, told for what they are, and seated by their own protocol alone."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from arbiter.fleet.loader import read_fleet
from arbiter.fleet.serving import command_lines
from arbiter.fleet.weights import weights_sha256
from arbiter.protocols.loader import read_shipped, shipped
from arbiter.question import QUESTION, Strategy
from arbiter.specialists.demonstration import MEMBERS, write_fleet
from arbiter.specialists.rules import RULES, SPECIALISTS
from arbiter.specialists.seated import read_seated
from arbiter.specialists.shipped import (
    ADAPTERS,
    BASE,
    CONTEXT,
    MANIFEST,
    PROTOCOL,
    PROTOCOL_FOLDER,
    WEIGHTS,
    manifest_text,
    sums,
)
from arbiter.workflow.protocol_checking import check_bundle

SEATED = [seat for seat in read_seated().protocol.seats if seat.model is not None]
MOST_BYTES = 3 * 1024 * 1024
"""All weights together weigh no more: they travel in every checkout and every wheel."""


def read_manifest(text: str) -> Mapping[str, str]:
    """The hashes that a manifest in the format of `sha256sum` states, by path."""
    stated = {}
    for line in text.splitlines():
        digest, _, name = line.partition("  ")
        stated[name] = digest
    return stated


def test_the_weights_are_those_that_the_manifest_states() -> None:
    assert sums(WEIGHTS) == read_manifest(MANIFEST.read_text("utf-8"))


def test_the_manifest_is_one_that_sha256sum_reads() -> None:
    text = MANIFEST.read_text("utf-8")
    assert manifest_text(read_manifest(text)) == text
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w./]+", line) for line in text.splitlines())


@pytest.mark.parametrize("kind", ["changed", "planted", "lost"])
def test_a_file_changed_planted_or_lost_does_not_go_by(kind: str, tmp_path: Path) -> None:
    copy = tmp_path / "weights"
    shutil.copytree(WEIGHTS, copy)
    victim = copy / "adapters" / "infection" / "adapter_model.safetensors"
    match kind:
        case "changed":
            content = bytearray(victim.read_bytes())
            content[-1] ^= 1
            victim.write_bytes(content)
        case "planted":
            (copy / "adapters" / "infection" / "adapter_model-2.safetensors").write_bytes(b"\0")
        case _:
            victim.unlink()
    assert sums(copy) != read_manifest((copy / MANIFEST.name).read_text("utf-8"))


def test_everything_together_weighs_no_more_than_it_may() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()) <= MOST_BYTES


def test_no_file_can_carry_code() -> None:
    """No pickle anywhere: safetensors and text alone."""
    assert {file.suffix for file in WEIGHTS.rglob("*") if file.is_file()} == {
        ".safetensors",
        ".json",
        ".jinja",
        ".md",
        "",
    }


def header(file: Path) -> dict[str, dict[str, Any]]:
    """Read a safetensors file's header as its specification says: eight bytes of length, then JSON."""
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    told: dict[str, dict[str, Any]] = json.loads(content[8 : 8 + length])
    return {name: tensor for name, tensor in told.items() if name != "__metadata__"}


def test_base_and_adapters_have_the_shape_that_the_card_says() -> None:
    base = header(BASE / "model.safetensors")
    assert {tensor["dtype"] for tensor in base.values()} == {"BF16"}
    sizes = [tensor["data_offsets"] for tensor in base.values()]
    parameters = max(end for _, end in sizes) // 2
    assert f"{parameters:,} parameters" in (WEIGHTS / "MODEL_CARD.md").read_text("utf-8")
    for name in RULES:
        adapter = header(ADAPTERS / name / "adapter_model.safetensors")
        settings = json.loads((ADAPTERS / name / "adapter_config.json").read_text("utf-8"))
        assert settings["r"] == 8
        assert len(adapter) == 4 * len(settings["target_modules"]) * 2
        downs = {tensor["shape"][0] for place, tensor in adapter.items() if "lora_A" in place}
        assert downs == {8}


def test_the_seats_state_the_hashes_of_the_weights_that_lie_here() -> None:
    assert [seat.member for seat in SEATED] == [rule.name for rule in SPECIALISTS]
    for seat in SEATED:
        assert seat.model is not None
        assert seat.model.weights_sha256 == weights_sha256(BASE, ADAPTERS / seat.model.name)
        assert (seat.model.adapter, seat.model.prompt) == (seat.model.name, "brief-v1")
    assert len({seat.model.weights_sha256 for seat in SEATED if seat.model}) == len(SEATED)


def test_the_protocol_asks_what_deterioration_asks_under_the_same_policy() -> None:
    ours, shipped_one = read_seated(), read_shipped("deterioration")
    assert ours.protocol.question == shipped_one.protocol.question
    assert ours.protocol.facets == shipped_one.protocol.facets
    assert ours.files["policy.yaml"] == shipped_one.files["policy.yaml"]
    scores = [seat for seat in ours.protocol.seats if seat.model is None]
    assert scores == list(shipped_one.protocol.seats)
    settings, theirs = ours.protocol.adjudication, shipped_one.protocol.adjudication
    # No calibration is shipped of models that each installation serves itself: they are weighed, and nothing is certified.
    assert (settings.strategy, settings.guarantee) == (Strategy.WEIGHTED, None)
    assert settings == replace(
        theirs, strategy=Strategy.WEIGHTED, threshold=settings.threshold, guarantee=None
    )


def test_the_protocol_checks_out_as_a_hospitals_own_would() -> None:
    assert check_bundle(PROTOCOL_FOLDER).protocol.id == PROTOCOL


def test_the_three_are_one_family_and_apart_from_the_scores() -> None:
    families = {seat.family for seat in SEATED}
    assert len(families) == 1
    assert families.isdisjoint(seat.family for seat in read_seated().protocol.seats if seat.model is None)
    assert {seat.asks for seat in SEATED} == {QUESTION}


def test_no_shipped_protocol_seats_a_specialist() -> None:
    assert PROTOCOL not in shipped()
    for name in shipped():
        assert all(seat.model is None for seat in read_shipped(name).protocol.seats)


def test_the_fleet_file_serves_each_seat_and_never_the_base_by_a_name_to_be_asked(tmp_path: Path) -> None:
    path = write_fleet(tmp_path, Path("/opt/vllm/bin/python"), 8011)
    assert yaml.safe_load(path.read_text("utf-8"))["servers"][0]["serve"]["context"] == CONTEXT
    (serving,) = command_lines(read_fleet(path), read_seated().protocol)
    assert serving.names == tuple(sorted(MEMBERS))
    assert serving.model == BASE
    assert "base" not in serving.names


def test_the_card_says_first_of_all_what_they_are_not() -> None:
    card = (WEIGHTS / "MODEL_CARD.md").read_text("utf-8")
    assert card.startswith("# Three specialists that know no medicine\n")
    assert "**not for patients**" in card
    assert "Apache-2.0" in card
    assert json.loads((BASE / "config.json").read_text("utf-8"))["architectures"] == ["LlamaForCausalLM"]
