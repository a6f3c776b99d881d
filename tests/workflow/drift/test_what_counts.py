"""Which cases count, and when: once, however often their panel is heard; some not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from arbiter.errors import ConfigurationError
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, FactStatus
from arbiter.protocols.intake import RawFact
from arbiter.settings import Mode
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.log.checkpoints import load_newest_checkpoint
from arbiter.workflow.amending import amend
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.drift.taking import catch_up
from arbiter.workflow.erasure.erasing import Order, erase
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.reading import view_case
from arbiter.workflow.review import claim, commit_opinion, reveal, sign
from tests.conftest import an_insider
from tests.houses import ShiftableClock, a_client, a_reviewer, submission
from tests.workflow.drift.wards import (
    CALM,
    MOVED,
    TEMPERATURE,
    TRAINING,
    Logs,
    a_person,
    cases_in,
    conclude,
    counts_in,
    on,
    read_so_far,
    seal,
)

# --- what does not count ------------------------------------------------------------------------------------------


async def test_training_cases_do_not_count(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.moved, tmp_path) as house:
        await catch_up(house)
        ((concluded,),) = await house.store.run("SELECT count(*) FROM case_file WHERE phase = 'released'", {})
        assert concluded == CALM + TRAINING + MOVED
        assert await cases_in(house) == CALM + MOVED


async def test_what_no_checkpoint_covers_waits(database: Database, tmp_path: Path) -> None:
    async with on(database, tmp_path) as house:
        client, _ = await a_client(house)
        await conclude(house, client, "one")
        assert await load_newest_checkpoint(house.store) is None
        await catch_up(house)
        assert await cases_in(house) == 0
        await seal(house)
        await catch_up(house)
        assert await cases_in(house) == 1


async def test_erased_cases_do_not_count(database: Database, tmp_path: Path) -> None:
    async with on(database, tmp_path, retention_days=0) as house:
        client, _ = await a_client(house)
        olga = await a_person(house, "olga", Role.RECORDS_OFFICER)
        erased = await conclude(house, client, "one")
        await conclude(house, client, "two")
        await seal(house)
        await erase(house, Order(olga), erased)
        await seal(house)
        await catch_up(house)
        assert await cases_in(house) == 1


async def test_a_case_that_never_reached_its_panel_does_not_count(database: Database, tmp_path: Path) -> None:
    async with on(database, tmp_path) as house:
        client, _ = await a_client(house)
        excluded = await conclude(house, client, "one", pregnant=(True, None))
        assert (await view_case(house, client, excluded)).phase is Phase.ESCALATED
        await seal(house)
        await catch_up(house)
        assert await cases_in(house) == 0
        assert await read_so_far(house) > 0


async def test_a_damaged_case_is_told_of_and_stops_no_other(
    server: EmbeddedPostgres, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with on(database, tmp_path) as house:
        client, _ = await a_client(house)
        keyless, bent, whole = [await conclude(house, client, name) for name in ("one", "two", "three")]
        await seal(house)
        with an_insider(server, database) as insider:
            insider.execute("DELETE FROM case_key WHERE case_id = %s", (keyless,))
            insider.execute("ALTER TABLE sealed_document DISABLE TRIGGER ALL")
            insider.execute(
                "UPDATE sealed_document SET ciphertext = set_byte(ciphertext, 50, get_byte(ciphertext, 50) # 1) "
                "WHERE case_id = %s",
                (bent,),
            )
        await catch_up(house)
        assert await cases_in(house) == 1
    left_out = [record.args for record in caplog.records if "left out" in record.msg]
    assert left_out == [(keyless, "VerificationError"), (bent, "VerificationError")]
    assert whole not in caplog.text


async def test_a_key_that_this_host_lacks_leaves_no_case_out(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another host, which has it, counts them: the cursor does not move past what cannot be read here."""

    def lacking(*_: object) -> None:
        raise ConfigurationError("case c_x needs kek-2, which is not among the keys")

    async with on(database, tmp_path) as house:
        client, _ = await a_client(house)
        await conclude(house, client, "one")
        await seal(house)
        with monkeypatch.context() as patched:
            patched.setattr(type(house.vault), "open_key", lacking)
            with pytest.raises(ConfigurationError):
                await catch_up(house)
        assert await read_so_far(house) == 0
        await catch_up(house)
        assert await cases_in(house) == 1


# --- once ---------------------------------------------------------------------------------------------------------


async def test_a_case_that_a_clinician_decides_after_its_panel_counts_once(
    database: Database, tmp_path: Path
) -> None:
    async with on(database, tmp_path, mode=Mode.PRODUCTION) as house:
        client, _ = await a_client(house)
        case = await conclude(house, client, "one")
        await seal(house)
        await catch_up(house)
        counted = await counts_in(house)
        assert await cases_in(house) == 1
        await signed(house, case)
        await seal(house)
        assert (await view_case(house, client, case)).phase is Phase.RELEASED
        await catch_up(house)
        assert (await counts_in(house), await cases_in(house)) == (counted, 1)


async def signed(house: House, case: CaseId) -> None:
    anna = await a_reviewer(house)
    await claim(house, anna, case)
    await commit_opinion(house, anna, case, OwnOpinion("continue-monitoring", 70, (), "looks well"))
    await reveal(house, anna, case)
    await sign(house, anna, case, "continue-monitoring", "")


async def test_a_wish_for_facts_is_no_conclusion_and_what_comes_of_it_is_one(
    database: Database, tmp_path: Path
) -> None:
    async with on(database, tmp_path) as house:
        client, _ = await a_client(house)
        case = await conclude(house, client, "one", temperature=None)
        assert (await view_case(house, client, case)).phase is Phase.AWAITING_FACTS
        await seal(house)
        await catch_up(house)
        assert await cases_in(house) == 0
        now = house.clock.now()
        await amend(
            house,
            client,
            case,
            {"temperature": RawFact(Decimal("36.6"), "Cel", now, FactStatus.FINAL.value, "t")},
        )
        await house.errands.finish(30)
        await seal(house)
        await catch_up(house)
        counts = (await counts_in(house))[TEMPERATURE]
        assert sum(counts) == 1
        assert counts[-1] == 0, "the amended facts count, in which it is not missing"


@pytest.mark.parametrize("lacking", ["missing", "too old"])
async def test_a_wish_that_nobody_fulfils_is_a_conclusion_when_its_time_is_over(
    database: Database, tmp_path: Path, lacking: str
) -> None:
    """What was too old when the case was taken in is missing to members, and so to the watch."""
    clock = ShiftableClock()
    async with on(database, tmp_path, clock) as house:
        client, _ = await a_client(house)
        made = submission(clock.now())
        facts = dict(made.facts)
        old = facts.pop("temperature")
        if lacking == "too old":
            facts["temperature"] = replace(old, observed_at=clock.now() - timedelta(days=30))
        case = (await submit(house, client, replace(made, facts=facts), "one", b"one")).case
        await house.errands.finish(30)
        assert (await view_case(house, client, case)).phase is Phase.AWAITING_FACTS
        clock.advance(timedelta(days=2))
        assert await expire_due(house) == 1
        assert (await view_case(house, client, case)).phase is Phase.ESCALATED
        await seal(house)
        await catch_up(house)
        counts = (await counts_in(house))[TEMPERATURE]
        assert (sum(counts), counts[-1]) == (1, 1)
