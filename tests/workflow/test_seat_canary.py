"""Canary runs of a real house: baselines, nights, alarms, seats that are down; models asked over HTTP, scores computed."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from arbiter.adjudication.canary import CaseCounts, compare
from arbiter.cli.doctor.canary_checks import canaries
from arbiter.documents.canonical import decode
from arbiter.errors import ConflictError, ForbiddenError, NotFoundError
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.protocols.bundle import EXAMPLES_FILE
from arbiter.question import QUESTION
from arbiter.settings import Settings
from arbiter.store.canaries import RunKind, hold_canary, load_baseline
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents_named
from arbiter.store.transaction import Where
from arbiter.telemetry.catalogue import CANARY_MOVED, MEMBER, PROTOCOL
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.canaries import CanaryStanding, LatestCanary, latest_canaries, look_for_moved
from arbiter.workflow.canary import nights
from arbiter.workflow.canary.asked_for import begin_anew, run_now
from arbiter.workflow.canary.asking import ABSTAINED, INVALID
from arbiter.workflow.canary.cases import canary_set
from arbiter.workflow.canary.nights import NIGHT_LASTS, night_due, tonight
from arbiter.workflow.canary.running import (
    BASELINE_DRAWS,
    NIGHT_DRAWS,
    NO_CASES,
    OTHER_IDENTITY,
    Order,
    run_canary,
)
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.gauges import gauges
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.register import By
from tests.conftest import SettableClock
from tests.houses import PASSWORD, SITE, a_client, a_house, settled, submission, types_of
from tests.panels.model_bundles import protocol_text, seat, shipped_text, write_bundle
from tests.panels.moody_server import NONSENSE, Moods, a_moody_server
from tests.patience import PATIENCE_SECONDS
from tests.workflow.modelled import settings_with

CASES = 6
MIDNIGHT = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)


@dataclass
class Ward:
    house: House
    moods: Moods
    clock: SettableClock

    async def run(self) -> dict[str, LatestCanary]:
        await run_now(self.house, "moody")
        return await self.latest()

    async def latest(self) -> dict[str, LatestCanary]:
        return await latest_in(self.house)

    async def documents(self) -> list[dict[str, Any]]:
        found = await load_house_documents_named(self.house.store, HOUSE_CHAIN, "canary")
        return [decode(document.content) for document in found]

    async def person(self, login: str, *roles: Role) -> Principal:
        return await create_account(
            self.house.identities, self.house.clock, self.house.chance, login, login, PASSWORD, frozenset(roles), frozenset({SITE})
        )  # fmt: skip


async def latest_in(house: House) -> dict[str, LatestCanary]:
    return {each.member: each for each in await latest_canaries(house) if each.protocol == "moody"}


def bundle_in(folder: Path, *seats: str, examples: int = CASES) -> None:
    bundle = write_bundle(folder / "protocols" / "moody", protocol_text("moody", *seats, panel_seconds=20))
    lines = [json.loads(line) for line in shipped_text(EXAMPLES_FILE).splitlines()]
    # Told apart by the heart rate, so that a test can turn one of them.
    chosen = {
        line["facts"]["heart_rate"]["value"]: line
        for line in reversed(lines)
        if "heart_rate" in line["facts"]
    }
    kept = [json.dumps(line) for line in list(chosen.values())[-examples:]] if examples else []
    (bundle / EXAMPLES_FILE).write_text("\n".join(kept) + "\n", "utf-8")


@pytest_asyncio.fixture
async def ward(database: Database, tmp_path: Path) -> AsyncIterator[Ward]:
    bundle_in(tmp_path, seat("one", "m1"), seat("two", "m2"))
    clock = SettableClock(MIDNIGHT)
    async with a_moody_server() as moods:
        settings = settings_with(tmp_path, moods.url)
        async with a_house(tmp_path, database, clock, settings=settings, running=False) as house:
            yield Ward(house, moods, clock)


def heart_of_the_first(ward: Ward) -> str:
    """What tells the first case from the others."""
    heart = canary_set(ward.house.shelf.in_force("moody")).cases[0].taken.facts.get("heart_rate")
    assert heart is not None
    return str(heart.value)


def turn_one_case(ward: Ward, model: str, option: str) -> None:
    """Let a model answer one case alone otherwise, at every draw."""
    ward.moods.by_case[model, heart_of_the_first(ward)] = option


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


# --- nights ---------------------------------------------------------------------------------------------------------


async def test_a_night_is_asked_once_whoever_looks_and_how_often(ward: Ward) -> None:
    await ward.run()
    await tonight(ward.house)
    assert (await types_of(ward.house, HOUSE_CHAIN)) == ["canary.run"], "three o'clock has not come"
    ward.clock.set(MIDNIGHT + timedelta(hours=3))
    await asyncio.gather(tonight(ward.house), tonight(ward.house))
    await tonight(ward.house)
    entries = await types_of(ward.house, HOUSE_CHAIN)
    assert entries.count("canary.run") == 1 + len(ward.house.shelf.current)
    assert (await ward.latest())["one"].standing is CanaryStanding.STEADY
    ward.clock.advance(timedelta(days=1))
    await tonight(ward.house)
    assert (await types_of(ward.house, HOUSE_CHAIN)).count("canary.run") == 1 + 2 * len(
        ward.house.shelf.current
    )


async def test_a_night_of_another_process_is_left_to_it(ward: Ward) -> None:
    ward.clock.set(MIDNIGHT + timedelta(hours=3))
    assert await hold_canary(ward.house.store, "another", 600)
    await tonight(ward.house)
    assert ward.moods.asked == []
    assert await hold_canary(ward.house.store, "another", 0)
    await tonight(ward.house)
    assert ward.moods.asked != []


async def test_a_turn_lasts_longer_than_any_one_asking_may(
    ward: Ward, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two processes would take the night from each other for ever, and neither would end it."""
    protocol = tmp_path / "protocols" / "moody" / "protocol.yaml"
    protocol.write_text(re.sub(r"panel: PT\S+", "panel: PT2H", protocol.read_text("utf-8")), "utf-8")
    held: list[int] = []

    async def hold(where: Where, holder: str, seconds: int) -> bool:
        held.append(seconds)
        return await hold_canary(where, holder, seconds)

    monkeypatch.setattr(nights, "hold_canary", hold)
    ward.clock.set(MIDNIGHT + timedelta(hours=3))
    settings = settings_with(tmp_path, ward.moods.url)
    async with a_house(tmp_path, database, ward.clock, settings=settings, running=False) as slow:
        await tonight(slow)
    assert held
    assert min(held) > 7_200


