"""Seats that a language model fills: what the bundle must say of it, and every misuse at its line."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbiter.documents.protocols import protocol_document, protocol_from
from arbiter.protocols.loader import load_bundle
from arbiter.question import ModelSpec
from tests.protocols.small import PROTOCOL, files, problems_of, spoiled

SEATS = """\
  - member: third
    title: The third
    asks: question
    backend: vllm
    model:
      server: gpu-a
      name: ward-8b
      revision: 4f2a1c
      weights_sha256: {weights}
      adapter: ward-lora
      dtype: bfloat16
      prompt: question-v1
      samples: 5
      temperature: 0.7
      top_p: 0.95
      max_tokens: 512
    family: ward
    weight: 1.5
  - member: fourth
    title: The fourth
    asks: worry
    backend: vllm
    model:
      {{server: gpu-b, name: other, revision: r2, dtype: float16, prompt: question-v1, samples: 1, temperature: 0, top_p: 1, max_tokens: 256}}
    family: other
    weight: 1.25
""".format(weights='"' + "0a" * 32 + '"')

SHORT = "{server: g, name: n, revision: r, dtype: float16, prompt: p, samples: 1, temperature: 1, top_p: 1, max_tokens: 64}"
WITH_MODELS = PROTOCOL.replace("adjudication:\n", f"{SEATS}adjudication:\n")

# (text that stands once, what replaces it, lines below the replacement, words of the refusal)
FAULTS = {
    "no model": ("    backend: score\n    implementation: two", "    backend: vllm", -3, "'model' for the backend 'vllm'"),
    "implementation beside a model": (
        "    family: ward\n", "    family: ward\n    implementation: x\n", 1, "no 'implementation' for the backend 'vllm'",
    ),
    "no implementation": ("    implementation: two\n", "", -4, "'implementation' for the backend 'score'"),
    "model beside a score": (
        "implementation: two",
        f"implementation: two\n    model: {SHORT}",
        1, "no 'model' for the backend 'score'",
    ),
    "model of another backend": (
        "    backend: vllm\n    model:\n      server: gpu-a",
        "    backend: oracle\n    model:\n      server: gpu-a", 0, "expected one of score, vllm, 'oracle' came",
    ),
    "model as text": ("implementation: two", "model: two", 0, "expected a mapping, text came"),
    "unknown key": ("      revision: 4f2a1c", "      revision: 4f2a1c\n      url: http://x", 1, "'url' came"),
    "no server": ("      server: gpu-a\n", "", 0, "expected the key 'server'"),
    "no revision": ("      revision: 4f2a1c\n", "", -2, "expected the key 'revision'"),
    "a URL for a server": ("server: gpu-a", "server: http://10.0.0.5:8000", 0, "lower-case words joined by hyphens"),
    "a name with a space": ("name: ward-8b", "name: ward 8b", 0, "a name without spaces"),
    "a name with a line break": ("name: ward-8b", 'name: "ward\\n8b"', 0, "a name without spaces"),
    "an empty name": ("name: ward-8b", 'name: ""', 0, "a name without spaces"),
    "a name without end": ("name: ward-8b", f"name: {'w' * 129}", 0, "at most 128 characters"),
    "a revision as a number": ("revision: 4f2a1c", "revision: 42", 0, "expected text, a number came"),
    "half a hash": ('weights_sha256: "' + "0a" * 32, 'weights_sha256: "' + "0a" * 16, 0, "64 lower-case hexadecimal"),
    "a hash in capitals": ('weights_sha256: "' + "0a" * 32, 'weights_sha256: "' + "0A" * 32, 0, "64 lower-case hexadecimal"),
    "a type that says nothing": ("dtype: bfloat16", "dtype: auto", 0, "'bfloat16', 'float16' or 'float32'"),
    "no samples": ("samples: 5", "samples: 0", 0, "at least 1"),
    "too many samples": ("samples: 5", "samples: 65", 0, "at most 64"),
    "half a sample": ("samples: 5", "samples: 2.5", 0, "a whole number"),
    "samples that are all the same": ("samples: 1, temperature: 0,", "samples: 2, temperature: 0,", 0, "expected 1 at temperature 0"),
    "cold": ("temperature: 0.7", "temperature: -0.1", 0, "at least 0"),
    "colder than the server can": ("temperature: 0.7", "temperature: 0.005", 0, "expected 0, or a number of at least 0.01"),
    "too hot": ("temperature: 0.7", "temperature: 2.1", 0, "at most 2"),
    "hot as text": ("temperature: 0.7", 'temperature: "0.7"', 0, "expected a number, text came"),
    "nothing to draw from": ("top_p: 0.95", "top_p: 0", 0, "a number above 0"),
    "more than all to draw from": ("top_p: 0.95", "top_p: 1.1", 0, "at most 1"),
    "a method of quantisation in words": (
        "dtype: bfloat16", 'dtype: bfloat16\n      quantisation: "FP8, mostly"', 1, "the name of a method in lower case",
    ),
    "an empty role": ("    title: The third", '    title: The third\n    role: ""', 1, "text that is not empty"),
    "a role as a list": ("    title: The third", "    title: The third\n    role: [a]", 1, "expected text"),
    "no room for an answer": ("max_tokens: 512", "max_tokens: 8", 0, "at least 64"),
    "an answer without end": ("max_tokens: 512", "max_tokens: 1000000", 0, "at most 8192"),
    "a base model beside its adapters": ("server: gpu-b", "server: gpu-a", 0, "expected the key 'adapter'"),
    "an option called abstain": ('    - id: "no"\n', "    - id: abstain\n", 59, "no option 'abstain' where a model"),
    "a facet's option called abstain": ("      - id: low\n", "      - id: abstain\n", 38, "no option 'abstain'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_malformed_model_seat_is_refused_at_its_line(fault: str) -> None:
    old, new, below, words = FAULTS[fault]
    source, line = spoiled(WITH_MODELS, old, new)
    problems = problems_of(files(protocol=source))
    named = [problem for problem in problems if words in problem.detail]
    assert named, problems
    assert named[0].pointer.startswith(f"protocol.yaml:{line + below}:"), (named, line)


def test_a_model_seat_is_read_as_it_is_written() -> None:
    third, fourth = load_bundle(files(protocol=WITH_MODELS)).protocol.seats[2:]
    assert (third.backend, third.implementation) == ("vllm", "ward-8b")
    assert third.model == ModelSpec(
        server="gpu-a",
        name="ward-8b",
        revision="4f2a1c",
        weights_sha256="0a" * 32,
        adapter="ward-lora",
        dtype="bfloat16",
        prompt="question-v1",
        samples=5,
        temperature=Decimal("0.7"),
        top_p=Decimal("0.95"),
        max_tokens=512,
    )
    assert fourth.model is not None
    assert (fourth.model.weights_sha256, fourth.model.adapter) == (None, None)
    assert (fourth.model.temperature, fourth.model.top_p) == (Decimal(0), Decimal(1))


def test_a_score_has_no_model() -> None:
    assert all(seat.model is None for seat in load_bundle(files()).protocol.seats)


@pytest.mark.parametrize("name", ["meta/llama:8b", "ward_8b@2026-03+q4", "a"])
def test_names_as_servers_give_them_are_taken(name: str) -> None:
    source, _ = spoiled(WITH_MODELS, "name: ward-8b", f"name: {name}")
    model = load_bundle(files(protocol=source)).protocol.seats[2].model
    assert model is not None
    assert model.name == name


def test_role_and_quantisation_are_read_where_they_are_stated() -> None:
    source, _ = spoiled(
        WITH_MODELS, "    title: The third", "    title: The third\n    role: respiratory medicine"
    )
    source, _ = spoiled(source, "dtype: bfloat16", "dtype: bfloat16\n      quantisation: compressed-tensors")
    third, fourth = load_bundle(files(protocol=source)).protocol.seats[2:]
    assert third.model is not None
    assert fourth.model is not None
    assert (third.role, third.model.quantisation) == ("respiratory medicine", "compressed-tensors")
    assert (fourth.role, fourth.model.quantisation) == (None, None)


def test_what_a_seat_does_not_state_is_not_in_its_document() -> None:
    """So that protocols and cases from before these keys keep every byte."""
    seats = protocol_document(load_bundle(files(protocol=WITH_MODELS)).protocol)["seats"]
    assert all("role" not in seat for seat in seats)
    assert all("quantisation" not in seat.get("model", {}) for seat in seats)


@pytest.mark.parametrize("stated", ["role: lungs", "quantisation: fp8"])
def test_what_a_seat_states_is_part_of_the_protocols_hash(stated: str) -> None:
    old = "    title: The third" if stated.startswith("role") else "      dtype: bfloat16"
    indent = old[: len(old) - len(old.lstrip())]
    source, _ = spoiled(WITH_MODELS, old, f"{old}\n{indent}{stated}")
    before, after = (load_bundle(files(protocol=text)).protocol for text in (WITH_MODELS, source))
    assert before.content_hash != after.content_hash
    assert protocol_from(protocol_document(after)) == after
