"""The timeline finds by time what halving can find, stops where it must, and hides nothing that it cannot read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from arbiter.errors import VerificationError
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.workflow.house import House
from arbiter.workflow.log import timeline
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.figures import measure_log
from arbiter.workflow.log.inspecting import Standing, inspect_chain_entry, inspect_leaf
from arbiter.workflow.log.timeline import (
    OUT_OF_ORDER,
    Sought,
    read_backwards,
    read_chain,
    read_forwards,
)
from tests.conftest import NOON, SettableClock, an_insider
from tests.houses import a_house

HOURS = 30
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hourly(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A log with an entry an hour, sealed ten at a time; the one of hour 20 was written with a clock 40 minutes behind."""
    clock = SettableClock()
    async with a_house(tmp_path_factory.mktemp("hourly"), module_database, clock, running=False) as house:
        for hour in range(HOURS):
            clock.set(NOON + timedelta(hours=hour) - timedelta(minutes=40 if hour == 20 else 0))
            await note_in_house(
                house, house.store, f"house.tried{hour % 3}", ActorId("operator:x"), {"what": b"x"}
            )
            if hour % 10 == 9:
                clock.set(NOON + timedelta(hours=hour, seconds=2))
                await house.sealer.round()
        yield house


@pytest.mark.parametrize(
    ("since", "until"), [(0, 30), (5, 9), (19, 20), (20, 21), (29, 31), (-5, 1), (40, 50), (7, 7)]
)
async def test_a_span_shows_what_was_written_in_it_by_its_own_time(
    hourly: House, since: int, until: int
) -> None:
    sought = Sought(since=NOON + timedelta(hours=since), until=NOON + timedelta(hours=until))
    expected = [hour for hour in range(HOURS) if since <= (hour if hour != 20 else 19) < until]
    forwards = await read_forwards(hourly, sought, 100)
    backwards = await read_backwards(hourly, sought, 100)
    assert [each.index for each in forwards.entries] == expected
    assert [each.index for each in backwards.entries] == expected[::-1]
    # It looked at the span and the margin, not at the whole log.
    margin = 2 * OUT_OF_ORDER // timedelta(hours=1) + 2
    assert forwards.looked_at <= max(0, until - since) + margin
    assert not forwards.more


async def test_a_filter_that_nothing_fits_ends_where_it_says(
    hourly: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "BATCH", 4)
    monkeypatch.setattr(timeline, "LOOKED_AT_MOST", 8)
    nothing = Sought(kinds=("case",))
    forwards = await read_forwards(hourly, nothing, 10)
    assert (forwards.entries, forwards.next_place, forwards.more, forwards.looked_at) == ((), 8, True, 8)
    backwards = await read_backwards(hourly, nothing, 10)
    assert (backwards.entries, backwards.next_place, backwards.more, backwards.looked_at) == ((), 22, True, 8)
    last = await read_backwards(hourly, nothing, 10, 6)
    assert (last.next_place, last.more) == (0, False)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 29, 30, 31])
async def test_pages_of_any_length_join(hourly: House, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "BATCH", 4)
    for sought in (Sought(), Sought(kinds=("house.tried1",)), Sought(actors=frozenset({"nobody"}))):
        expected = [i for i in range(HOURS) if not sought.actors and (not sought.kinds or i % 3 == 1)]
        for read, order in ((read_forwards, expected), (read_backwards, expected[::-1])):
            found: list[int | None] = []
            place: int | None = None
            while True:
                page = await read(hourly, sought, limit, place)
                found += [each.index for each in page.entries]
                if not page.more:
                    break
                place = page.next_place
            assert found == order


