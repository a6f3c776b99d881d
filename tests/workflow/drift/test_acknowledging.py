"""Who ends an alarm about drift, for what reason, and what becomes of the stream."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from arbiter.calibrating.bins import Stream
from arbiter.calibrating.drifting import fitted
from arbiter.errors import ConflictError, ForbiddenError, NotFoundError, RefusedError
from arbiter.identity.roles import Role
from arbiter.store.drifts import keep_state, load_alarms, load_states
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.store.wrapping import Kind, count_wrapped
from arbiter.workflow.drift import acknowledging
from arbiter.workflow.drift.acknowledging import acknowledge_drift
from arbiter.workflow.drift.kept import open_watched, seal_watched
from arbiter.workflow.drift.observing import compared_in
from arbiter.workflow.drift.standings import drift_standings
from arbiter.workflow.drift.taking import catch_up
from arbiter.workflow.house import House
from arbiter.workflow.log.rotating_kek import retire_kek, rotate_kek
from arbiter.workflow.reasons import LONGEST_REASON
from tests.houses import a_client, types_of
from tests.workflow.drift.wards import (
    AFTER,
    CALM,
    MOVED,
    REFERENCE,
    TEMPERATURE,
    Logs,
    a_person,
    conclude_many,
    counts_in,
    entered,
    temperature_in,
    watched_in,
)

WHY = "new thermometers since Monday, compared with the old ones"
ENTRY = "watch.drift-acknowledged"


async def left_alone(house: House) -> bool:
    """Whether the alarm stands as it did, and nothing was entered about it."""
    (alarm,) = await load_alarms(house.store, standing=False)
    run = await temperature_in(house)
    return (
        alarm.acknowledged_at is None
        and (run.number, run.drift.seen) == (0, CALM + MOVED)
        and ENTRY not in await types_of(house, HOUSE_CHAIN)
    )


async def test_a_person_who_approves_policy_ends_it_and_the_stream_begins_anew_with_half_its_delta(
    logs: Logs, tmp_path: Path
) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        before, others = await temperature_in(house), await counts_in(house)
        paula = await a_person(house, "paula", Role.POLICY_APPROVER)
        (ended,) = await acknowledge_drift(house, paula, "deterioration", TEMPERATURE, f"  {WHY} ")
        assert (ended.stream, ended.run) == (TEMPERATURE, 0)
        after = await temperature_in(house)
        assert after.drift.delta == before.drift.delta / 2
        assert (after.number, after.drift.seen, after.one_in) == (1, 0, None)
        left = await counts_in(house)
        assert {name for name in left if left[name] != others[name]} == {TEMPERATURE}
        assert await load_alarms(house.store, standing=True) == ()
        document = (await entered(house))[-1]
        assert (document["reason"], document["stream"], document["run"]) == (WHY, TEMPERATURE, 0)
        assert document["alarmed_at"] == ended.alarmed_at.isoformat()
        ((actor, reason),) = await house.store.run(
            "SELECT actor, reason FROM drift_step WHERE step = 'acknowledged'", {}
        )
        assert (actor, reason) == (paula.id, WHY)
        assert all(each.alarmed_at is None for each in await drift_standings(house))


async def test_what_comes_next_is_the_sample_of_a_stream_begun_anew(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        paula = await a_person(house, "paula", Role.POLICY_APPROVER)
        await acknowledge_drift(house, paula, "deterioration", TEMPERATURE, WHY)
        client, _ = await a_client(house, "third ward")
        await conclude_many(house, client, "later", 12, AFTER)
        await catch_up(house)
        run = await temperature_in(house)
        assert (run.number, run.drift.seen, run.drift.reference) == (1, 12, REFERENCE)
        watched = await watched_in(house)
        assert watched is not None
        assert watched.cases == CALM + MOVED + 12
        assert await load_alarms(house.store, standing=True) == ()


# --- who may not, and what is no reason ---------------------------------------------------------------------------


async def test_nobody_else_may(logs: Logs, tmp_path: Path) -> None:
    others = (Role.POLICY_AUTHOR, Role.REVIEWER, Role.AUDITOR, Role.ADMINISTRATOR, Role.RECORDS_OFFICER)
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        for role in others:
            other = await a_person(house, role.value, role)
            with pytest.raises(ForbiddenError):
                await acknowledge_drift(house, other, "deterioration", TEMPERATURE, WHY)
        client, _ = await a_client(house, "third ward")
        with pytest.raises(ForbiddenError):
            await acknowledge_drift(house, client, "deterioration", TEMPERATURE, WHY)
        assert await left_alone(house)


async def test_what_is_no_reason_ends_nothing(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        paula = await a_person(house, "paula", Role.POLICY_APPROVER)
        for reason in ("", "   ", "two\nlines", "x" * (LONGEST_REASON + 1), "bell\a"):
            with pytest.raises(RefusedError, match="expected a reason of 1 to 1000 printable characters"):
                await acknowledge_drift(house, paula, "deterioration", TEMPERATURE, reason)
        assert await left_alone(house)


async def test_what_has_not_alarmed_is_not_to_be_acknowledged(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        paula = await a_person(house, "paula", Role.POLICY_APPROVER)
        with pytest.raises(NotFoundError, match="there are none"):
            await acknowledge_drift(house, paula, "deterioration", TEMPERATURE, WHY)
        await catch_up(house)
        for protocol, stream in (
            ("deterioration", "fact.heart_rate"),
            ("anticoagulation", TEMPERATURE),
            ("deterioration", "temperature"),
            ("", ""),
        ):
            with pytest.raises(NotFoundError, match=r"there are deterioration fact\.temperature"):
                await acknowledge_drift(house, paula, protocol, stream, WHY)
        assert await left_alone(house)


async def test_of_two_who_acknowledge_at_once_one_does(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        delta = (await temperature_in(house)).drift.delta
        both = [await a_person(house, login, Role.POLICY_APPROVER) for login in ("paula", "piet")]
        done = await asyncio.gather(
            *(acknowledge_drift(house, each, "deterioration", TEMPERATURE, WHY) for each in both),
            return_exceptions=True,
        )
        assert sorted(isinstance(each, NotFoundError) for each in done) == [False, True]
        run = await temperature_in(house)
        assert (run.number, run.drift.delta) == (1, delta / 2)
        assert (await types_of(house, HOUSE_CHAIN)).count(ENTRY) == 1


async def test_an_acknowledgement_that_cannot_be_entered_ends_nothing(
    logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> int:
        raise ConflictError("the chain is held")

    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        paula = await a_person(house, "paula", Role.POLICY_APPROVER)
        monkeypatch.setattr(acknowledging, "note_in_house", never)
        with pytest.raises(ConflictError):
            await acknowledge_drift(house, paula, "deterioration", TEMPERATURE, WHY)
        assert await left_alone(house)


# --- what else may befall a state ---------------------------------------------------------------------------------


async def test_another_release_that_sorts_otherwise_ends_no_alarm_and_spends_no_delta_twice(
    logs: Logs, tmp_path: Path
) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        protocol = house.shelf.in_force("deterioration").protocol
        version = protocol.content_hash
        kept = open_watched(house.vault, version, (await load_states(house.store, [version]))[version])
        fewer = [run for run in kept.runs if run.stream != "panel.valid"]
        streams = [Stream(run.stream, len(run.drift.counts)) for run in fewer]
        otherwise = fitted(kept, streams, compared_in(protocol))
        await keep_state(house.store, version, seal_watched(house.vault, version, otherwise))
        (standing,) = [each for each in await drift_standings(house) if each.alarmed_at is not None]
        assert (standing.stream, standing.run) == (TEMPERATURE, 1)
        paula = await a_person(house, "paula", Role.POLICY_APPROVER)
        await acknowledge_drift(house, paula, "deterioration", TEMPERATURE, WHY)
        assert await watched_in(house) == otherwise, "it had begun anew already"
        assert await load_alarms(house.store, standing=True) == ()


async def test_states_are_wrapped_anew_with_everything_else(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        before = await watched_in(house)
        assert await count_wrapped(house.store, Kind.DRIFT_STATE) == {"kek-1": 1}
        paula = await a_person(house, "paula", Role.ADMINISTRATOR)
        await rotate_kek(house, paula.id, lambda *_: None)
        assert await count_wrapped(house.store, Kind.DRIFT_STATE) == {"kek-2": 1}
        await retire_kek(house, paula.id, "kek-1")
        assert await watched_in(house) == before
        assert math.isfinite((await temperature_in(house)).drift.highest)
