"""Canary runs of a real house: baselines, alarms, seats that are down; models asked over HTTP, scores computed."""

from __future__ import annotations

import json
import logging
import shutil
from fractions import Fraction
from pathlib import Path

import pytest

from arbiter.adjudication.canary import CaseCounts, compare
from arbiter.errors import ConflictError, ForbiddenError, NotFoundError
from arbiter.identity.roles import Role
from arbiter.question import QUESTION
from arbiter.store.canaries import RunKind, load_baseline
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.canaries import CanaryStanding
from arbiter.workflow.canary.asked_for import begin_anew, run_now
from arbiter.workflow.canary.asking import ABSTAINED, INVALID
from arbiter.workflow.canary.cases import canary_set
from arbiter.workflow.canary.running import (
    BASELINE_DRAWS,
    NIGHT_DRAWS,
    NO_CASES,
    OTHER_IDENTITY,
    Order,
    run_canary,
)
from arbiter.workflow.register import By
from tests.houses import a_house, types_of
from tests.panels.model_bundles import seat
from tests.panels.moody_server import NONSENSE, a_moody_server
from tests.workflow.canary.wards import (
    CASES,
    Ward,
    bundle_in,
    heart_of_the_first,
    latest_in,
    turn_one_case,
)
from tests.workflow.modelled import settings_with


async def test_the_first_run_takes_a_baseline_and_the_next_compares_with_it(ward: Ward) -> None:
    assert {each.standing for each in (await ward.latest()).values()} == {CanaryStanding.NEVER}
    first = await ward.run()
    assert {each.standing for each in first.values()} == {CanaryStanding.BASELINE}
    assert first["one"].cases == CASES
    assert first["one"].draws == CASES * BASELINE_DRAWS
    assert first["one"].cause == "heard for the first time"
    second = await ward.run()
    assert {each.standing for each in second.values()} == {CanaryStanding.STEADY}
    # Nine draws: three requests of three samples each.
    assert second["one"].draws == CASES * 9 >= CASES * NIGHT_DRAWS
    assert second["one"].p_value == "1"
    assert await types_of(ward.house, HOUSE_CHAIN) == ["canary.run", "canary.run"]
    assert (await verify_log(ward.house, None)).entries >= 2


