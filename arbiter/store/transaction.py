"""Transactions as the workflow sees them: begun here, committed before anything leaves, never nested."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Transaction: TypeAlias = AsyncConnection
DatabaseError: TypeAlias = DBAPIError
UniquenessError: TypeAlias = IntegrityError


class Store:
    """The database behind the use cases."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Yield a transaction that is durable once the block has ended without an exception."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def begin_repeatable_step(self) -> AsyncIterator[Transaction]:
        """Yield a transaction whose loss in a crash does no harm, because it is made again; its commit waits for no disk."""
        async with self.engine.begin() as connection:
            await connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """Yield a transaction that sees one state of the database throughout and writes nothing."""
        async with self.engine.connect() as connection:
            await connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield connection


async def driver_connection(transaction: Transaction) -> Any:
    """Return the psycopg connection under a transaction, for the queue's library to defer a job on."""
    return (await transaction.get_raw_connection()).driver_connection
