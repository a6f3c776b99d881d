"""A calibration's document: one spelling, one hash, and nothing in it that deciding would stumble over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import rfc8785

from arbiter.calibration import Calibration
from arbiter.documents.calibrations import calibration_bytes, calibration_from, sealed
from arbiter.errors import RefusedError
from tests.adjudication.calibrations import calibration, level, stratum
from tests.adjudication.small import bench

WHOLE = calibration(bench().protocol)


def test_it_is_read_back_as_it_was_under_the_hash_of_its_bytes() -> None:
    content = calibration_bytes(WHOLE)
    assert calibration_from(content) == WHOLE
    assert WHOLE.content_hash == hashlib.sha256(content).hexdigest()
    assert rfc8785.dumps(json.loads(content)) == content


def test_what_it_is_called_is_none_of_what_is_hashed() -> None:
    assert calibration_bytes(replace(WHOLE, content_hash="0" * 64)) == calibration_bytes(WHOLE)
    assert sealed(replace(WHOLE, temperature=Decimal("1.5"))).content_hash != WHOLE.content_hash


def test_marks_of_cases_are_read_back_and_one_without_any_says_nothing_of_them() -> None:
    """So a calibration from before there were marks keeps its bytes, and its hash."""
    marked = sealed(replace(WHOLE, labels=replace(WHOLE.labels, marks=("0" * 16, "a" * 16))))
    assert calibration_from(calibration_bytes(marked)) == marked
    assert "marks" not in json.loads(calibration_bytes(WHOLE))["labels"]


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(calibration_bytes(WHOLE))
    change(document)
    return rfc8785.dumps(document)


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another format": (lambda d: d.update(format="arbiter/calibration/v2"), "/format"),
    "no protocol": (lambda d: d.pop("protocol"), "/protocol"),
    "an unknown member": (lambda d: d.update(extra="x"), "/extra"),
    "an option twice": (lambda d: d.update(options=["urgent", "urgent"]), "/options"),
    "one option": (lambda d: d.update(options=["urgent"]), "/options"),
    "a prior of zero": (lambda d: d.update(prior=["0", "1"]), "/prior"),
    "a prior that sums to two": (lambda d: d.update(prior=["1", "1"]), "/prior"),
    "a prior for one option": (lambda d: d.update(prior=["1"]), "/prior"),
    "a prior that is no number": (lambda d: d.update(prior=["NaN", "1"]), "/prior/0"),
    "a prior as a number": (lambda d: d.update(prior=[1, "1"]), "/prior/0"),
    "a prior that is no list": (lambda d: d.update(prior="0.5"), "/prior"),
    "a row of another length": (lambda d: d["members"][0]["reliability"].pop(), "/members"),
    "a row with a zero": (
        lambda d: d["members"][0].update(reliability=[["1", "0"], ["0.1", "0.9"]]),
        "/members",
    ),
    "rows that are no lists": (
        lambda d: d["members"][0].update(reliability=["0.9"]),
        "/members/0/reliability/0",
    ),
    "a member twice": (lambda d: d["members"][1].update(member="a"), "/members"),
    "a correlation above one": (
        lambda d: d.update(correlations=[["1", "1.5", "0"], ["1.5", "1", "0"], ["0", "0", "1"]]),
        "/correlations",
    ),
    "a lopsided correlation": (
        lambda d: d.update(correlations=[["1", "0.5", "0"], ["0.4", "1", "0"], ["0", "0", "1"]]),
        "/correlations",
    ),
    "a member unlike itself": (
        lambda d: d.update(correlations=[["0.9", "0", "0"], ["0", "1", "0"], ["0", "0", "1"]]),
        "/correlations",
    ),
    "ragged correlations": (
        lambda d: d.update(correlations=[["1", "0", "0"], [], ["0", "0", "1"]]),
        "/correlations",
    ),
    "too few correlations": (lambda d: d["correlations"].pop(), "/correlations"),
    "a temperature of zero": (lambda d: d.update(temperature="0"), "/temperature"),
    "a negative temperature": (lambda d: d.update(temperature="-1"), "/temperature"),
    "a delta of one": (lambda d: d.update(delta="1"), "/delta"),
    "an alpha of zero": (lambda d: d["strata"][0].update(alpha="0"), "/strata"),
    "a stratum twice": (lambda d: d["strata"].append(d["strata"][0]), "/strata"),
    "a stratum of no option": (lambda d: d["strata"][0].update(option="other"), "/strata"),
    "more errors than cases": (lambda d: _level(d, errors=300), "/strata"),
    "a bound above alpha certified": (lambda d: _level(d, bound="0.06"), "/strata"),
    "a threshold of one": (lambda d: _level(d, threshold="1"), "/strata"),
    "what was never tested certified": (lambda d: d["strata"][0].update(tested=[]), "/strata"),
    "what held left out": (lambda d: d["strata"][0].pop("certified"), "/strata"),
    "a count below zero": (lambda d: d["labels"].update(fitting=-1), "/labels/fitting"),
    "marks that are none": (lambda d: d["labels"].update(marks=[]), ""),
    "marks that are no list": (lambda d: d["labels"].update(marks="aa"), "/labels/marks"),
    "a mark that is a number": (lambda d: d["labels"].update(marks=["aa", 1]), "/labels/marks/1"),
    "a number spelt otherwise": (lambda d: d.update(temperature="1.0"), "/temperature"),
}


def _level(document: dict[str, Any], **changes: Any) -> None:
    document["strata"][0]["certified"].update(changes)
    document["strata"][0]["tested"][0].update(changes)


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_decided_with_is_refused_where_it_stands(name: str) -> None:
    change, pointer = FAULTS[name]
    with pytest.raises(RefusedError) as refused:
        calibration_from(changed(change))
    assert refused.value.problems[0].pointer == pointer


def with_levels(*bounds: str, certified: int | None, thresholds: tuple[str, ...] = ()) -> Calibration:
    marks = thresholds or tuple(f"0.{9 - at}" for at in range(len(bounds)))
    tested = tuple(level(mark, bound=bound) for mark, bound in zip(marks, bounds, strict=True))
    strata = (
        replace(stratum("urgent"), certified=None if certified is None else tested[certified], tested=tested),
    )
    return replace(WHOLE, strata=strata)


@pytest.mark.parametrize(
    "sound",
    [
        with_levels("0.01", "0.02", "0.06", certified=1),
        with_levels("0.06", certified=None),
        with_levels(certified=None),
        with_levels("0.05", certified=0),
    ],
)
def test_levels_are_tried_until_one_fails(sound: Calibration) -> None:
    assert calibration_from(calibration_bytes(sound)) == sealed(sound)


@pytest.mark.parametrize(
    "contradicting",
    [
        with_levels("0.01", "0.06", "0.02", certified=2),
        with_levels("0.01", "0.06", "0.06", certified=0),
        with_levels("0.01", "0.02", certified=0),
        with_levels("0.06", certified=0),
        with_levels("0.01", "0.02", certified=1, thresholds=("0.8", "0.9")),
        with_levels("0.01", "0.02", certified=1, thresholds=("0.8", "0.8")),
    ],
)
def test_levels_that_contradict_what_is_certified_are_refused(contradicting: Calibration) -> None:
    with pytest.raises(RefusedError):
        calibration_from(calibration_bytes(contradicting))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format":"arbiter/calibration/v1"', b"\xff"])
def test_what_is_no_document_is_refused(content: bytes) -> None:
    with pytest.raises(RefusedError):
        calibration_from(content)


def test_bytes_that_are_not_canonical_are_refused() -> None:
    spaced = json.dumps(json.loads(calibration_bytes(WHOLE)), indent=1).encode()
    with pytest.raises(RefusedError):
        calibration_from(spaced)