async def test_no_two_requests_of_a_case_share_a_seed(ward: Ward) -> None:
    await ward.run()
    await ward.run()
    seeds = [json.loads(body)["seed"] for body in ward.moods.asked]
    assert len(seeds) == 2 * CASES * (BASELINE_DRAWS // 3 + 3)
    assert len(set(seeds)) == len(seeds)


async def test_a_request_differs_from_another_nights_in_its_seed_and_salts_alone(ward: Ward) -> None:
    await ward.run()
    by_case: dict[str, set[str]] = {}
    for body in ward.moods.asked:
        asked = json.loads(body)
        for own in ("seed", "cache_salt", "request_id"):
            asked.pop(own, None)
        by_case.setdefault(asked["messages"][1]["content"] + asked["model"], set()).add(json.dumps(asked))
    assert len(by_case) == 2 * CASES
    assert {len(bodies) for bodies in by_case.values()} == {1}


@pytest.mark.parametrize(
    ("option", "counted"),
    [("urgent-review", "urgent-review"), ("abstain", ABSTAINED), (NONSENSE, INVALID)],
)
async def test_one_case_answered_otherwise_alarms_and_reaches_people(
    ward: Ward, caplog: pytest.LogCaptureFixture, option: str, counted: str
) -> None:
    await ward.run()
    turn_one_case(ward, "m1", option)
    with caplog.at_level(logging.WARNING):
        found = await ward.run()
    assert found["one"].standing is CanaryStanding.MOVED
    assert found["two"].standing is CanaryStanding.STEADY
    assert found["one"].alarmed_at == found["one"].at
    assert "seat moody/one answers otherwise than its baseline" in caplog.text
    assert (await types_of(ward.house, HOUSE_CHAIN))[-2:] == ["canary.run", "canary.alarmed"]
    alarm = (await ward.documents())[-1]
    (told,) = alarm["seats"]
    first = canary_set(ward.house.shelf.in_force("moody")).cases[0]
    assert told["member"] == "one"
    assert told["counts"][first.id] == {counted: 9}
    assert told["cause"] == f"most surprising: {first.id}"


async def test_the_entry_holds_all_that_the_p_value_is_computed_from(ward: Ward) -> None:
    ward.moods.weights["m1"] = {"continue-monitoring": 0.6, "urgent-review": 0.3, "abstain": 0.1}
    await ward.run()
    found = await ward.run()
    before, now = (
        {each["member"]: each for each in document["seats"]} for document in await ward.documents()
    )
    cases = [
        CaseCounts(case, before["one"]["counts"][case], counts)
        for case, counts in now["one"]["counts"].items()
    ]
    again = float(compare(cases).p_value)
    assert float(now["one"]["p_value"]) == pytest.approx(again, rel=0.005)
    assert found["one"].p_value == now["one"]["p_value"]
    # A tenth of a false alarm a year, over every seat in force.
    seats = sum(len(shelved.protocol.seats) for shelved in ward.house.shelf.current.values())
    assert float(now["one"]["level"]) == pytest.approx(float(Fraction(1, 10) / 366 / seats), rel=0.005)


async def test_an_alarm_stays_through_quiet_nights_until_a_named_person_begins_anew(ward: Ward) -> None:
    await ward.run()
    turn_one_case(ward, "m1", "urgent-review")
    await ward.run()
    ward.moods.by_case.clear()
    quiet = await ward.run()
    assert quiet["one"].p_value == "1"
    assert quiet["one"].standing is CanaryStanding.MOVED
    paula = await ward.person("paula", Role.POLICY_APPROVER)
    await begin_anew(ward.house, paula, "moody", "looked into: a replica had old weights")
    anew = await ward.latest()
    assert anew["one"].standing is CanaryStanding.BASELINE
    assert anew["one"].alarmed_at is None
    assert anew["one"].cause == "a person began it anew"
    last = (await ward.documents())[-1]
    assert last["reason"] == "looked into: a replica had old weights"
    assert (await ward.run())["one"].standing is CanaryStanding.STEADY


async def test_an_alarm_outlasts_another_identity(ward: Ward, database: Database, tmp_path: Path) -> None:
    """Else a server that tells another version of itself, or none, would end its own alarm."""
    paula = await ward.person("paula", Role.POLICY_APPROVER)
    await ward.run()
    turn_one_case(ward, "m1", "urgent-review")
    alarmed = await ward.run()
    ward.moods.version = "0.0.3+moody"
    settings = settings_with(tmp_path, ward.moods.url)
    async with a_house(tmp_path, database, ward.clock, settings=settings, running=False) as later:
        await run_now(later, "moody")
        found = await latest_in(later)
        assert found["one"].standing is CanaryStanding.MOVED
        assert found["one"].alarmed_at == alarmed["one"].alarmed_at
        assert found["two"].standing is CanaryStanding.BASELINE
        assert later.moved.seats == {("moody", "one")}
        await begin_anew(later, paula, "moody", "the upgrade was looked into")
        assert (await latest_in(later))["one"].standing is CanaryStanding.BASELINE
        assert later.moved.seats == set()


async def test_an_alarm_that_nobody_had_seen_is_not_ended_by_who_began_anew_before_it(ward: Ward) -> None:
    await ward.run()
    paula = await ward.person("paula", Role.POLICY_APPROVER)
    found = False

    async def meanwhile() -> None:
        nonlocal found
        if not found:
            found = True
            turn_one_case(ward, "m1", "urgent-review")
            await run_now(ward.house, "moody")

    order = Order(By(paula.id), new_baseline=True, reason="all is well")
    with pytest.raises(ConflictError, match="one has moved meanwhile"):
        await run_canary(ward.house, ward.house.shelf.in_force("moody"), order, meanwhile)
    assert (await ward.latest())["one"].standing is CanaryStanding.MOVED


async def test_nobody_else_begins_anew(ward: Ward) -> None:
    await ward.run()
    for role in (Role.AUDITOR, Role.ADMINISTRATOR, Role.POLICY_AUTHOR, Role.REVIEWER):
        other = await ward.person(f"{role}", role)
        with pytest.raises(ForbiddenError):
            await begin_anew(ward.house, other, "moody", "why not")
    assert await types_of(ward.house, HOUSE_CHAIN) == ["canary.run"]


async def test_a_protocol_that_is_not_in_force_is_not_found(ward: Ward) -> None:
    with pytest.raises(NotFoundError):
        await run_now(ward.house, "nonexistent")


async def test_a_seat_that_is_down_is_told_as_not_asked_and_never_as_moved(
    ward: Ward, caplog: pytest.LogCaptureFixture
) -> None:
    await ward.run()
    ward.moods.silent.add("m1")
    ward.moods.asked.clear()
    with caplog.at_level(logging.WARNING):
        found = await ward.run()
    assert found["one"].standing is CanaryStanding.NOT_ASKED
    assert found["one"].cause
    assert found["one"].heard_at is not None
    assert found["one"].at is not None
    assert found["one"].heard_at <= found["one"].at
    assert found["two"].standing is CanaryStanding.STEADY
    assert "seat moody/one could not be asked" in caplog.text
    # Let alone after a few failures in a row, not asked everything in vain.
    assert sum(json.loads(body)["model"] == "m1" for body in ward.moods.asked) < CASES
    assert await types_of(ward.house, HOUSE_CHAIN) == ["canary.run", "canary.run"]


async def test_a_case_that_nobody_answers_of_is_told_as_not_watched(ward: Ward) -> None:
    """Else a baseline from a bad hour would leave cases unwatched for good, and look whole."""
    heart = heart_of_the_first(ward)
    ward.moods.silent_about.add(("m1", heart))
    first = await ward.run()
    assert first["one"].standing is CanaryStanding.BASELINE
    assert first["one"].cause == f"heard for the first time; 1 of {CASES} cases is not in it"
    ward.moods.silent_about.clear()
    found = await ward.run()
    assert found["one"].standing is CanaryStanding.STEADY
    assert (found["one"].cases, found["one"].cause) == (CASES - 1, f"1 of {CASES} cases is not in it")
    assert found["two"].cause == ""


async def test_a_seat_that_is_asked_something_else_is_not_compared_with_what_it_said_before(
    ward: Ward, database: Database, tmp_path: Path
) -> None:
    await ward.run()
    shutil.rmtree(tmp_path / "protocols")
    bundle_in(tmp_path, seat("one", "m1", asks="sepsis-risk"), seat("two", "m2"))
    ward.moods.weights["m1"] = {"high": 1.0}
    settings = settings_with(tmp_path, ward.moods.url)
    async with a_house(tmp_path, database, ward.clock, settings=settings, running=False) as later:
        await run_now(later, "moody")
        found = await latest_in(later)
    assert found["one"].standing is CanaryStanding.BASELINE
    assert found["one"].cause == "something else is asked than before"
    assert found["two"].standing is CanaryStanding.STEADY


async def test_a_seat_that_is_down_stays_moved_if_it_was(ward: Ward) -> None:
    await ward.run()
    turn_one_case(ward, "m1", "urgent-review")
    await ward.run()
    ward.moods.silent.add("m1")
    assert (await ward.run())["one"].standing is CanaryStanding.MOVED


async def test_a_seat_down_from_the_first_has_no_baseline_until_it_answers(
    ward: Ward, database: Database, tmp_path: Path
) -> None:
    ward.moods.silent.add("m1")
    assert (await ward.run())["one"].standing is CanaryStanding.NOT_ASKED
    ward.moods.silent.clear()
    # Another process, that has not seen the server fail.
    settings = settings_with(tmp_path, ward.moods.url)
    async with a_house(tmp_path, database, ward.clock, settings=settings, running=False) as later:
        await run_now(later, "moody")
        assert (await latest_in(later))["one"].standing is CanaryStanding.BASELINE


async def test_another_identity_begins_a_baseline_of_its_own_and_is_told(
    ward: Ward, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await ward.run()
    ward.moods.version = "0.0.3+moody"
    turn_one_case(ward, "m1", "urgent-review")
    settings = settings_with(tmp_path, ward.moods.url)
    async with a_house(tmp_path, database, ward.clock, settings=settings, running=False) as later:
        with caplog.at_level(logging.WARNING):
            await run_now(later, "moody")
        found = await latest_in(later)
    assert found["one"].standing is CanaryStanding.BASELINE
    assert found["one"].cause == OTHER_IDENTITY
    assert f"seat moody/one begins a new baseline: {OTHER_IDENTITY}" in caplog.text
    assert found["news2"].standing is CanaryStanding.STEADY


async def test_a_bundle_without_examples_is_told_as_not_watched(database: Database, tmp_path: Path) -> None:
    async with a_moody_server() as moods:
        bundle_in(tmp_path, seat("one", "m1"), examples=0)
        settings = settings_with(tmp_path, moods.url)
        async with a_house(tmp_path, database, settings=settings, running=False) as house:
            rows = await run_now(house, "moody")
        assert {(row.kind, row.cause) for row in rows} == {(RunKind.NOT_ASKED, NO_CASES)}
        assert moods.asked == []


async def test_a_baseline_is_of_one_identity_and_one_set_of_cases(ward: Ward) -> None:
    await ward.run()
    asked = canary_set(ward.house.shelf.in_force("moody")).hash_of(QUESTION)
    member = next(
        each for name, each in ward.house.shelf.in_force("moody").members.items() if name == "news2"
    )
    digest = member.identity.digest
    store = ward.house.store
    assert await load_baseline(store, "moody", "news2", digest, asked) is not None
    assert await load_baseline(store, "moody", "news2", digest, "0" * 64) is None
    assert await load_baseline(store, "moody", "news2", "0" * 64, asked) is None
    assert await load_baseline(store, "moody", "mews", digest, asked) is None
