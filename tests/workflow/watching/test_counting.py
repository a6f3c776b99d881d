"""An audit is counted once, with the step that closes it; enough wrong ones stop everything until a person lifts the alarm."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from arbiter.documents.canonical import decode
from arbiter.errors import ConflictError, ForbiddenError, NotFoundError, RefusedError
from arbiter.lifecycle.states import AuditStage, Phase
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents_named
from arbiter.store.watching import AlarmStep, load_alarm_steps, load_counts
from arbiter.telemetry.logs import JsonLines
from arbiter.workflow import standing_work
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.watching import alarms, counting
from arbiter.workflow.watching.alarms import DOCUMENT, hear_of_stops, lift, look_for_stops, standing
from arbiter.workflow.watching.drawing import draw_from
from tests.houses import ShiftableClock, a_client, a_house, settle, types_of
from tests.workflow.calibrations.certified import PROTOCOL, codes, decided, fitting
from tests.workflow.watching.ward import Ward

OPTION = "continue-monitoring"


async def counts(ward: Ward) -> list[tuple[str, bool, bool]]:
    rows = await load_counts(ward.house.store, ward.calibration)
    return [(row.option, row.wrong, row.doubted) for row in rows]


async def until_frozen(ward: Ward) -> int:
    """Find decisions wrong until nothing is decided any more; return how many it took."""
    for number in range(1, 20):
        await ward.find_wrong(f"wrong-{number}")
        if ward.house.stops.frozen:
            return number
    raise AssertionError("nothing was frozen")


# --- what is counted ---------------------------------------------------------------------------------------------------


async def test_what_is_decided_is_drawn_and_the_draw_is_sealed_with_the_decision(watched: Ward) -> None:
    case = await watched.decide("one")
    async with watched.house.store.read() as transaction:
        dossier = await load_dossier(watched.house, transaction, case)
    draw = dossier.latest("draw")
    assert draw.seq == dossier.latest("certificate").seq
    assert draw_from(draw.content).drawn
    audit = await watched.audit_of(case)
    assert audit is not None
    assert audit.stage is AuditStage.DRAWN
    assert all(step.same for step in await replay_case(watched.house, case))


async def test_a_reader_who_agrees_is_counted_and_nothing_else_happens(watched: Ward) -> None:
    case = await watched.decide("one")
    await watched.read(case, watched.anna, agrees=True)
    assert await counts(watched) == [(OPTION, False, False)]
    assert (await types_of(watched.house, case))[-2:] == ["case.claimed", "audit.read"]
    (row,) = await load_counts(watched.house.store, watched.calibration)
    assert set(row.members.values()) == {False}
    assert (await verify_log(watched.house, None)).entries > 0


async def test_one_reader_alone_counts_for_nothing(watched: Ward) -> None:
    case = await watched.decide("one")
    await watched.read(case, watched.anna, agrees=False)
    assert await counts(watched) == []
    assert (await types_of(watched.house, case))[-2:] == ["audit.read", "case.contested"]


async def test_a_doubt_that_nobody_shares_is_no_error(watched: Ward) -> None:
    case = await watched.decide("one")
    await watched.read(case, watched.anna, agrees=False)
    await watched.review(case, watched.boris, agrees=True)
    assert await counts(watched) == [(OPTION, False, True)]


async def test_two_readers_make_an_error_of_it(watched: Ward) -> None:
    await watched.find_wrong("one")
    assert await counts(watched) == [(OPTION, True, True)]
    (row,) = await load_counts(watched.house.store, watched.calibration)
    assert set(row.members.values()) == {True}, "all had said what was decided"


async def test_who_marks_a_doubted_case_as_entered_in_error_does_not_end_its_audit(watched: Ward) -> None:
    case = await watched.decide("one")
    await watched.read(case, watched.anna, agrees=False)
    await watched.retract(case)
    await watched.read(case, watched.boris, agrees=False)
    assert await counts(watched) == [(OPTION, True, True)]
    assert (await verify_log(watched.house, None)).entries > 0


async def test_what_the_house_says_of_an_audit_names_no_case(watched: Ward) -> None:
    case = await watched.find_wrong("one")
    told = await load_house_documents_named(watched.house.store, HOUSE_CHAIN, DOCUMENT)
    assert [decode(document.content)["step"] for document in told] == ["counted"]
    assert case.encode() not in b"".join(document.content for document in told)


async def test_a_count_that_cannot_be_kept_takes_the_reading_with_it(
    watched: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await watched.decide("one")

    async def fail(*_: object) -> int:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(counting, "add_count", fail)
        with pytest.raises(OSError, match="full"):
            await watched.read(case, watched.anna, agrees=True)
    audit = await watched.audit_of(case)
    assert audit is not None
    assert audit.stage is AuditStage.DRAWN, "as if it had not been read"
    assert await counts(watched) == []
    assert (await verify_log(watched.house, None)).entries > 0


async def test_audits_closed_at_once_are_counted_one_after_another(watched: Ward) -> None:
    cases = [await watched.decide(f"case-{at}") for at in range(6)]
    await asyncio.gather(*(watched.read(case, watched.anna, agrees=True) for case in cases))
    assert await counts(watched) == [(OPTION, False, False)] * 6
    assert (await verify_log(watched.house, None)).entries > 0


# --- the alarm -----------------------------------------------------------------------------------------------------


async def test_enough_errors_stop_everything_until_a_person_lifts_the_alarm(watched: Ward) -> None:
    house = watched.house
    await watched.read(await watched.decide("right"), watched.anna, agrees=True)
    took = await until_frozen(watched)
    assert 3 <= took <= 12
    alarms = [step for step in standing(await load_alarm_steps(house.store)) if step.target == OPTION]
    assert [alarm.protocol for alarm in alarms] == [PROTOCOL]

    case, phase, told = await decided(house, watched.client, "frozen")
    assert (phase, codes(told)) == (Phase.ESCALATED, ["stopped"])
    assert all(step.same for step in await replay_case(house, case))
    types = await types_of(house, HOUSE_CHAIN)
    assert types.count("watch.counted") == took + 1
    assert "watch.alarmed" in types

    await lift(house, watched.bench.paula, PROTOCOL, "the ward had mixed up two thermometers")
    assert not house.stops.frozen
    await watched.decide("lifted")
    assert (await types_of(house, HOUSE_CHAIN))[-1] == "watch.lifted"
    await settle(house)
    assert (await verify_log(house, None)).entries > 0


async def test_after_a_lift_evidence_begins_anew_and_asks_for_more(watched: Ward) -> None:
    first = await until_frozen(watched)
    await lift(watched.house, watched.bench.paula, PROTOCOL, "looked into")
    second = await until_frozen_again(watched)
    assert second >= first, "half of delta is left for it"


async def test_what_a_lift_left_open_is_counted_and_does_not_freeze_again(watched: Ward) -> None:
    left = [await watched.decide(f"left-{number}") for number in range(8)]
    for case in left:
        await watched.read(case, watched.anna, agrees=False)
    taken = await until_frozen(watched)
    assert taken <= len(left)
    await lift(watched.house, watched.bench.paula, PROTOCOL, "looked into")
    for case in left:
        await watched.review(case, watched.boris, agrees=False)
    assert len(await counts(watched)) == taken + len(left)
    assert not watched.house.stops.frozen, "they were decided before somebody looked into it"


async def until_frozen_again(ward: Ward) -> int:
    for number in range(1, 20):
        await ward.find_wrong(f"again-{number}")
        if ward.house.stops.frozen:
            return number
    raise AssertionError("nothing was frozen")


async def test_a_new_calibration_does_not_lift_the_alarm(watched: Ward) -> None:
    await until_frozen(watched)
    other = fitting(watched.house, code_version="another")
    await watched.bench.put_in_force(other)
    _, phase, _ = await decided(watched.house, watched.client, "other-calibration")
    assert phase is Phase.ESCALATED


async def test_a_process_that_has_not_heard_of_the_alarm_decides_nothing(
    watched: Ward, database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path / "data", database, settings=watched.house.settings) as serving:
        client, _ = await a_client(serving)
        _, phase, _ = await decided(serving, client, "before")
        assert phase is Phase.RELEASED
        await until_frozen(watched)
        assert not serving.stops.frozen, "nobody told it"
        _, phase, _ = await decided(serving, client, "not-heard")
        assert phase is Phase.ESCALATED
        assert serving.stops.frozen == {PROTOCOL}


async def test_another_process_decides_again_as_soon_as_the_alarm_is_lifted(
    watched: Ward, database: Database, tmp_path: Path
) -> None:
    await until_frozen(watched)
    async with a_house(tmp_path / "data", database, settings=watched.house.settings) as serving:
        client, _ = await a_client(serving)
        assert serving.stops.frozen == {PROTOCOL}
        await lift(watched.house, watched.bench.paula, PROTOCOL, "looked into")
        _, phase, told = await decided(serving, client, "lifted elsewhere")
        assert phase is Phase.RELEASED, codes(told)


async def test_an_alarm_is_still_there_after_a_restart(
    watched: Ward, database: Database, tmp_path: Path
) -> None:
    await until_frozen(watched)
    async with a_house(tmp_path / "data", database, settings=watched.house.settings) as again:
        assert again.stops.frozen == {PROTOCOL}


# --- who lifts it ------------------------------------------------------------------------------------------------------


async def test_an_alarm_is_lifted_by_who_may_approve_policy_and_says_why(watched: Ward) -> None:
    await until_frozen(watched)
    house, paula = watched.house, watched.bench.paula
    for nobody in (watched.anna, watched.client, watched.bench.otto):
        with pytest.raises(ForbiddenError):
            await lift(house, nobody, PROTOCOL, "it is fine")
    for none in ("", "  ", "two\nlines", "x" * 1001):
        with pytest.raises(RefusedError):
            await lift(house, paula, PROTOCOL, none)
    with pytest.raises(NotFoundError):
        await lift(house, paula, "deterioration", "it is fine")
    assert house.stops.frozen == {PROTOCOL}


async def test_where_no_alarm_stands_none_is_lifted(watched: Ward) -> None:
    with pytest.raises(NotFoundError, match="no alarm"):
        await lift(watched.house, watched.bench.paula, PROTOCOL, "to be safe")


async def test_an_alarm_is_lifted_once(watched: Ward) -> None:
    await until_frozen(watched)
    house, paula = watched.house, watched.bench.paula
    done = await asyncio.gather(
        *(lift(house, paula, PROTOCOL, f"reason {at}") for at in range(2)), return_exceptions=True
    )
    assert sum(isinstance(each, ConflictError | NotFoundError) for each in done) == 1, done
    steps = await load_alarm_steps(house.store)
    lifted = [step for step in steps if step.step is AlarmStep.LIFTED and step.target == OPTION]
    assert len(lifted) == 1


# --- audits that nobody reads ---------------------------------------------------------------------------------------


async def test_where_nobody_reads_nothing_is_decided_until_somebody_does(
    database: Database, tmp_path: Path, watched: Ward
) -> None:
    clock = ShiftableClock()
    house = replace(watched.house, clock=clock)
    case = await watched.decide("unread")
    clock.advance(timedelta(days=house.settings.audit_days, hours=-1))
    await look_for_stops(house)
    assert not house.stops.behind
    clock.advance(timedelta(hours=2))
    await look_for_stops(house)
    assert house.stops.behind == {PROTOCOL}
    _, phase, _ = await decided(house, watched.client, "behind")
    assert phase is Phase.ESCALATED
    await watched.read(case, watched.anna, agrees=True)
    await look_for_stops(house)
    assert not house.stops.behind


async def test_the_log_names_the_protocol_that_nobody_reads_and_once(
    watched: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_work, "LOOK_SECONDS", 0.0)
    clock, told = ShiftableClock(), io.StringIO()
    house = replace(watched.house, clock=clock)
    await watched.decide("unread")
    clock.advance(timedelta(days=house.settings.audit_days, hours=1))
    rounds = 0

    async def look(_: House) -> None:
        nonlocal rounds
        rounds += 1
        await look_for_stops(house)

    monkeypatch.setattr(alarms, "look_for_stops", look)
    handler = logging.StreamHandler(told)
    handler.setFormatter(JsonLines())
    alarms.log.addHandler(handler)
    hearing = asyncio.create_task(hear_of_stops(house))
    async with asyncio.timeout(30):
        while rounds < 3:  # noqa: ASYNC110 - what is waited for is standing work
            await asyncio.sleep(0.01)
    hearing.cancel()
    alarms.log.removeHandler(handler)
    assert [json.loads(line)["message"] for line in told.getvalue().splitlines()] == [
        f"protocol {PROTOCOL} decides nothing alone: its audits wait for readers too long"
    ]
