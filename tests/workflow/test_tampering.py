"""An insider with every right over the database changes the log: verification refuses and names the place."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.merkle import leaf_hash, root_of
from arbiter.audit.note import Ed25519NoteSigner
from arbiter.audit.verify import Finding, LogRefusedError
from arbiter.errors import ConfigurationError, LogUnfitError
from arbiter.store.database import Database, conninfo
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres
from arbiter.store.keys import read_keys
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from tests.houses import a_client, a_house, submission
from tests.system.service import run_arbiter

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def furnished(
    server: EmbeddedPostgres, module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sealed]:
    folder = tmp_path_factory.mktemp("tampering")
    name = module_database.app_url.rsplit("/", 1)[1].split("?")[0]
    async with a_house(folder, module_database, running=False) as house:
        client, _ = await a_client(house)
        for number in range(9):
            await submit(house, client, submission(house.clock.now()), f"key-{number}", b"body")
            if number % 3 == 2:
                await house.errands.finish(10)
                await house.sealer.round()
        await house.sealer.round()
        report = await verify_log(house, (folder / "checkpoint").read_bytes())
        assert report.checkpoints >= 4
        with psycopg.connect(conninfo(server.url(SUPERUSER, name)), autocommit=True) as insider:
            insider.execute("CREATE SCHEMA pristine")
            for table in TABLES:
                insider.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
                name = "round" if table == "sealed_run" else table
                insider.execute(f"CREATE TABLE pristine.{name} AS TABLE {table}".encode())
            insider.execute(SPLIT.encode())
            whole = Sealed(house, folder, module_database, insider, report.entries)
            restore(whole)
            yield whole


@pytest.fixture
def sealed(furnished: Sealed) -> Iterator[Sealed]:
    """The log as it was sealed; what a test does to it is undone afterwards."""
    kept = furnished.kept
    yield furnished
    (furnished.folder / "checkpoint").write_bytes(kept)
    restore(furnished)


@pytest.fixture
def in_rounds(sealed: Sealed) -> Sealed:
    """The log in the runs that its rounds wrote."""
    sealed.change("DELETE FROM sealed_run")
    sealed.change("INSERT INTO sealed_run SELECT * FROM pristine.round")
    return sealed


def restore(sealed: Sealed) -> None:
    for table in TABLES:
        sealed.insider.execute(f"DELETE FROM {table}".encode())
        sealed.insider.execute(
            f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM pristine.{table}".encode()
        )


FLIP = "set_byte({0}, 30, get_byte({0}, 30) # 1)"
ENTRY_OF_LEAF = "(SELECT lower(ids) FROM sealed_run WHERE start = %s)"


async def test_the_untouched_log_verifies(sealed: Sealed) -> None:
    report = await verify_log(sealed.house, sealed.kept)
    assert (report.entries, report.cases) == (sealed.size, 9)


@pytest.mark.parametrize("index", [0, 41, -1])
async def test_a_flipped_byte_of_an_entry_is_named(sealed: Sealed, index: int) -> None:
    index %= sealed.size
    sealed.change(f"UPDATE entry SET body = {FLIP.format('body')} WHERE id = {ENTRY_OF_LEAF}", index)
    assert (await sealed.refusal()).startswith(
        f"entry {index}: its bytes do not hash to the stored leaf hash"
    )


@pytest.mark.parametrize("index", [0, 41, -1])
async def test_a_flipped_byte_of_a_leaf_hash_is_named(sealed: Sealed, index: int) -> None:
    index %= sealed.size
    sealed.change(f"UPDATE sealed_run SET hashes = {FLIP.format('hashes')} WHERE start = %s", index)
    assert (await sealed.refusal()).startswith(
        f"entry {index}: its bytes do not hash to the stored leaf hash"
    )


async def test_an_entry_rewritten_together_with_its_leaf_hash_is_named(sealed: Sealed) -> None:
    body = sealed.scalar(f"SELECT body FROM entry WHERE id = {ENTRY_OF_LEAF}", 20)
    assert isinstance(body, bytes)
    forged = antedated(body)
    sealed.change(f"UPDATE entry SET body = %s WHERE id = {ENTRY_OF_LEAF}", forged, 20)
    sealed.change("UPDATE sealed_run SET hashes = %s WHERE start = 20", leaf_hash(forged))
    message = await sealed.refusal()
    # Either the next entry of its case no longer follows it, or the checkpoint over both differs.
    assert re.match(r"entry (2[0-9]|3[0-9]): |.*checkpoint .* contradicts the log .*entries 0 to", message), (
        message
    )


async def test_a_deleted_entry_is_named(sealed: Sealed) -> None:
    sealed.change(f"DELETE FROM entry WHERE id = {ENTRY_OF_LEAF}", 33)
    assert (await sealed.refusal()).startswith("entry 33 is gone: its leaf stands alone")


async def test_a_deleted_leaf_is_named(sealed: Sealed) -> None:
    sealed.change("DELETE FROM sealed_run WHERE start = 33")
    assert (await sealed.refusal()).startswith("entry 33 missing: came entry 34")


async def test_a_deleted_leaf_whose_gap_was_closed_is_named(sealed: Sealed) -> None:
    sealed.change("DELETE FROM sealed_run WHERE start = 33")
    sealed.change("UPDATE sealed_run SET start = -start WHERE start > 33")
    sealed.change("UPDATE sealed_run SET start = -start - 1 WHERE start < 0")
    message = await sealed.refusal()
    named = re.search(r"entr(?:y|ies) (\d+)", message)
    assert named is not None
    assert 33 <= int(named[1]) < sealed.size, message


async def test_a_leaf_added_behind_the_last_checkpoint_is_named(sealed: Sealed) -> None:
    sealed.change(
        "INSERT INTO sealed_run (start, ids, hashes) SELECT %s, '{[1000000,1000000]}', hashes FROM sealed_run WHERE start = 5",
        sealed.size,
    )
    assert (await sealed.refusal()).startswith(f"entry {sealed.size} is gone")


async def test_an_entry_added_behind_the_last_checkpoint_is_named(sealed: Sealed) -> None:
    insert_copy(sealed, sealed.size, "c_invented")
    assert f"entry {sealed.size} under no checkpoint" in await sealed.refusal()


async def test_an_entry_inserted_between_others_is_named(sealed: Sealed) -> None:
    sealed.change("UPDATE sealed_run SET start = -start - 1 WHERE start >= 33")
    sealed.change("UPDATE sealed_run SET start = -start WHERE start < 0")
    insert_copy(sealed, 33, "c_invented")
    findings = [finding.detail for finding in await findings_of(sealed)]
    covered = [finding for finding in findings if "contradicts the log (a fork)" in finding]
    span = re.search(r"entries (\d+) to (\d+) not as signed", covered[0])
    assert span is not None
    assert int(span[1]) <= 33 <= int(span[2]), covered


async def test_an_entry_repeated_under_another_leaf_is_named(sealed: Sealed) -> None:
    copied = copied_entry(sealed, 11)
    sealed.change(
        "UPDATE sealed_run SET hashes = (SELECT hashes FROM sealed_run WHERE start = 11), ids = %s WHERE start = 12",
        span(copied),
    )
    assert (await sealed.refusal()).startswith("entry 12: ")


async def test_two_swapped_leaves_are_named(sealed: Sealed) -> None:
    sealed.change(
        """
        UPDATE sealed_run AS r SET hashes = o.hashes, ids = int8multirange(int8range(-lower(o.ids), 1 - lower(o.ids)))
        FROM sealed_run AS o WHERE (r.start, o.start) IN ((20, 21), (21, 20))
        """
    )
    sealed.change(
        "UPDATE sealed_run SET ids = int8multirange(int8range(-lower(ids), 1 - lower(ids))) WHERE lower(ids) < 0"
    )
    message = await sealed.refusal()
    assert re.match(r"entry 2[01]: ", message), message


async def test_the_swapped_bodies_of_two_entries_are_named(sealed: Sealed) -> None:
    first = sealed.scalar("SELECT lower(ids) FROM sealed_run WHERE start = 7")
    second = sealed.scalar("SELECT lower(ids) FROM sealed_run WHERE start = 50")
    sealed.change(
        "UPDATE entry AS e SET body = o.body FROM entry AS o WHERE (e.id, o.id) IN ((%s, %s), (%s, %s))",
        first, second, second, first,
    )  # fmt: skip
    findings = [finding.index for finding in await findings_of(sealed)]
    assert findings[0] == 7
    assert 50 in findings


async def test_a_cut_tail_of_leaves_is_named(sealed: Sealed) -> None:
    sealed.change("DELETE FROM sealed_run WHERE start >= %s", sealed.size - 10)
    message = await sealed.refusal()
    assert f"the log ends at size {sealed.size - 10}" in message
    assert f"entries {sealed.size - 10} to {sealed.size - 1} missing" in message


async def test_a_tail_cut_with_its_entries_and_checkpoints_is_named_by_the_kept_checkpoint(
    sealed: Sealed,
) -> None:
    size = cut_to_an_earlier_checkpoint(sealed)
    message = await sealed.refusal()
    assert message.startswith(
        f"the log ends at size {size}, the kept checkpoint has size {sealed.size}: "
        f"entries {size} to {sealed.size - 1} missing"
    )


async def test_without_the_kept_checkpoint_a_cut_tail_would_pass(sealed: Sealed) -> None:
    size = cut_to_an_earlier_checkpoint(sealed)
    assert (await verify_log(sealed.house, None)).entries == size


async def test_a_checkpoint_signed_by_another_key_is_named(sealed: Sealed) -> None:
    stranger = Ed25519NoteSigner("log.hospital.example/arbiter", bytes(32))
    size, root = sealed.insider.execute(
        "SELECT size, root FROM checkpoint ORDER BY size LIMIT 1 OFFSET 1"
    ).fetchone() or (0, b"")
    note = sign_checkpoint(Checkpoint(stranger.name, size, root), [stranger]).decode()
    sealed.change("UPDATE checkpoint SET note = %s WHERE size = %s", note, size)
    assert (await sealed.refusal()).startswith("stored checkpoint 1: ")


async def test_a_newest_checkpoint_replaced_by_an_older_one_is_named(sealed: Sealed) -> None:
    sealed.change(
        "UPDATE checkpoint SET note = (SELECT note FROM checkpoint ORDER BY size LIMIT 1) WHERE size = %s",
        sealed.size,
    )
    assert "follows one of size" in await sealed.refusal()


async def test_a_deleted_newest_checkpoint_is_named(sealed: Sealed) -> None:
    sealed.change("DELETE FROM checkpoint WHERE size = %s", sealed.size)
    message = await sealed.refusal()
    assert f"to {sealed.size - 1} under no checkpoint" in message


async def test_history_rewritten_with_the_logs_own_key_contradicts_the_kept_checkpoint(
    sealed: Sealed,
) -> None:
    rewrite_last_entry_with_the_key(sealed)
    message = await sealed.refusal()
    assert f"kept checkpoint of size {sealed.size} contradicts the log (a fork)" in message


# --- a run of many entries ---------------------------------------------------------------------------------------

LAST_RUN = "start = (SELECT max(start) FROM sealed_run)"
IN_A_RUN = {
    "a hash flipped": f"UPDATE sealed_run SET hashes = {FLIP.format('hashes')} WHERE start = 0",
    "two hashes swapped": """
        UPDATE sealed_run SET hashes = substring(hashes FROM 33 FOR 32) || substring(hashes FOR 32) || substring(hashes FROM 65)
        WHERE start = 0
    """,
    "a hash cut off": f"UPDATE sealed_run SET hashes = substring(hashes FOR octet_length(hashes) - 32) WHERE {LAST_RUN}",
    "a hash added": f"UPDATE sealed_run SET hashes = hashes || substring(hashes FOR 32) WHERE {LAST_RUN}",
    "an entry left out": "UPDATE sealed_run SET ids = ids - int8multirange(int8range(lower(ids), lower(ids) + 1)) WHERE start = 0",
    "an entry added": f"UPDATE sealed_run SET ids = ids + int8multirange(int8range(upper(ids), upper(ids) + 1)) WHERE {LAST_RUN}",
    "entries without an end": f"UPDATE sealed_run SET ids = ids + int8multirange(int8range(upper(ids), NULL)) WHERE {LAST_RUN}",
    "no entries": "UPDATE sealed_run SET ids = '{}' WHERE start = 0",
    "moved down": f"UPDATE sealed_run SET start = start - 1 WHERE {LAST_RUN}",
    "moved up": f"UPDATE sealed_run SET start = start + 1 WHERE {LAST_RUN}",
    "gone": "DELETE FROM sealed_run WHERE start = 0",
    "the last gone": f"DELETE FROM sealed_run WHERE {LAST_RUN}",
}  # fmt: skip


async def test_the_log_verifies_in_the_runs_that_its_rounds_wrote(in_rounds: Sealed) -> None:
    assert in_rounds.scalar("SELECT count(*) FROM sealed_run") == in_rounds.scalar(
        "SELECT count(*) FROM checkpoint"
    )
    assert (await verify_log(in_rounds.house, in_rounds.kept)).entries == in_rounds.size


@pytest.mark.parametrize("statement", IN_A_RUN.values(), ids=IN_A_RUN)
async def test_a_changed_run_is_refused_and_the_place_named(in_rounds: Sealed, statement: str) -> None:
    in_rounds.change(statement)
    assert re.search(r"entr(y|ies) \d+", await in_rounds.refusal())


async def test_an_entry_is_numbered_once(in_rounds: Sealed) -> None:
    with pytest.raises(psycopg.errors.ExclusionViolation):
        in_rounds.change(
            "INSERT INTO sealed_run SELECT 1000, int8multirange(int8range(3, 4)), substring(hashes FOR 32) FROM sealed_run "
            "WHERE start = 0"
        )


# --- the same through the command line, and at start-up ----------------------------------------------------------


async def test_the_command_line_refuses_a_changed_log_with_status_1_and_the_place(sealed: Sealed) -> None:
    sealed.change(f"UPDATE entry SET body = {FLIP.format('body')} WHERE id = {ENTRY_OF_LEAF}", 41)
    done = audit_verify(sealed)
    assert done.returncode == 1
    assert "entry 41: its bytes do not hash to the stored leaf hash" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_command_line_refuses_a_database_behind_the_kept_checkpoint(sealed: Sealed) -> None:
    size = cut_to_an_earlier_checkpoint(sealed)
    done = audit_verify(sealed)
    assert done.returncode == 1
    assert f"the log ends at size {size}, the kept checkpoint has size {sealed.size}" in done.stderr


async def test_the_command_line_does_not_verify_without_the_kept_checkpoint(sealed: Sealed) -> None:
    (sealed.folder / "checkpoint").unlink()
    done = audit_verify(sealed)
    assert done.returncode == 1
    assert "verify among themselves, and" in done.stderr


async def test_a_house_does_not_open_on_a_database_behind_the_kept_checkpoint(sealed: Sealed) -> None:
    cut_to_an_earlier_checkpoint(sealed)
    with pytest.raises(ConfigurationError, match="rolled back or is another one; restore a newer copy"):
        await open_again(sealed)


async def test_a_house_does_not_open_on_an_empty_database_with_a_kept_checkpoint(sealed: Sealed) -> None:
    for table in ("checkpoint", "sealed_run", "entry"):
        sealed.change(f"DELETE FROM {table}")
    with pytest.raises(ConfigurationError, match="has 0 sealed entries"):
        await open_again(sealed)


async def test_a_house_does_not_open_without_the_kept_checkpoint_of_its_log(sealed: Sealed) -> None:
    (sealed.folder / "checkpoint").unlink()
    with pytest.raises(ConfigurationError, match="is missing; restore that file"):
        await open_again(sealed)


@pytest.mark.parametrize("garbage", [b"", b"\xff\xfe", b"arbiter\n3\n", b"x" * 300])
async def test_a_house_does_not_open_with_a_garbled_kept_checkpoint(sealed: Sealed, garbage: bytes) -> None:
    (sealed.folder / "checkpoint").write_bytes(garbage)
    with pytest.raises(ConfigurationError, match="is not one that this log signed"):
        await open_again(sealed)


async def test_a_house_does_not_open_with_a_kept_checkpoint_of_another_key(sealed: Sealed) -> None:
    stranger = Ed25519NoteSigner("log.hospital.example/arbiter", bytes(32))
    note = sign_checkpoint(Checkpoint(stranger.name, 1, bytes(32)), [stranger])
    (sealed.folder / "checkpoint").write_bytes(note)
    with pytest.raises(ConfigurationError, match="is not one that this log signed"):
        await open_again(sealed)


async def test_a_house_does_not_open_on_a_log_of_the_kept_size_and_another_root(sealed: Sealed) -> None:
    rewrite_last_entry_with_the_key(sealed)
    with pytest.raises(ConfigurationError, match="different roots"):
        await open_again(sealed)


async def test_a_sealer_does_not_sign_on_top_of_a_changed_tree(sealed: Sealed) -> None:
    async with a_house(sealed.folder, sealed.database, running=False) as house:
        client, _ = await a_client(house, "late system")
        await submit(house, client, submission(house.clock.now()), "late", b"body")
        await settle_unsealed(house)
        sealed.change(f"UPDATE sealed_run SET hashes = {FLIP.format('hashes')} WHERE start = 3")
        with pytest.raises(LogUnfitError, match="does not have the root of its checkpoint"):
            await house.sealer.round()
    with pytest.raises(ConfigurationError, match="does not have the root of its checkpoint"):
        await open_again(sealed)


# --- what the insider does ---------------------------------------------------------------------------------------


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


async def open_again(sealed: Sealed) -> None:
    async with a_house(sealed.folder, sealed.database, running=False):
        raise AssertionError("the house opened")


async def settle_unsealed(house: House) -> None:
    await house.errands.finish(10)


def audit_verify(sealed: Sealed) -> subprocess.CompletedProcess[str]:
    return run_arbiter(sealed.folder, "audit", "verify", ARBITER_DATABASE_URL=sealed.database.app_url)
