"""A sealed log and an insider with every right over its database: what can be done to it, each a statement or two."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.merkle import leaf_hash, root_of
from arbiter.audit.verify import Finding, LogRefusedError
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.keys import read_keys
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from tests.conftest import an_insider
from tests.houses import a_client, a_house, submission

FLIP = "set_byte({0}, 30, get_byte({0}, 30) # 1)"
ENTRY_OF_LEAF = "(SELECT lower(ids) FROM sealed_run WHERE start = %s)"
TABLES = ("entry", "sealed_run", "tree_node", "checkpoint", "pending")
# The same log with a run a leaf, so that an insider's hand on one leaf is one statement.
SPLIT = """
CREATE TABLE pristine.sealed_run AS
SELECT r.start + k AS start, int8multirange(int8range(id, id + 1)) AS ids, substring(r.hashes FROM 32 * k + 1 FOR 32) AS hashes
FROM pristine.round AS r CROSS JOIN LATERAL (
    SELECT id, (row_number() OVER (ORDER BY id))::int - 1 AS k
    FROM unnest(r.ids) AS s, generate_series(lower(s), upper(s) - 1) AS id
) AS e
"""


@dataclass(frozen=True)
class Sealed:
    """A house whose log holds a few cases under a few checkpoints, and the insider's way into its database."""

    house: House
    folder: Path
    database: Database
    insider: psycopg.Connection
    size: int

    @property
    def kept(self) -> bytes:
        return (self.folder / "checkpoint").read_bytes()

    async def refusal(self, kept: bytes | None = None) -> str:
        """Return what verification says; it must refuse."""
        with pytest.raises(LogRefusedError) as refused:
            await verify_log(self.house, self.kept if kept is None else kept)
        return str(refused.value)

    def scalar(self, query: str, *values: object) -> object:
        row = self.insider.execute(query.encode(), values).fetchone()
        assert row is not None
        return row[0]

    def change(self, statement: str, *values: object) -> None:
        """Change something behind the triggers' back; a statement that changes nothing is a mistake of the test."""
        assert self.insider.execute(statement.encode(), values).rowcount > 0


@asynccontextmanager
async def seal_and_open(server: EmbeddedPostgres, database: Database, folder: Path) -> AsyncIterator[Sealed]:
    """Yield a house with a sealed log, each leaf in a run of its own, and what restores it beside its tables."""
    async with a_house(folder, database, running=False) as house:
        client, _ = await a_client(house)
        for number in range(9):
            await submit(house, client, submission(house.clock.now()), f"key-{number}", b"body")
            if number % 3 == 2:
                await house.errands.finish(10)
                await house.sealer.round()
        await house.sealer.round()
        report = await verify_log(house, (folder / "checkpoint").read_bytes())
        assert report.checkpoints >= 4
        with an_insider(server, database) as insider:
            insider.execute("CREATE SCHEMA pristine")
            for table in TABLES:
                insider.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
                name = "round" if table == "sealed_run" else table
                insider.execute(f"CREATE TABLE pristine.{name} AS TABLE {table}".encode())
            insider.execute(SPLIT.encode())
            whole = Sealed(house, folder, database, insider, report.entries)
            restore(whole)
            yield whole


def restore(sealed: Sealed) -> None:
    """Undo whatever was done to the log."""
    for table in TABLES:
        sealed.insider.execute(f"DELETE FROM {table}".encode())
        sealed.insider.execute(
            f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM pristine.{table}".encode()
        )


def in_the_runs_of_rounds(sealed: Sealed) -> None:
    """Put the leaves into the runs that the rounds wrote."""
    sealed.change("DELETE FROM sealed_run")
    sealed.change("INSERT INTO sealed_run SELECT * FROM pristine.round")


async def findings_of(sealed: Sealed) -> tuple[Finding, ...]:
    with pytest.raises(LogRefusedError) as refused:
        await verify_log(sealed.house, sealed.kept)
    return refused.value.findings


def copied_entry(sealed: Sealed, index: int) -> object:
    """Store a copy of a leaf's entry, and return its id."""
    return sealed.scalar(
        f"INSERT INTO entry (chain, seq, body) SELECT chain, seq, body FROM entry WHERE id = {ENTRY_OF_LEAF} RETURNING id",
        index,
    )


def span(entry_id: object) -> str:
    return f"{{[{entry_id},{entry_id}]}}"


def antedated(body: bytes) -> bytes:
    """Return the entry as if it had been written in 2021: well-formed, and never said."""
    at = json.loads(body)["at"]
    return body.replace(at.encode(), b"2021" + at[4:].encode())


def insert_copy(sealed: Sealed, index: int, case: str) -> None:
    """Give an invented case's first entry, well-formed and rightly hashed, the leaf `index`."""
    body = sealed.scalar("SELECT body FROM entry WHERE seq = 0 ORDER BY id LIMIT 1")
    assert isinstance(body, bytes)
    forged = body.replace(json.loads(body)["case"].encode(), case.encode())
    entry = sealed.scalar(
        "INSERT INTO entry (chain, seq, body) VALUES (arbiter_chain(%s), 0, %s) RETURNING id", case, forged
    )
    sealed.change(
        "INSERT INTO sealed_run (start, ids, hashes) VALUES (%s, %s, %s)",
        index,
        span(entry),
        leaf_hash(forged),
    )


def cut_to_an_earlier_checkpoint(sealed: Sealed) -> int:
    """Roll the log back to its second checkpoint, as if nothing had ever followed; return that size."""
    size = sealed.scalar("SELECT size FROM checkpoint ORDER BY size LIMIT 1 OFFSET 1")
    assert isinstance(size, int)
    sealed.change("DELETE FROM checkpoint WHERE size > %s", size)
    sealed.change("DELETE FROM entry WHERE id IN (SELECT lower(ids) FROM sealed_run WHERE start >= %s)", size)
    sealed.change("DELETE FROM sealed_run WHERE start >= %s", size)
    sealed.change("DELETE FROM tree_node WHERE (index + 1) << level > %s", size)
    return size


def rewrite_last_entry_with_the_key(sealed: Sealed) -> None:
    """Change the newest entry and sign the newest checkpoint anew over it: what only a holder of the key can do."""
    body = sealed.scalar(f"SELECT body FROM entry WHERE id = {ENTRY_OF_LEAF}", sealed.size - 1)
    assert isinstance(body, bytes)
    forged = antedated(body)
    sealed.change(f"UPDATE entry SET body = %s WHERE id = {ENTRY_OF_LEAF}", forged, sealed.size - 1)
    sealed.change("UPDATE sealed_run SET hashes = %s WHERE start = %s", leaf_hash(forged), sealed.size - 1)
    leaves = [row[0] for row in sealed.insider.execute("SELECT hashes FROM sealed_run ORDER BY start")]
    keyring = read_keys(sealed.folder)
    signer = keyring.signer
    root = root_of(leaves)
    note = sign_checkpoint(Checkpoint(signer.name, sealed.size, root), [signer]).decode()
    sealed.change("UPDATE checkpoint SET note = %s, root = %s WHERE size = %s", note, root, sealed.size)
