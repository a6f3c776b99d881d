"""What a witness or somebody with the database claims counts only where it verifies; a contradiction is told aloud."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from arbiter.audit.note import open_note
from arbiter.lifecycle.states import Phase
from arbiter.store.database import Database, conninfo
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents
from arbiter.store.log.checkpoints import StoredCheckpoint, load_newest_checkpoint
from arbiter.store.witnessing import add_cosignature
from arbiter.workflow import publishing
from arbiter.workflow.house import House
from arbiter.workflow.reading import view_case
from tests.cosigning import liars
from tests.cosigning.liars import a_liar
from tests.houses import a_client, settle
from tests.workflow.circles import (
    NOWHERE,
    PATIENCE_SECONDS,
    Someone,
    a_witnessed_house,
    eventually,
    liar,
    new_keys,
    seconds,
)
from tests.workflow.post import a_case


async def test_the_same_witness_twice_is_one_and_a_stranger_is_none(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    """Rows that somebody with the database puts there: one good line under every witness's name."""
    circle = [two[0], two[1], NOWHERE]
    async with a_witnessed_house(tmp_path, database, circle, {"urgent": 2}, running=False) as house:
        client, _ = await a_client(house)
        case = await a_case(house, client)
        newest = await sealed(house)
        now = house.clock.now()
        asked = liars.Asked(b"old 0\n\n" + newest.note.encode())
        good = liars.line(asked, liars.cosigner()).decode()
        stranger = liars.line(asked, liars.cosigner(seed=b"s" * 32, name="stranger.example/w")).decode()
        for witness, line in [*((one.key.encode(), good) for one in circle), ("stranger", stranger)]:
            await add_cosignature(house.store, newest.size, newest.root, witness, line, seconds(now), now)
        await house.sealer.round()
        assert (await view_case(house, client, case)).phase is Phase.DECIDED
        assert house.cosigned.sizes == {}


def smaller(text: str) -> str:
    origin, size, root = text.rstrip("\n").split("\n")
    return f"{origin}\n{int(size) - 1}\n{root}\n"


@pytest.mark.parametrize(
    ("over", "later"),
    [
        (smaller, 0),
        (lambda text: text.replace("log.hospital", "log.elsewhere"), 0),
        (lambda text: liars.root_of(text, b"forged"), 0),
        (str, 3600),
        (str, -3600),
    ],
    ids=["smaller size", "another log", "another root", "a time to come", "a time before"],
)
async def test_a_stored_line_that_is_not_over_this_checkpoint_now_counts_for_nothing(
    database: Database, tmp_path: Path, over: Callable[[str], str], later: int
) -> None:
    async with a_witnessed_house(tmp_path, database, [NOWHERE], {"urgent": 1}, running=False) as house:
        client, _ = await a_client(house)
        case = await a_case(house, client)
        newest = await sealed(house)
        now = house.clock.now()
        at = seconds(now) + later
        asked = liars.Asked(b"old 0\n\n" + newest.note.encode())
        line = liars.line(asked, liars.cosigner(at), over(asked.text)).decode()
        await add_cosignature(house.store, newest.size, newest.root, NOWHERE.key.encode(), line, at, now)
        await house.sealer.round()
        assert (await view_case(house, client, case)).phase is Phase.DECIDED
        # And the same without the spoiling does count: the test can fail.
        good = liars.line(asked, liars.cosigner()).decode()
        with psycopg.connect(conninfo(database.owner_url or "")) as connection:
            connection.execute("ALTER TABLE cosignature DISABLE TRIGGER append_only")
            connection.execute("UPDATE cosignature SET line = %s", (good,))
        await house.sealer.round()
        assert (await view_case(house, client, case)).phase is Phase.RELEASED


async def sealed(house: House) -> StoredCheckpoint:
    """Seal what is pending and return the newest checkpoint."""
    await house.errands.finish(10)
    await house.sealer.round()
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
    assert newest is not None
    return newest


async def test_a_witness_with_a_larger_tree_than_the_log_is_told_as_loudly_as_can_be(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with a_liar(lambda _: liars.sizes(10_000)) as ahead:
        async with a_witnessed_house(tmp_path, database, [liar(ahead.url)], {"urgent": 1}) as house:
            client, _ = await a_client(house)
            case = await a_case(house, client)
            await settle(house)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not [r for r in caplog.records if r.levelno == logging.CRITICAL]:  # noqa: ASYNC110 - another task
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            assert len([r for r in caplog.records if r.levelno == logging.CRITICAL]) == 1
            assert "CONTRADICTS this log" in caplog.text
            kept = {d.name: d.content for d in await load_house_documents(house.store, HOUSE_CHAIN)}
            assert b"10000" in kept["answer"]
            open_note(kept["checkpoint"], house.verifiers)
            told = {name: words for name, _, words in (await publishing.ready(house)).checks}["witnesses"]
            assert "larger tree than this log has" in told
            assert (await view_case(house, client, case)).phase is Phase.DECIDED


async def test_a_log_that_was_rolled_back_is_contradicted_by_its_witness(
    database: Database,
    module_database: Database,
    tmp_path: Path,
    two: tuple[Someone, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same keys on another database: an insider who replaces database and kept checkpoint meets the witness."""
    one, other = tmp_path / "one", tmp_path / "other"
    new_keys(one, two)
    async with a_witnessed_house(one, database, two[:1], {"urgent": 1}) as house:
        client, _ = await a_client(house)
        for number in range(4):
            await eventually(house, client, await a_case(house, client, f"key-{number}"), Phase.RELEASED)
        await settle(house)
        await asyncio.sleep(1)
    other.mkdir(mode=0o700)
    (one / "keys").rename(other / "keys")
    async with a_witnessed_house(other, module_database, two[:1], {"urgent": 1}) as house:
        client, _ = await a_client(house)
        case = await a_case(house, client)
        await settle(house)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "CONTRADICTS this log" not in caplog.text:  # noqa: ASYNC110 - another task
                await asyncio.sleep(0.05)
        assert (await view_case(house, client, case)).phase is Phase.DECIDED
