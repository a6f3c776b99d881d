"""The files of gathered cases: read and heard without asking anybody, counted to the last case, the same bytes each time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbiter.documents.taken import TakenFacts
from arbiter.evaluation import asking
from arbiter.evaluation.asking import TAKEN_AT, taken_in
from arbiter.evaluation.calibrating import calibrate
from arbiter.evaluation.cases import read_cases
from arbiter.evaluation.gathered import (
    CASES_FILE,
    JOB,
    OPINIONS_FILE,
    Unusable,
    Written,
    case_line,
    case_name,
    write,
)
from arbiter.evaluation.running import Heard, run_panel
from arbiter.evaluation.thinning import is_kept
from arbiter.model import CaseId, Fact, FactSet, FactStatus, MemberId, MemberStatus
from arbiter.protocols.loader import read_shipped
from arbiter.workflow.labels.choosing import Kind
from arbiter.workflow.labels.gathering import Found, Gathered
from arbiter.workflow.shelf import Shelved, shelve
from tests.workflow.labels.conftest import Ends
from tests.workflow.labels.hospital import PROTOCOL

pytestmark = pytest.mark.asyncio(loop_scope="module")


def certain(gathered: Gathered, found: Iterable[Found] | None = None) -> Gathered:
    """The same, as if each had come by its label for certain: nothing is thinned."""
    some = gathered.found if found is None else tuple(found)
    return replace(
        gathered,
        found=tuple(replace(each, label=replace(each.label, probability=Decimal(1))) for each in some),
    )


def told(written: Written) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written.manifest)
    return found


def seated() -> Shelved:
    """The panel as `arbiter calibrate` seats it, from the bundle."""
    return shelve(read_shipped(PROTOCOL))


async def heard_again(written: Written, folder: Path, shelved: Shelved) -> tuple[Any, Heard]:
    """Put the files into a folder and hear the cases as `arbiter calibrate` does."""
    (folder / CASES_FILE).write_bytes(written.cases)
    (folder / OPINIONS_FILE).write_bytes(written.opinions)
    cases = read_cases(folder / CASES_FILE, shelved.protocol.question)
    return cases, await run_panel(shelved, cases, folder, parallel=4)


async def test_the_panel_is_heard_without_asking_anybody(
    ends: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(asking, "ask_panel", nobody)
    written = write(certain(ends.gathered))
    _, heard = await heard_again(written, tmp_path, seated())
    assert (heard.reused, heard.asked, heard.unused.in_all) == (len(ends.gathered.found), 0, 0)
    came = {hearing.case: hearing.came.value for _, hearing in heard.pairs}
    assert came[case_name(ends.cases["excluded"])] == "excluded"
    assert set(came.values()) == {"asked", "excluded"}


async def test_what_the_panel_said_is_weighed_again_to_what_it_came_to(ends: Ends, tmp_path: Path) -> None:
    """The verdict of each, made anew from the facts and opinions that were written, on the way of an evaluation."""
    _, heard = await heard_again(write(certain(ends.gathered)), tmp_path, seated())
    again = {hearing.case: hearing.verdict for _, hearing in heard.pairs}
    for found in ends.gathered.found:
        verdict = again[case_name(found.case)]
        assert verdict is not None
        assert (verdict.kind, verdict.option) == (found.verdict.kind, found.verdict.option)


async def test_labels_and_facts_are_the_cases_own(ends: Ends, tmp_path: Path) -> None:
    shelved = seated()
    cases, _ = await heard_again(write(certain(ends.gathered)), tmp_path, shelved)
    by_id = {case.id: case for case in cases.cases}
    for found in ends.gathered.found:
        case = by_id[case_name(found.case)]
        assert case.labelled.label == found.label.option
        assert case.labelled.provenance.split(";")[0] == found.label.kind.value
        assert case.labelled.risk_class is found.risk_class
        assert values(taken_in(shelved, case)) == values(found.taken)


def values(taken: TakenFacts) -> list[tuple[str, object, str | None]]:
    return [(fact.name, fact.value, fact.unit) for fact in taken.facts]


async def test_a_calibration_of_them_names_the_files_of_the_manifest(ends: Ends, tmp_path: Path) -> None:
    many = [
        replace(found, case=CaseId(f"c_{found.case[2:6]}{number}"))
        for number in range(60)
        for found in ends.gathered.found
    ]
    written = write(certain(ends.gathered, many))
    shelved = seated()
    cases, heard = await heard_again(written, tmp_path, shelved)
    made = calibrate(shelved, cases, heard)
    manifest = told(written)
    assert made.labels.cases_hash == manifest["files"][CASES_FILE]
    assert made.labels.opinions_hash == manifest["opinions_hash"]
    assert {kind for kind, _ in made.labels.provenance} <= {kind.value for kind in Kind}
    assert not made.labels.synthetic
    assert made.protocol_hash == manifest["protocol"]["content_hash"]


async def test_the_manifest_counts_every_case_of_the_protocol_once(ends: Ends) -> None:
    for gathered in (ends.gathered, certain(ends.gathered)):
        manifest = told(write(gathered))
        counts = [count for kinds in manifest["labels"].values() for count in kinds.values()]
        assert sum(counts) == manifest["cases"]
        assert manifest["cases"] + sum(manifest["left_out"].values()) == len(ends.cases)
    assert manifest["left_out"]["thinned"] == 0
    assert manifest["contradicted"] == sum(found.label.contradicted for found in ends.gathered.found) == 4


async def test_the_manifest_names_job_protocol_checkpoint_and_the_files_hashes(ends: Ends) -> None:
    written = write(ends.gathered)
    manifest = told(written)
    protocol = read_shipped(PROTOCOL).protocol
    assert manifest["job"] == JOB
    assert manifest["protocol"]["content_hash"] == protocol.content_hash
    assert manifest["checkpoint"]["size"] == ends.gathered.checkpoint.size
    assert manifest["checkpoint"]["root"] == ends.gathered.checkpoint.root.hex()
    assert manifest["files"] == {
        CASES_FILE: hashlib.sha256(written.cases).hexdigest(),
        OPINIONS_FILE: hashlib.sha256(written.opinions).hexdigest(),
    }


async def test_the_manifest_names_no_case_and_nobody(ends: Ends) -> None:
    manifest = write(ends.gathered).manifest.decode()
    for case in ends.cases.values():
        assert case not in manifest
        assert case_name(case) not in manifest
    assert ends.at.otto.id not in manifest


async def test_whoever_is_there_is_so_with_the_least_probability_of_all(ends: Ends) -> None:
    written = write(ends.gathered)
    assert told(written)["least_probability"] == "0.200000"
    root = ends.gathered.checkpoint.root
    expected = [
        found.case
        for found in ends.gathered.found
        if is_kept(found.case, root, found.label.probability, Decimal("0.2"))
    ]
    assert list(written.kept) == expected
    ids = [json.loads(line)["id"] for line in written.cases.splitlines()]
    assert ids == [case_name(case) for case in expected]
    assert [json.loads(line)["case"] for line in written.opinions.splitlines()] == ids


async def test_what_outcomes_do_not_thin_is_all_there(ends: Ends) -> None:
    told_of = [found for found in ends.gathered.found if found.label.kind is Kind.OUTCOME]
    manifest = told(write(replace(ends.gathered, found=tuple(told_of))))
    assert (manifest["cases"], manifest["least_probability"]) == (len(told_of), "1.000000")


async def test_nothing_labelled_is_nothing_written_and_a_manifest_that_says_so(ends: Ends) -> None:
    written = write(replace(ends.gathered, found=()))
    assert (written.cases, written.opinions, told(written)["cases"]) == (b"", b"", 0)


# --- whom nobody would know what to do with ---------------------------------------------------------------------------


def left_out(gathered: Gathered, found: Found) -> list[str]:
    """Why this case, were it so, would not be among those written."""
    manifest = told(write(replace(gathered, found=(found,))))
    return [reason.value for reason in Unusable if manifest["left_out"][reason.value]]


def asked(ends: Ends) -> Found:
    return next(found for found in ends.gathered.found if found.case == ends.cases["audit agrees"])


@pytest.mark.parametrize("status", [MemberStatus.DOWN, MemberStatus.TIMED_OUT])
async def test_a_case_of_which_a_member_was_away_is_left_out(ends: Ends, status: MemberStatus) -> None:
    found = asked(ends)
    away = replace(found.opinions[0], status=status, votes=(), samples=0)
    assert left_out(ends.gathered, replace(found, opinions=(away, *found.opinions[1:]))) == ["unanswered"]


async def test_a_case_that_ended_before_all_had_answered_is_left_out(ends: Ends) -> None:
    found = asked(ends)
    assert left_out(ends.gathered, replace(found, opinions=found.opinions[1:])) == ["unanswered"]
    assert left_out(ends.gathered, replace(found, opinions=())) == ["unanswered"]


async def test_a_case_that_another_score_answered_is_left_out(ends: Ends) -> None:
    found = asked(ends)
    other = replace(found.opinions[0], identity=replace(found.opinions[0].identity, digest="0" * 64))
    assert left_out(ends.gathered, replace(found, opinions=(other, *found.opinions[1:]))) == ["other-member"]


async def test_an_answer_that_no_seat_gave_leaves_the_case_out(ends: Ends) -> None:
    found = asked(ends)
    stray = replace(found.opinions[0], member=MemberId("nobodys"))
    assert left_out(ends.gathered, replace(found, opinions=(*found.opinions, stray))) == ["unanswered"]


async def test_a_case_whose_facts_would_not_be_taken_in_again_is_left_out(ends: Ends) -> None:
    found = asked(ends)
    facts = tuple(
        replace(fact, value=Decimal(900)) if fact.name == "heart_rate" else fact for fact in found.taken.facts
    )
    other = TakenFacts.of(FactSet(1, facts), found.taken.taken_at)
    assert left_out(ends.gathered, replace(found, taken=other)) == ["unfit"]


async def test_a_case_that_is_excluded_now_and_was_heard_then_is_left_out(ends: Ends) -> None:
    found = asked(ends)
    facts = tuple(
        replace(fact, value=True) if fact.name == "pregnant" else fact for fact in found.taken.facts
    )
    other = TakenFacts.of(FactSet(1, facts), found.taken.taken_at)
    assert left_out(ends.gathered, replace(found, taken=other)) == ["unfit"]


# --- how old facts are ------------------------------------------------------------------------------------------------


def written_age(ends: Ends, name: str, age: timedelta) -> int:
    question = ends.gathered.shelved.protocol.question
    spec = question.spec(name)
    assert spec is not None
    taken = TakenFacts.of(
        FactSet(1, (Fact(name, Decimal(20), spec.unit, TAKEN_AT - age, FactStatus.FINAL, "ward"),)), TAKEN_AT
    )
    line = json.loads(case_line(replace(asked(ends), taken=taken), question))
    minutes: int = line["facts"][name]["age_minutes"]
    return minutes


@pytest.mark.parametrize("seconds", [-61, -60, -1, 0, 1, 59, 60, 61])
async def test_a_fact_is_too_old_where_it_was_and_nowhere_else(ends: Ends, seconds: int) -> None:
    spec = ends.gathered.shelved.protocol.question.spec("respiratory_rate")
    assert spec is not None
    assert spec.greatest_age is not None
    age = spec.greatest_age + timedelta(seconds=seconds)
    minutes = written_age(ends, "respiratory_rate", age)
    assert (timedelta(minutes=minutes) > spec.greatest_age) == (age > spec.greatest_age)
    assert abs(timedelta(minutes=minutes) - age) < timedelta(minutes=1)


async def test_a_fact_observed_a_moment_after_intake_is_of_that_minute(ends: Ends) -> None:
    assert written_age(ends, "respiratory_rate", timedelta(seconds=-45)) == 0


async def test_a_fact_that_does_not_age_is_at_most_as_old_as_a_line_can_say(ends: Ends) -> None:
    question = ends.gathered.shelved.protocol.question
    standing = next(spec.name for spec in question.facts if spec.greatest_age is None and spec.unit)
    assert written_age(ends, standing, timedelta(days=4_000)) == 366 * 24 * 60


# --- the same bytes ---------------------------------------------------------------------------------------------------


async def test_the_same_gathered_in_another_order_gives_the_same_counts_and_twice_the_same_bytes(
    ends: Ends,
) -> None:
    first, again = write(ends.gathered), await asyncio.to_thread(write, ends.gathered)
    assert first == again
    shuffled = write(replace(ends.gathered, found=ends.gathered.found[::-1]))
    assert set(shuffled.cases.splitlines()) == set(first.cases.splitlines())
