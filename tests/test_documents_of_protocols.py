"""A protocol's JSON form says all of it, and nothing else is read as one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from arbiter.documents.canonical import decode, encode
from arbiter.documents.protocols import content_hash, protocol_document, protocol_from
from arbiter.errors import RefusedError
from arbiter.policy import compile_policy
from arbiter.protocols.loader import read_shipped, shipped


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_protocol_comes_back_whole_and_compiles(name: str) -> None:
    bundle = read_shipped(name)
    again = protocol_from(decode(encode(protocol_document(bundle.protocol))))
    assert again == bundle.protocol
    assert len(compile_policy(again).rules) == len(bundle.protocol.rules)
    assert content_hash(bundle.files) == bundle.protocol.content_hash


def test_the_hash_is_of_every_file_that_counts() -> None:
    files = dict(read_shipped("deterioration").files)
    found = {content_hash(files)}
    for name in ("protocol.yaml", "policy.yaml", "fhir.yaml"):
        found.add(content_hash(files | {name: files[name] + b"\n"}))
    assert len(found) == 4
    assert content_hash(files | {"examples.jsonl": b""}) in found
    with pytest.raises(KeyError):
        content_hash({"protocol.yaml": b""})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("seats"),
        lambda document: document.update(extra="more"),
        lambda document: document["seats"][0].update(weight="1"),
        lambda document: document["seats"][0].update(weight={"decimal": "1.50"}),
        lambda document: document["seats"][0].update(weight={"decimal": "many"}),
        lambda document: document["seats"][0].update(required="yes"),
        lambda document: document["seats"][0].update(model={"server": "a"}),
        lambda document: document["adjudication"].update(strategy="by lot"),
        lambda document: document["adjudication"].update(least_valid=True),
        lambda document: document["question"]["timers"][0].append("more"),
        lambda document: document["question"]["timers"].append(["urgent"]),
        lambda document: document["question"].update(duplicate_window={"seconds": 1}),
        lambda document: document.update(rules={}),
        lambda document: document.update(question=[]),
    ],
    ids=range(14),
)
def test_another_document_is_refused(spoil: Callable[[Any], object]) -> None:
    document = copy.deepcopy(protocol_document(read_shipped("deterioration").protocol))
    spoil(document)
    with pytest.raises(RefusedError):
        protocol_from(document)