async def test_what_others_find_is_heard_of_while_a_night_is_asked(
    ward: Ward, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nights, "LOOK_SECONDS", 0.05)
    await ward.run()
    turn_one_case(ward, "m1", "urgent-review")
    asking, asked = asyncio.Event(), asyncio.Event()

    async def endless(_: House) -> None:
        asking.set()
        await asked.wait()

    monkeypatch.setattr(nights, "tonight", endless)
    settings = settings_with(tmp_path, ward.moods.url)
    async with a_house(tmp_path, database, settings=settings) as serving:
        await asyncio.wait_for(asking.wait(), PATIENCE_SECONDS)
        await ward.run()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not serving.moved.seats:  # noqa: ASYNC110 - what is waited for is standing work
                await asyncio.sleep(0.05)
        asked.set()


async def test_a_process_that_lost_its_turn_keeps_nothing(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.clock.set(MIDNIGHT + timedelta(hours=3))
    monkeypatch.setattr(nights, "LEASE_SECONDS", 0)
    turns = iter([True, True, False])
    monkeypatch.setattr(nights, "hold_canary", lambda *_: asyncio.sleep(0, next(turns)))
    await tonight(ward.house)
    assert await types_of(ward.house, HOUSE_CHAIN) == []


async def test_it_can_be_switched_off(ward: Ward, database: Database, tmp_path: Path) -> None:
    ward.clock.set(MIDNIGHT + timedelta(hours=3))
    settings = settings_with(tmp_path, ward.moods.url).model_copy(update={"canary_at": "off"})
    async with a_house(tmp_path, database, ward.clock, settings=settings, running=False) as house:
        await tonight(house)
    assert ward.moods.asked == []


THREE = time(3)


@pytest.mark.parametrize(
    ("at", "night"),
    [
        ("2026-03-01T02:59:59", None),
        ("2026-03-01T03:00:00", date(2026, 3, 1)),
        ("2026-03-01T06:59:59", date(2026, 3, 1)),
        ("2026-03-01T07:00:00", None),
        ("2026-03-01T23:00:00", None),
    ],
)
def test_a_night_begins_at_its_time_and_lasts_some_hours(at: str, night: date | None) -> None:
    assert timedelta(hours=4) == NIGHT_LASTS
    assert night_due(datetime.fromisoformat(at).replace(tzinfo=UTC), THREE, ZoneInfo("UTC")) == night


def test_a_night_over_midnight_is_that_of_the_day_on_which_it_begins() -> None:
    now = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
    assert night_due(now, time(23), ZoneInfo("UTC")) == date(2026, 3, 1)


def test_the_time_is_the_hospitals() -> None:
    now = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)
    assert night_due(now, THREE, ZoneInfo("UTC")) is None
    assert night_due(now, THREE, ZoneInfo("Europe/London")) == date(2026, 7, 1)


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


