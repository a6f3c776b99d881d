"""What comes of a seat that has moved: no decision without a clinician, the gauge, the doctor's word."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arbiter.cli.doctor.canary_checks import canaries
from arbiter.documents.canonical import decode
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.settings import Settings
from arbiter.store.database import Database
from arbiter.telemetry.catalogue import MEMBER, PROTOCOL
from arbiter.telemetry.metrics import CANARY_MOVED
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.canaries import look_for_moved
from arbiter.workflow.canary.asked_for import begin_anew, run_now
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.gauges import gauges
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from tests.houses import a_client, a_house, settled, submission
from tests.panels.model_bundles import seat
from tests.workflow.canary.wards import (
    Ward,
    bundle_in,
    turn_one_case,
)
from tests.workflow.modelled import settings_with


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
        assert [reason["code"] for reason in told["verdict"]["reasons"]] == ["stopped"]
        assert told["settings"]["stopped"] is True
        assert told["verdict"]["leading"] == "continue-monitoring"
        await begin_anew(ward.house, paula, "moody", "looked into")
        await look_for_moved(serving)
        phase, told = await decided(serving, client, "looked-into")
        assert phase is Phase.RELEASED
        assert "stopped" not in told["settings"]
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
