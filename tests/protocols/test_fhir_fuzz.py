"""Whatever comes as a Bundle, it is taken or refused with places; nothing else happens, and nothing is repeated."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.errors import InvalidCaseError
from arbiter.protocols.fhir.taking import take_bundle
from arbiter.protocols.intake import take_facts
from tests.protocols.fhir_bundles import FOLDER, TAKEN_AT, mapped

MARK = "zq7-Mrs-Jones"
PROTOCOL = mapped()["deterioration"]
BUNDLES = [json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "deterioration").glob("*.json"))]

# Beside any JSON, the words on which decisions turn.
WORDS = st.sampled_from(
    [
        "final",
        "entered-in-error",
        "active",
        "Patient",
        "Observation",
        "List",
        "Condition",
        "urn:uuid:1",
        "#p",
        MARK,
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def places(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for step, child in below for place in places(child, (*path, step)))]


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """An example Bundle with up to three members replaced, taken away, or added under a name that R4 knows."""
    document = copy.deepcopy(draw(st.sampled_from(BUNDLES)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(document)))
        if not path:
            continue
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        match draw(st.sampled_from(["put", "take", "add"])):
            case "put":
                parent[path[-1]] = draw(VALUES)
            case "take":
                del parent[path[-1]]
            case _ if isinstance(parent, dict):
                names = [
                    "modifierExtension",
                    "implicitRules",
                    "focus",
                    "component",
                    "dataAbsentReason",
                    "subject",
                ]
                parent[draw(st.sampled_from(names))] = draw(VALUES)
    return document


@settings(max_examples=400, deadline=None)
@given(spoiled() | VALUES)
def test_anything_is_taken_or_refused_with_places(document: Any) -> None:
    assert PROTOCOL.fhir is not None
    try:
        taken = take_bundle(document, PROTOCOL.fhir, TAKEN_AT)
        problems = taken.left_out
    except InvalidCaseError as refused:
        problems = refused.problems
        assert problems
    else:
        assert taken.facts
        try:
            take_facts(PROTOCOL.protocol.question, taken.facts, TAKEN_AT)
        except InvalidCaseError as refused:
            located = taken.located(refused.problems)
            assert all(problem.pointer.startswith("/entry/") for problem in located), located
    assert all(problem.pointer == "" or problem.pointer.startswith("/") for problem in problems)
    assert MARK not in repr(problems)
