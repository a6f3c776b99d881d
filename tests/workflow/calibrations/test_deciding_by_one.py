"""A panel decides by the calibration that two persons put in force, says so, and stops when it is withdrawn."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from arbiter.documents.calibrations import calibration_bytes, sealed
from arbiter.errors import UnavailableError
from arbiter.lifecycle.states import Phase
from arbiter.settings import Mode
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow import standing_work
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.calibrations import standings
from arbiter.workflow.calibrations.approving import approve, propose, withdraw
from arbiter.workflow.calibrations.standings import hear_of_approved, look_for_approved
from arbiter.workflow.certifying import calibration_in_force
from arbiter.workflow.house import House
from tests.adjudication.calibrations import LABELS
from tests.conftest import an_insider
from tests.houses import a_client, a_house
from tests.workflow.calibrations.certified import (
    PROTOCOL,
    Court,
    bundle_in,
    codes,
    court,
    decided,
    fitting,
    settings_of,
)


def in_force(house: House) -> str | None:
    found = calibration_in_force(house, house.shelf.in_force(PROTOCOL).protocol.content_hash)
    return None if found is None else found.content_hash


async def test_from_proposed_to_withdrawn_and_what_becomes_of_the_cases(bench: Court) -> None:
    house = bench.house
    client, _ = await a_client(house)
    _, phase, told = await decided(house, client, "before")
    assert (phase, codes(told)) == (Phase.ESCALATED, ["no-calibration"])

    made = fitting(house)
    named = await bench.propose(made)
    _, phase, told = await decided(house, client, "proposed")
    assert (phase, codes(told)) == (Phase.ESCALATED, ["no-calibration"]), "one person is not enough"

    await approve(house, bench.paula, named)
    case, phase, told = await decided(house, client, "approved")
    assert phase is Phase.RELEASED, codes(told)
    assert told["calibration"]["hash"] == named == made.content_hash
    assert all(step.same for step in await replay_case(house, case))

    await withdraw(house, bench.paula, named, "the labels were mixed up")
    other, phase, told = await decided(house, client, "withdrawn")
    assert (phase, codes(told)) == (Phase.ESCALATED, ["no-calibration"])
    for each in (case, other):
        steps = await replay_case(house, each)
        assert steps
        assert all(step.same for step in steps), "what was decided by it can be decided by it again"
    assert (await verify_log(house, None)).entries > 0


async def test_a_process_that_has_not_heard_of_the_withdrawal_decides_nothing_by_it(
    bench: Court, database: Database, tmp_path: Path
) -> None:
    named = await bench.put_in_force(fitting(bench.house))
    async with a_house(tmp_path / "data", database, settings=bench.house.settings) as serving:
        client, _ = await a_client(serving)
        assert in_force(serving) == named, "it learns at its start"
        _, phase, _ = await decided(serving, client, "known")
        assert phase is Phase.RELEASED
        await withdraw(bench.house, bench.paula, named, "drifted")
        assert in_force(serving) == named, "nobody told it"
        _, phase, told = await decided(serving, client, "not-heard")
        assert (phase, codes(told)) == (Phase.ESCALATED, ["no-calibration"])
        assert in_force(serving) is None


async def test_other_processes_hear_of_an_approval_by_themselves(
    bench: Court, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_work, "LOOK_SECONDS", 0.02)
    async with a_house(tmp_path / "data", database, settings=bench.house.settings) as serving:
        named = await bench.put_in_force(fitting(bench.house))
        async with asyncio.timeout(30):
            while in_force(serving) != named:  # noqa: ASYNC110 - what is waited for is standing work
                await asyncio.sleep(0.02)


async def test_while_the_database_does_not_answer_what_was_known_stays(
    bench: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = await bench.put_in_force(fitting(bench.house))
    asked = 0

    async def down(_where: object) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        raise UnavailableError("the database does not answer")

    monkeypatch.setattr(standings, "load_steps", down)
    monkeypatch.setattr(standing_work, "LOOK_SECONDS", 0.0)
    hearing = asyncio.create_task(hear_of_approved(bench.house))
    async with asyncio.timeout(30):
        while asked < 3:  # noqa: ASYNC110 - what is waited for is standing work
            await asyncio.sleep(0)
    assert not hearing.done()
    hearing.cancel()
    assert in_force(bench.house) == named


# --- which one counts -----------------------------------------------------------------------------------------------


async def test_the_newest_approved_counts_and_the_one_before_again_once_it_is_withdrawn(bench: Court) -> None:
    first, second = (fitting(bench.house, code_version=version) for version in "12")
    for made in (first, second):
        await bench.propose(made)
    # Approved in the other order than proposed: approving is what counts.
    await approve(bench.house, bench.paula, second.content_hash)
    await approve(bench.house, bench.paula, first.content_hash)
    assert in_force(bench.house) == first.content_hash
    await withdraw(bench.house, bench.paula, first.content_hash, "worse than the one before")
    assert in_force(bench.house) == second.content_hash
    await withdraw(bench.house, bench.paula, second.content_hash, "that one too")
    assert in_force(bench.house) is None


async def test_what_came_with_the_bundle_counts_in_a_demonstration_until_something_is_approved_and_no_more_once_withdrawn(
    bench: Court, database: Database, tmp_path: Path
) -> None:
    bundled = fitting(bench.house, labels=LABELS)
    settings = settings_of(tmp_path / "data", bundle_in(tmp_path, bundled=bundled))
    async with a_house(tmp_path / "data", database, settings=settings) as house:
        assert in_force(house) == bundled.content_hash
        other = fitting(house)
        there = replace(bench, house=house)
        await there.put_in_force(other)
        assert in_force(house) == other.content_hash
        await there.put_in_force(bundled)
        assert in_force(house) == bundled.content_hash
        for named in (bundled.content_hash, other.content_hash):
            await withdraw(house, bench.paula, named, "neither")
        assert in_force(house) is None, "coming with the bundle does not bring back what was withdrawn"


async def test_in_production_what_came_with_the_bundle_does_not_count_whatever_its_labels(
    bench: Court, database: Database, tmp_path: Path
) -> None:
    settings = settings_of(
        tmp_path / "data", bundle_in(tmp_path, bundled=fitting(bench.house)), Mode.PRODUCTION
    )
    async with a_house(tmp_path / "data", database, settings=settings) as house:
        client, _ = await a_client(house)
        assert house.shelf.in_force(PROTOCOL).bundle.calibration is not None
        _, phase, told = await decided(house, client, "bundled")
        assert (phase, codes(told)) == (Phase.ESCALATED, ["no-calibration"])


async def test_what_was_approved_in_a_demonstration_on_synthetic_labels_decides_nothing_in_production(
    bench: Court, database: Database, tmp_path: Path
) -> None:
    real = await bench.put_in_force(fitting(bench.house))
    invented = await bench.put_in_force(fitting(bench.house, labels=LABELS))
    assert in_force(bench.house) == invented
    assert bench.house.settings.protocols is not None
    settings = settings_of(tmp_path / "data", bench.house.settings.protocols, Mode.PRODUCTION)
    async with a_house(tmp_path / "data", database, settings=settings) as house:
        client, _ = await a_client(house)
        assert in_force(house) is None, f"nor does the older one, {real}, take its place"
        _, phase, told = await decided(house, client, "invented")
        assert (phase, codes(told)) == (Phase.ESCALATED, ["no-calibration"])


async def test_in_production_real_labels_approved_by_two_persons_decide(
    database: Database, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "data", bundle_in(tmp_path), Mode.PRODUCTION)
    async with a_house(tmp_path / "data", database, settings=settings) as house:
        client, _ = await a_client(house)
        named = await (await court(house)).put_in_force(fitting(house))
        _, phase, told = await decided(house, client, "real")
        assert phase is Phase.RELEASED, codes(told)
        assert told["calibration"]["hash"] == named


async def test_another_version_of_the_protocol_has_none_until_one_is_made_for_it(
    bench: Court, database: Database, tmp_path: Path
) -> None:
    await bench.put_in_force(fitting(bench.house))
    settings = settings_of(tmp_path / "data", bundle_in(tmp_path, "1.0.1"))
    async with a_house(tmp_path / "data", database, settings=settings) as house:
        client, _ = await a_client(house)
        assert in_force(house) is None
        _, phase, told = await decided(house, client, "changed")
        assert (phase, codes(told)) == (Phase.ESCALATED, ["no-calibration"])


async def test_members_that_are_others_than_it_knows_are_not_believed(bench: Court) -> None:
    """It is in force, and what sits in the seats now never answered its labelled cases."""
    made = fitting(bench.house)
    strangers = tuple(replace(record, identity="e" * 64) for record in made.records)
    await bench.put_in_force(sealed(replace(made, records=strangers)))
    client, _ = await a_client(bench.house)
    _, phase, told = await decided(bench.house, client, "strangers")
    assert phase is Phase.ESCALATED
    assert set(codes(told)) == {"unrecorded-member"}


async def test_one_that_was_changed_behind_the_logs_back_is_left_out(
    bench: Court,
    server: EmbeddedPostgres,
    database: Database,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = fitting(bench.house)
    named = await bench.put_in_force(made)
    forged = calibration_bytes(fitting(bench.house, temperature=made.temperature / 2))
    with an_insider(server, database) as connection:
        connection.execute("ALTER TABLE calibration DISABLE TRIGGER ALL")
        connection.execute("UPDATE calibration SET document = %s", (forged,))
    async with a_house(tmp_path / "data", database, settings=bench.house.settings) as house:
        await look_for_approved(house)
        assert in_force(house) is None
        assert f"calibration {named} is not in force" in caplog.text


async def test_a_proposal_from_a_file_is_the_files_bytes(bench: Court) -> None:
    made = fitting(bench.house)
    proposed = await propose(bench.house, bench.otto, calibration_bytes(made))
    assert proposed == made
    assert await bench.house.shelf.fetch_calibration(bench.house.store, made.content_hash) == made
