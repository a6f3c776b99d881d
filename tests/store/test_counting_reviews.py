"""How figures are counted: from indexes alone, planned for what is asked, within a time, and with nothing left of what was set for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from arbiter.errors import UnavailableError
from arbiter.store import review_figures
from arbiter.store.database import Database, conninfo
from arbiter.store.review_figures import (
    _CAREFULLY,
    _COUNTED,
    _WAITED,
    _parameters,
    count_concluded,
    count_reviews,
)
from arbiter.store.transaction import Store, driver_connection, run
from tests.store.test_review_figures import CHOSEN, NOW, filled

__all__ = ["filled"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("statement", [_COUNTED, _WAITED])
@pytest.mark.parametrize("protocol", [None, "deterioration"])
async def test_no_review_is_looked_at_to_count_it(
    filled: Store, statement: str, protocol: str | None
) -> None:
    asked = _parameters(replace(CHOSEN[0], protocol=protocol)) | {"timeout": "5000"}
    async with filled.begin() as transaction:
        # A handful of rows is read through whatever indexes there are, and found by any that holds when they were signed.
        await transaction.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        await transaction.exec_driver_sql("DROP INDEX ix_review_figure_signed_at")
        # As it is sent.
        cursor = psycopg.AsyncClientCursor(await driver_connection(transaction))
        await cursor.execute(f"{_CAREFULLY}; EXPLAIN {statement}".encode(), asked)
        cursor.nextset()
        lines = [line for (line,) in await cursor.fetchall()]
        await transaction.rollback()
    scans = {re.sub(r".*-> +|( review_\w+_1)? +\(cost.*", "", line) for line in lines if " Scan " in line}
    of_reviews = {scan for scan in scans if " on review_" in scan}
    counted = "Index Only Scan using ix_review_figure_counted on review_figure"
    if statement is _WAITED:
        assert of_reviews == {counted}
        return
    assert of_reviews == {
        counted,
        "Index Only Scan using ix_review_outcome_counted on review_outcome",
        # One of those of a pattern, for its words.
        "Index Scan using pk_review_figure on review_figure",
    }


async def test_whoever_writes_a_review_cannot_say_what_it_is_counted_by(database: Database) -> None:
    for column in ("relations", "pattern", "to_claim", "to_decision"):
        with (
            psycopg.connect(conninfo(database.app_url)) as connection,
            pytest.raises(psycopg.errors.GeneratedAlways),
        ):
            connection.execute(SQL("INSERT INTO review_figure ({}) VALUES (NULL)").format(Identifier(column)))


COUNTING: Mapping[str, Callable[[Store], Awaitable[object]]] = {
    "reviews": lambda store: count_reviews(store, CHOSEN[0]),
    "concluded": lambda store: count_concluded(store, CHOSEN[0], (NOW - timedelta(days=30), NOW)),
}


@pytest.mark.parametrize("counting", COUNTING.values(), ids=COUNTING)
async def test_figures_that_take_too_long_are_given_up_and_the_next_are_counted(
    filled: Store,
    module_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    counting: Callable[[Store], Awaitable[object]],
) -> None:
    expected = await counting(filled)
    with (
        psycopg.connect(conninfo(module_database.owner_url or "")) as owner,
        monkeypatch.context() as hurried,
    ):
        owner.execute("LOCK TABLE review_figure, case_file IN ACCESS EXCLUSIVE MODE")
        hurried.setattr(review_figures, "TIMEOUT_MS", 200)
        with pytest.raises(UnavailableError, match="in time"):
            await counting(filled)
        owner.rollback()
    assert await counting(filled) == expected


_SETTINGS = (
    "SELECT current_setting('statement_timeout'), current_setting('enable_seqscan'), current_setting('jit')"
)


@pytest.mark.parametrize("counting", COUNTING.values(), ids=COUNTING)
async def test_what_is_set_for_a_counting_is_gone_with_it_however_it_ends(
    filled: Store, monkeypatch: pytest.MonkeyPatch, counting: Callable[[Store], Awaitable[object]]
) -> None:
    async def set_now() -> Sequence[object]:
        # The store has one connection for transactions.
        async with filled.read() as transaction:
            return tuple((await run(transaction, _SETTINGS, {}))[0])

    before = await set_now()
    await counting(filled)
    assert await set_now() == before
    with monkeypatch.context() as broken:
        for statement in ("_COUNTED", "_CONCLUDED"):
            broken.setattr(review_figures, statement, f"{_SETTINGS}, 1 / (random() < -1)::int")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await counting(filled)
    assert await set_now() == before
    with monkeypatch.context() as endless:
        for statement in ("_COUNTED", "_CONCLUDED"):
            endless.setattr(review_figures, statement, f"{_SETTINGS}, pg_sleep(60)")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(counting(filled), 0.3)
    assert await set_now() == before


@pytest.mark.parametrize("counting", COUNTING.values(), ids=COUNTING)
async def test_a_counting_is_done_as_it_says(
    filled: Store, monkeypatch: pytest.MonkeyPatch, counting: Callable[[Store], Awaitable[object]]
) -> None:
    seen: list[object] = []

    async def told(store: Store, _statement: str, parameters: Mapping[str, object]) -> Sequence[object]:
        seen.extend(await counts(store, _SETTINGS, parameters))
        return []

    counts = review_figures._count
    monkeypatch.setattr(review_figures, "_count", told)
    await counting(filled)
    assert set(seen) == {("5s", "off", "off")}


@pytest.mark.parametrize("counting", COUNTING.values(), ids=COUNTING)
async def test_each_counting_is_planned_for_what_is_asked(
    filled: Store, counting: Callable[[Store], Awaitable[object]]
) -> None:
    for _ in range(12):
        await counting(filled)
    # The store has one connection for transactions.
    async with filled.read() as transaction:
        kept = await run(transaction, "SELECT statement FROM pg_prepared_statements WHERE NOT from_sql", {})
    assert not [
        statement for (statement,) in kept if "review_figure" in statement or "case_file" in statement
    ]
