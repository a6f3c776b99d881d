"""Protocols whose seats are filled by models, for tests of what serves them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbiter.model import MemberId
from arbiter.question import QUESTION, VLLM, ModelSpec, Protocol, Seat
from tests.fleet.seats import a_protocol as with_seats

WEIGHTS = "ab" * 32


def a_spec(name: str = "respiratory", **changes: Any) -> ModelSpec:
    """An adapter on the server `gpu-a`, with changes."""
    spec = ModelSpec(
        server="gpu-a",
        name=name,
        revision="r1",
        weights_sha256=WEIGHTS,
        adapter=name,
        dtype="bfloat16",
        prompt="question-v1",
        samples=3,
        temperature=Decimal("0.7"),
        top_p=Decimal(1),
        max_tokens=512,
    )
    return replace(spec, **changes)


def a_protocol(*specs: ModelSpec) -> Protocol:
    """The shipped deterioration protocol with a seat for each of these models beside the scores'."""
    seats = (
        Seat(
            member=MemberId(f"member-{number}"),
            title=f"Model {spec.name}",
            asks=QUESTION,
            backend=VLLM,
            implementation=spec.name,
            family="family",
            weight=Decimal(1),
            required=False,
            veto=(),
            model=spec,
        )
        for number, spec in enumerate(specs)
    )
    return with_seats(*seats)


def an_adapter(folder: Path, rank: object = 8, content: bytes = b"weights") -> Path:
    """A folder in the layout of the `peft` library, its weights no tensors at all."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(f'{{"r": {rank}}}')
    (folder / "adapter_model.safetensors").write_bytes(content)
    return folder


def a_model(folder: Path, content: bytes = b"base") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(content)
    return folder
