"""Bundles mangled at random: loaded soundly, or refused with places; nothing else ever comes out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.errors import InvalidProtocolError
from arbiter.protocols.loader import load_bundle
from tests.protocols.small import EXAMPLES, POLICY, PROTOCOL, files

PLACE = re.compile(r"(protocol\.yaml|policy\.yaml|examples\.jsonl):[1-9][0-9]*:[1-9][0-9]*")
SCRAPS = st.sampled_from(
    [
        "", " ", "\n", "\t", ":", "- ", "'", '"', "[", "]", "{", "}", "&a ", "*a", "!!int ", "# ", "---\n", "...\n",
        "null", "true", "0", "-1", "1.5", "\u2028", "\x00", "\ufeff", "? ", "| ", ">-\n", "<<: ", '"\\ud800"', "%",
    ]
)  # fmt: skip


def mangle(source: str, edits: list[tuple[float, int, str]]) -> str:
    for where, length, scrap in edits:
        at = int(where * len(source))
        source = source[:at] + scrap + source[at + length :]
    return source


def load_or_refuse(bundle: dict[str, bytes]) -> None:
    try:
        protocol = load_bundle(bundle).protocol
    except InvalidProtocolError as refusal:
        places = [problem.pointer for problem in refusal.problems]
        for problem in refusal.problems:
            f"{problem.code}: {problem.detail}".encode()
    else:
        places = ["protocol.yaml:1:1"]
        hash(protocol)
    assert places
    assert all(PLACE.fullmatch(place) for place in places), places


EDITS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 12), SCRAPS), min_size=1, max_size=3
)


@settings(max_examples=40, deadline=None)
@given(edits=EDITS)
def test_a_mangled_protocol_is_loaded_or_refused(edits: list[tuple[float, int, str]]) -> None:
    load_or_refuse(files(protocol=mangle(PROTOCOL, edits)))


@settings(max_examples=40, deadline=None)
@given(edits=EDITS)
def test_a_mangled_policy_is_loaded_or_refused(edits: list[tuple[float, int, str]]) -> None:
    load_or_refuse(files(policy=mangle(POLICY, edits)))


@settings(max_examples=40, deadline=None)
@given(edits=EDITS)
def test_mangled_examples_are_loaded_or_refused(edits: list[tuple[float, int, str]]) -> None:
    load_or_refuse(files(examples=mangle(EXAMPLES, edits)))


@settings(max_examples=40, deadline=None)
@given(
    source=st.binary(max_size=200), name=st.sampled_from(["protocol.yaml", "policy.yaml", "examples.jsonl"])
)
def test_any_bytes_are_loaded_or_refused(source: bytes, name: str) -> None:
    load_or_refuse({**files(), name: source})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Is it so?", '"half \\ud800"'),
        ("duty_group:", '"\\ud800": x\nduty_group:'),
        ("name: pulse", 'name: "\\ud800"'),
        ("id: small", 'id: "\\ud800"'),
    ],
)
def test_half_characters_are_refused_in_words_that_can_be_sent(old: str, new: str) -> None:
    with pytest.raises(InvalidProtocolError):
        load_bundle(files(protocol=PROTOCOL.replace(old, new, 1)))
    load_or_refuse(files(protocol=PROTOCOL.replace(old, new, 1)))


def test_half_characters_in_an_example_are_refused_in_words_that_can_be_sent() -> None:
    for old in ('"pulse"', '"two"', '"yes"', '"id"'):
        load_or_refuse(files(examples=EXAMPLES.replace(old, '"\\ud800"', 1)))