async def test_what_waits_for_its_seal_shows_in_its_chain_alone(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        await note_in_house(house, house.store, "house.tried", ActorId("operator:x"), {"what": b"x"})
        assert (await read_forwards(house, Sought(), 10)).entries == ()
        (waiting,) = await read_chain(house, HOUSE_CHAIN, Sought())
        assert waiting.index is None
        seen = await inspect_chain_entry(house, HOUSE_CHAIN, 0)
        assert (seen.index, seen.proof, seen.waited, seen.fault) == (None, None, None, None)
        assert [standing for _, _, standing in seen.commitments] == [Standing.OPENS]
        figures = await measure_log(house, UTC)
        assert (figures.size, figures.pending, figures.delays, figures.bytes_an_entry) == (0, 1, None, None)
        await house.sealer.round()
        alone = await inspect_leaf(house, 0)
        assert alone.proof is not None
        # A tree of one leaf is that leaf: its proof has no hash.
        assert (alone.proof.hashes, alone.covered_size, alone.fault) == ((), 1, None)


async def test_the_delays_are_those_between_writing_and_sealing(hourly: House) -> None:
    figures = await measure_log(hourly, UTC)
    expected = sorted(
        (NOON + timedelta(hours=hour - hour % 10 + 9, seconds=2))
        - (NOON + timedelta(hours=hour) - timedelta(minutes=40 if hour == 20 else 0))
        for hour in range(HOURS)
    )
    # Nearest rank: the smallest that half, nine tenths and 99 in a hundred do not exceed.
    ranks = [expected[14], expected[26], expected[29], expected[29]]
    assert figures.delays == tuple(wait.total_seconds() for wait in ranks)
    assert figures.delay_classes == (0, 0, 0, 0, 0, 3, 0, 27)
    assert figures.checkpoints == 3
    assert dict(figures.by_day) == {NOON.date(): 12, (NOON + timedelta(days=1)).date(): 18}
    newest = await measure_log(hourly, UTC, 11)
    assert (newest.entries, newest.checkpoints, sum(count for _, count in newest.by_type)) == (11, 2, 11)


async def test_an_entry_that_is_gone_or_changed_is_shown_as_that(
    server: EmbeddedPostgres, database: Database, tmp_path: Path
) -> None:
    """An insider with every right: the timeline says so in the entry's place, whatever was filtered for."""
    async with a_house(tmp_path / "data", database, running=False) as house:
        for _ in range(6):
            await note_in_house(house, house.store, "house.tried", ActorId("operator:x"), {"what": b"x"})
        await house.sealer.round()
        with an_insider(server, database) as insider:
            insider.execute("ALTER TABLE entry DISABLE TRIGGER ALL")
            insider.execute("DELETE FROM entry WHERE seq = 1")
            insider.execute("UPDATE entry SET body = 'no entry at all' WHERE seq = 3")
            insider.execute(
                "UPDATE entry SET body = convert_to(replace(convert_from(body, 'UTF8'), 'operator:x', 'operator:y'), "
                "'UTF8') WHERE seq = 4"
            )
            insider.execute("ALTER TABLE house_document DISABLE TRIGGER ALL")
            insider.execute("UPDATE house_document SET content = 'y' WHERE seq = 5")
            insider.execute("DELETE FROM house_document WHERE seq = 0")
        for sought in (Sought(), Sought(kinds=("case",)), Sought(actors=frozenset({"nobody"}))):
            page = await read_backwards(house, sought, 100)
            faults = {each.index: each.fault for each in page.entries if each.entry is None}
            assert set(faults) == {1, 3}
            assert faults[1] == "gone: its leaf stands alone"
        with pytest.raises(VerificationError, match="gone"):
            await inspect_leaf(house, 1)
        with pytest.raises(VerificationError):
            await inspect_leaf(house, 3)
        changed = await inspect_leaf(house, 4)
        assert changed.fault is not None
        assert "does not lead to the root" in changed.fault
        assert [(await inspect_leaf(house, i)).commitments[0][2] for i in (0, 2, 5)] == [
            Standing.GONE,
            Standing.OPENS,
            Standing.OTHER,
        ]
        assert (await measure_log(house, UTC)).unreadable == 2
