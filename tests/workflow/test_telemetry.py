"""What a house tells of its work: spans that hang together, figures that are the database's, a trace id in every entry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from arbiter.api.app import create_app
from arbiter.audit.entry import Entry
from arbiter.errors import ConflictError, InvalidCaseError, OverloadedError, ShedError
from arbiter.lifecycle.states import Phase
from arbiter.model import RiskClass
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.store.figures import load_figures
from arbiter.store.log.chains import load_entries
from arbiter.telemetry.catalogue import REQUEST
from arbiter.telemetry.export import start_telemetry, stop_telemetry
from arbiter.telemetry.metrics import (
    CONCLUSION_SECONDS,
    DECIDED,
    ERRANDS,
    ESCALATED,
    ESCALATION_REASONS,
    OPEN_CASES,
    PENDING,
    REFUSED,
    RELEASED_CASES,
    SEALED,
    TAKEN_IN,
    Metric,
)
from arbiter.telemetry.spans import spanned, trace_id
from arbiter.workflow import admission as gate
from arbiter.workflow.closing import contest
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.gauges import gauges
from arbiter.workflow.house import House
from arbiter.workflow.intake import glance, submit
from arbiter.workflow.reading import view_case
from arbiter.workflow.review import claim, hand_back
from tests.houses import ShiftableClock, a_client, a_house, a_reviewer, settle, settled, submission
from tests.telemetry.recording import Recording, recording
from tests.workflow.test_promises import DeadAfterIntake

EXCLUDED = {"treatment_limitation": ("ward-ceiling", None)}


async def entries_of(house: House, case: object) -> list[Entry]:
    async with house.store.read() as transaction:
        return [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, case)]  # type: ignore[arg-type] # a case id


def in_trace(recorded: Recording, trace: str) -> dict[str, ReadableSpan]:
    return {span.name: span for span in recorded.spans() if f"{span.context.trace_id:032x}" == trace}


def counted(recorded: Recording, metric: Metric) -> dict[tuple[object, ...], float]:
    points: Sequence[object] = recorded.metrics()[metric.name].data.data_points
    return {tuple(sorted((point.attributes or {}).values())): point.value for point in points}  # type: ignore[attr-defined] # counters only


async def test_a_case_is_one_trace_from_request_to_verdict(database: Database, tmp_path: Path) -> None:
    with recording() as recorded:
        async with a_house(tmp_path, database) as house:
            client, _ = await a_client(house)
            with spanned(REQUEST, name="POST"):
                trace = trace_id()
                case = (await submit(house, client, submission(house.clock.now()), "k", b"k")).case
            await settle(house)
            entries = await entries_of(house, case)
        spans = in_trace(recorded, trace)
        assert set(spans) >= {
            "POST",
            "take a case in",
            "deliberate",
            "ask member",
            "adjudicate",
            "write a step",
        }
        assert spans["adjudicate"].parent == spans["deliberate"].context
        assert (spans["adjudicate"].attributes or {})["arbiter.verdict"] == "decide"
        assert (spans["deliberate"].attributes or {})["arbiter.case.id"] == case
        assert {entry.trace for entry in entries[:-1]} == {trace}
        (released,) = [span for span in recorded.spans() if span.name == "release"]
        assert entries[-1].type == "case.released"
        assert entries[-1].trace == f"{released.context.trace_id:032x}"
        sealed = [
            (span.attributes or {})["arbiter.entries"] for span in recorded.spans() if span.name == "seal"
        ]
        assert sum(count for count in sealed if isinstance(count, int)) == len(entries)


async def test_whoever_takes_a_case_up_is_linked_to_the_request_that_left_it(
    database: Database, tmp_path: Path
) -> None:
    clock = ShiftableClock()
    clock.advance(timedelta(seconds=-20))
    with recording() as recorded:
        async with a_house(tmp_path, database, clock, running=False) as house:
            client, _ = await a_client(house)
            with spanned(REQUEST, name="POST") as request:
                dead = replace(house, errands=DeadAfterIntake())
                case = (await submit(dead, client, submission(house.clock.now()), "k", b"k")).case
        async with a_house(tmp_path, database, clock, workers=True) as house:
            assert (await settled(house, client, case)).phase is Phase.RELEASED
            await settle(house)
            entries = await entries_of(house, case)
        taken_up = recorded.span("take up a case")
        assert taken_up.parent is None
        (link,) = taken_up.links
        left = request.get_span_context()
        assert (link.context.trace_id, link.context.span_id) == (left.trace_id, left.span_id)
        opinion = next(entry for entry in entries if entry.type == "opinion.recorded")
        assert opinion.trace == f"{taken_up.context.trace_id:032x}" != entries[0].trace


async def test_counters_count_what_became_of_cases(database: Database, tmp_path: Path) -> None:
    with recording() as recorded:
        async with a_house(tmp_path, database) as house:
            client, _ = await a_client(house)
            now = house.clock.now()
            await submit(house, client, submission(now), "k1", b"1")
            await submit(house, client, submission(now), "k1", b"1")
            await submit(house, client, submission(now, **EXCLUDED), "k2", b"2")
            with pytest.raises(InvalidCaseError):
                await submit(house, client, submission(now, age=(Decimal(500), "a")), "k3", b"3")
            await settle(house)
        said = ("deterioration", "urgent")
        assert counted(recorded, TAKEN_IN) == {said: 2}
        assert counted(recorded, DECIDED) == {("deterioration", "panel", "urgent"): 1}
        assert counted(recorded, ESCALATED) == {said: 1}
        assert counted(recorded, ESCALATION_REASONS) == {("deterioration", "excluded", "urgent"): 1}
        assert list(counted(recorded, REFUSED).values()) == [1]
        assert counted(recorded, RELEASED_CASES) == {said: 1}
        assert counted(recorded, SEALED)[()] > 8
        (seconds,) = recorded.metrics()[CONCLUSION_SECONDS.name].data.data_points
        assert 0 < seconds.sum < 10  # type: ignore[union-attr] # a histogram's point


async def test_whoever_there_is_no_room_for_is_counted_once_wherever_the_door_turns_them_away(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 0.2)
    small = Settings(data=tmp_path, mode=Mode.DEMONSTRATION, workers=False, capacity=8)
    with recording() as recorded:
        async with a_house(tmp_path, database, settings=small) as house:
            client, token = await a_client(house)
            for _ in range(7):
                house.admission.admit(RiskClass.EMERGENCY, timedelta(seconds=30))
            routine = replace(submission(house.clock.now()), risk_class=RiskClass.ROUTINE)
            with pytest.raises(ShedError):
                await submit(house, client, routine, "waits in vain", b"1")
            # From here on nobody's patience runs out: how fast the machine is does not matter.
            monkeypatch.setattr(gate, "PATIENCE_SECONDS", 600.0)
            waiting = [
                asyncio.create_task(house.admission.enter(RiskClass.ROUTINE, timedelta(seconds=30)))
                for _ in range(gate.WAITING_LIMIT)
            ]
            await asyncio.sleep(0)
            await glance(house, routine=False)
            transport = httpx.ASGITransport(app=create_app(house))
            async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
                headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "full"}
                reply = await http.post("/v1/cases", json={"risk_class": "routine"}, headers=headers)
            assert reply.status_code == 429
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await glance(house, routine=True)
            house.admission.admit(RiskClass.EMERGENCY, timedelta(seconds=30))
            with pytest.raises(OverloadedError):
                await submit(house, client, submission(house.clock.now()), "no room", b"2")
        assert counted(recorded, REFUSED) == {("shed",): 2, ("overloaded",): 1}


async def test_a_wait_that_is_over_is_counted_with_its_reason_and_has_a_trace(
    database: Database, tmp_path: Path
) -> None:
    clock = ShiftableClock()
    with recording() as recorded:
        async with a_house(tmp_path, database, clock) as house:
            client, _ = await a_client(house)
            case = (await submit(house, client, submission(clock.now(), temperature=None), "k", b"k")).case
            await settle(house)
            assert (await view_case(house, client, case)).phase is Phase.AWAITING_FACTS
            clock.advance(timedelta(days=2))
            async with asyncio.timeout(20):
                while (await view_case(house, client, case)).phase is not Phase.ESCALATED:  # noqa: ASYNC110 - the sweep is waited for
                    await asyncio.sleep(0.05)
            entries = await entries_of(house, case)
        (ended,) = [span for span in recorded.spans() if span.name == "end a wait" and span.attributes][:1]
        escalated = next(entry for entry in entries if entry.type == "case.escalated")
        assert escalated.trace == f"{ended.context.trace_id:032x}"
        assert counted(recorded, ESCALATION_REASONS) == {("deadline", "deterioration", "urgent"): 1}


ESCALATING = {"case.escalated", "case.contested", "decision.withdrawn"}


async def test_every_way_to_a_clinician_is_counted_once_and_going_back_to_one_is_not(
    database: Database, tmp_path: Path
) -> None:
    clock = ShiftableClock()
    with recording() as recorded:
        async with a_house(tmp_path, database, clock, running=False) as house:
            client, _ = await a_client(house)
            anna = await a_reviewer(house)
            contested = (await submit(house, client, submission(clock.now()), "k1", b"1")).case
            excluded = (await submit(house, client, submission(clock.now(), **EXCLUDED), "k2", b"2")).case
            await house.errands.finish(10)
            await house.sealer.round()
            await contest(house, client, contested, "Mrs Jones is not so well")
            with pytest.raises(ConflictError):
                await contest(house, client, contested, "once more")
            another = submission(clock.now(), age=(Decimal(55), "a"))
            withdrawn = (await submit(house, client, another, "k3", b"3")).case
            await house.errands.finish(10)
            await claim(house, anna, excluded)
            await hand_back(house, anna, excluded)
            await claim(house, anna, excluded)
            clock.advance(timedelta(days=2))
            for _ in range(3):
                await expire_due(house)
            types = [
                entry.type
                for case in (contested, excluded, withdrawn)
                for entry in await entries_of(house, case)
            ]
        assert types.count("claim.ended") == 2
        assert types.count("escalation.overdue") > 1
        assert {kind: types.count(kind) for kind in ESCALATING} == dict.fromkeys(ESCALATING, 1)
        assert counted(recorded, ESCALATED) == {("deterioration", "urgent"): len(ESCALATING)}
        reasons = {frozenset(said): count for said, count in counted(recorded, ESCALATION_REASONS).items()}
        assert reasons == {
            frozenset((reason, "deterioration", "urgent")): 1
            for reason in ("contested", "excluded", "withdrawn")
        }


async def test_without_any_exporter_every_entry_names_a_trace(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    start_telemetry()
    try:
        async with a_house(tmp_path, database) as house:
            client, _ = await a_client(house)
            with spanned(REQUEST, name="POST"):
                case = (await submit(house, client, submission(house.clock.now()), "k", b"k")).case
            await settle(house)
            entries = await entries_of(house, case)
    finally:
        stop_telemetry()
    assert len(entries) == 9
    assert all(len(entry.trace) == 32 for entry in entries)
    assert len({entry.trace for entry in entries}) == 2


async def test_gauges_say_what_the_database_holds(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        client, _ = await a_client(house)
        for number in range(3):
            await submit(house, client, submission(house.clock.now(), **EXCLUDED), f"k{number}", b"k")
        dead = replace(house, errands=DeadAfterIntake())
        await submit(dead, client, submission(house.clock.now()), "k9", b"k")
        read = {(figure.metric, *figure.said.values()): figure.value for figure in await gauges(house)}
        assert (read[OPEN_CASES, "escalated"], read[OPEN_CASES, "deliberating"]) == (3, 1)
        assert read[OPEN_CASES, "received"] == 0
        assert (read[PENDING,], read[ERRANDS,]) == (8, 0)
        now = house.clock.now()
        assert (await load_figures(house.store, now)).due_jobs == 0
        later = await load_figures(house.store, now + timedelta(seconds=6))
        assert later.due_jobs == 1
        assert later.due_since is not None
        await house.sealer.round()
        after = await load_figures(house.store, now)
        assert (after.pending, after.pending_since, after.checkpoint_size) == (0, None, 8)
