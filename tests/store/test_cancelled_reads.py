"""Whoever is cancelled while they ask something, wherever they are then: the connection they had goes back to be used again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest
from psycopg import waiting
from psycopg.pq import TransactionStatus

from arbiter.store.identities import Identities
from arbiter.store.review_figures import Chosen, count_concluded
from arbiter.store.sessions import Sessions
from arbiter.store.transaction import Store, each_alone
from tests.conftest import NOON

MOST_STEPS = 500

Asks = Callable[[Store], Awaitable[object]]


async def each_alone_by_hand(store: Store) -> None:
    async with each_alone(store.engine) as connection:
        await connection.exec_driver_sql("SELECT 1")


async def in_a_transaction(store: Store) -> None:
    async with store.engine.connect() as connection:
        await connection.exec_driver_sql("SELECT 1")
        held = (await connection.get_raw_connection()).driver_connection
        assert isinstance(held, psycopg.AsyncConnection)
        assert held.info.transaction_status is TransactionStatus.INTRANS


ASKING: dict[str, Asks] = {
    "each statement alone": each_alone_by_hand,
    "a transaction": in_a_transaction,
    "the sites": lambda store: Identities(store.engine).sites(),
    "a client": lambda store: Identities(store.engine).client("client", NOON),
    "a session": lambda store: Sessions(store.engine).find(b"no such token"),
    "figures": lambda store: count_concluded(store, Chosen(frozenset(), NOON, NOON), (NOON, NOON)),
    "a statement, straight": lambda store: store.run("SELECT 1", {}),
}


@pytest.mark.parametrize("asks", ASKING.values(), ids=ASKING)
async def test_a_connection_comes_back_at_whatever_step_its_user_is_cancelled(
    store: Store, asks: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The driver lets others run where it need not wait, once they have waited for some time: here each time.
    monkeypatch.setattr(waiting, "MAX_BUSY_TIME", 0.0)
    # Used in a transaction before, so that it must be switched over; and asked once, so that nothing is made for the first time.
    await in_a_transaction(store)
    await asks(store)
    await in_a_transaction(store)
    still_taken: list[int] = []
    for steps in range(MOST_STEPS):
        asking = asyncio.ensure_future(asks(store))
        for _ in range(steps):
            await asyncio.sleep(0)
        if asking.done():
            break
        asking.cancel()
        try:
            await asking
        except asyncio.CancelledError:
            # Looked at before the traceback is gone, and with it whatever nobody else holds.
            still_taken.append(_taken(store))
        await in_a_transaction(store)
    else:
        pytest.fail(f"expected it to end within {MOST_STEPS} steps")
    assert len(still_taken) > 1
    assert not any(still_taken), still_taken


def _taken(store: Store) -> int:
    return sum(pool.used for pool in store.connections())
