"""An insider with every right over the database changes the log: verification refuses and names the place."""

from __future__ import annotations

import re

import psycopg
import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.note import Ed25519NoteSigner
from arbiter.workflow.auditing import verify_log
from tests.workflow.tampered import (
    ENTRY_OF_LEAF,
    FLIP,
    Sealed,
    antedated,
    copied_entry,
    cut_to_an_earlier_checkpoint,
    findings_of,
    insert_copy,
    rewrite_last_entry_with_the_key,
    span,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_untouched_log_verifies(sealed: Sealed) -> None:
    report = await verify_log(sealed.house, sealed.kept)
    assert (report.entries, report.chains) == (sealed.size, 9)


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