# --- what an alarm does ---------------------------------------------------------------------------------------------


async def decided(house: House, client: Principal, key: str) -> tuple[Phase, dict[str, Any]]:
    """Hand the calm patient in; return how the case ended and its certificate."""
    submitted = await submit(
        house, client, replace(submission(house.clock.now()), protocol="moody"), key, key.encode()
    )
    view = await settled(house, client, submitted.case)
    async with house.store.read() as transaction:
        dossier = await load_dossier(house, transaction, submitted.case)
    assert all(step.same for step in await replay_case(house, submitted.case))
    told: dict[str, Any] = decode(dossier.latest("certificate").content)
    return view.phase, told


async def test_a_panel_with_a_seat_that_has_moved_decides_nothing_without_a_clinician(
    ward: Ward, database: Database, tmp_path: Path
) -> None:
    paula = await ward.person("paula", Role.POLICY_APPROVER)
    await ward.run()
    turn_one_case(ward, "m1", "urgent-review")
    await ward.run()
    settings = settings_with(tmp_path, ward.moods.url)
    async with a_house(tmp_path, database, settings=settings) as serving:
        # Another process than the one that found it: it learns before it takes any case.
        client, _ = await a_client(serving)
        phase, told = await decided(serving, client, "while-moved")
        assert phase is Phase.ESCALATED
        assert [reason["code"] for reason in told["verdict"]["reasons"]] == ["never-automatic"]
        assert told["settings"]["automatic"] is False
        assert told["verdict"]["leading"] == "continue-monitoring"
        await begin_anew(ward.house, paula, "moody", "looked into")
        await look_for_moved(serving)
        phase, told = await decided(serving, client, "looked-into")
        assert phase is Phase.RELEASED
        assert told["settings"]["automatic"] is True
        assert await gauge_of(serving, "one") == 0


async def test_a_seat_that_moved_and_sits_no_more_holds_nobody_up(
    ward: Ward, database: Database, tmp_path: Path
) -> None:
    await ward.run()
    turn_one_case(ward, "m1", "urgent-review")
    await ward.run()
    shutil.rmtree(tmp_path / "protocols")
    bundle_in(tmp_path, seat("two", "m2"))
    settings = settings_with(tmp_path, ward.moods.url)
    async with a_house(tmp_path, database, settings=settings) as without_it:
        client, _ = await a_client(without_it)
        phase, told = await decided(without_it, client, "without-it")
    assert phase is Phase.RELEASED
    assert told["settings"]["automatic"] is True


async def test_the_gauge_is_one_while_a_seat_has_moved(ward: Ward) -> None:
    await ward.run()
    assert await gauge_of(ward.house, "one") == 0
    turn_one_case(ward, "m1", "urgent-review")
    await ward.run()
    assert await gauge_of(ward.house, "one") == 1
    assert await gauge_of(ward.house, "two") == 0


async def gauge_of(house: House, member: str) -> float:
    (figure,) = [
        figure
        for figure in await gauges(house)
        if figure.metric is CANARY_MOVED and dict(figure.said) == {PROTOCOL: "moody", MEMBER: member}
    ]
    return figure.value


async def test_the_doctor_tells_who_moved_who_is_silent_and_when_nobody_asks(
    ward: Ward, tmp_path: Path
) -> None:
    settings = settings_with(tmp_path, ward.moods.url)

    async def found(settings: Settings = settings) -> list[tuple[str, str]]:
        return [(finding.state, finding.found) for finding in await canaries(settings, ward.house.store)]

    ((state, told),) = await found()
    assert state == "warn"
    assert "(never)" in told
    ward.clock.set(datetime.now(UTC))
    await run_now(ward.house, None)
    seats = sum(len(shelved.protocol.seats) for shelved in ward.house.shelf.current.values())
    assert await found() == [("ok", f"no seat of {seats} has moved")]
    off = settings.model_copy(update={"canary_at": "off"})
    assert [state for state, _ in await found(off)] == ["warn"]
    turn_one_case(ward, "m1", "urgent-review")
    await run_now(ward.house, "moody")
    ((state, told),) = await found()
    assert state == "fail"
    assert told.startswith("moved: moody/one since ")
    ward.moods.silent.add("m2")
    await run_now(ward.house, "moody")
    (_, (state, told)) = await found()
    assert (state, told.partition(": ")[0]) == ("warn", "could not be asked last")
    assert "moody/two: " in told
