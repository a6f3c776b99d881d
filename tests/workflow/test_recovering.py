"""A log that lost entries for good goes on under a new origin that says what was lost, and verifies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arbiter.audit.checkpoint import Checkpoint, LogKey, open_checkpoint, sign_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.export.checking import ExportRefusedError
from arbiter.audit.export.manifest import Selection
from arbiter.audit.note import SignatureType, VerifierKey
from arbiter.audit.receipt import verify_receipt
from arbiter.audit.recovery import RECOVERED, RECOVERY_CHAIN
from arbiter.audit.verify import LogRefusedError
from arbiter.errors import (
    ConfigurationError,
    VerificationError,
)
from arbiter.identity.sites import add_site
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.log.leaves import stream_leaves
from arbiter.verifying.report import verify, words_of
from arbiter.verifying.script import check_archive
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.recovering import recover, two_persons
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from arbiter.workflow.reading import receipt
from tests.databases import CUTTING_OFF, Copies
from tests.exports import an_auditor, export_to
from tests.houses import SITE, a_client, a_house, submission
from tests.workflow.guarded import evidence_in, fork, grow, not_opened, sealed
from tests.workflow.losses import (
    BOTH,
    ORIGIN,
    REASON,
    Lost,
    an_administrator,
    check_recovered,
    unchecked,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), *CUTTING_OFF]


async def test_a_log_goes_on_under_a_new_origin_that_says_what_was_lost(lost: Lost) -> None:
    await lost.still_refused()
    kept = lost.kept
    done = await lost.recover()
    said = done.recovery.statement
    assert (said.old, said.new, said.lost) == (ORIGIN, f"{ORIGIN}.2", (lost.left, lost.size))
    assert (said.kept, said.reason, done.resumed) == (kept, REASON, False)
    assert len(set(said.by)) == 2
    assert f"entries {lost.left} to {lost.size - 1} are lost" in said.words
    assert "Ask every requesting system" in said.words
    await check_recovered(lost)


async def test_the_recoverys_entry_is_the_first_under_the_new_origin_whatever_waited(lost: Lost) -> None:
    async with unchecked(lost.folder, lost.database) as house:
        for _ in range(3):
            await note_in_house(house, house.store, "test.waiting", ActorId("test"), {"n": b"x"})
    await lost.recover()
    async with a_house(lost.folder, lost.database, running=False) as house:
        assert await sealed(house) == lost.left + 1
        assert await grow(house) == lost.left + 5
        await verify_log(house, lost.kept)
        rows = await entries(house, lost.left)
        assert [entry.type for entry in rows] == [RECOVERED, *["test.waiting"] * 3, "test.noted"]
        assert rows[0].case == RECOVERY_CHAIN


async def entries(house: House, start: int) -> list[Entry]:
    async with house.store.read() as transaction:
        return [
            Entry.from_bytes(body or b"")
            async for batch in stream_leaves(transaction, 100, start)
            for _, body, _ in batch
        ]


async def test_receipts_of_the_lost_entries_verify_under_the_old_key_and_new_ones_under_the_new(
    lost: Lost,
) -> None:
    before = verify_receipt(lost.old_receipt, [lost.old_key])
    assert before.checkpoint.origin == ORIGIN
    assert before.index >= lost.left
    done = await lost.recover()
    new_key = VerifierKey.parse(done.verifier_key)
    assert verify_receipt(lost.old_receipt, [lost.old_key]) == before
    with pytest.raises(VerificationError):
        verify_receipt(lost.old_receipt, [new_key])
    async with a_house(lost.folder, lost.database, running=False) as house:
        client, _ = await a_client(house, "ward system")
        case = (await submit(house, client, submission(house.clock.now()), "key", b"body")).case
        await house.errands.finish(10)
        await house.sealer.round()
        fresh = await receipt(house, client, case)
    assert verify_receipt(fresh, [new_key]).checkpoint.origin == f"{ORIGIN}.2"
    with pytest.raises(VerificationError):
        verify_receipt(fresh, [lost.old_key])


async def test_the_new_origin_may_be_named(lost: Lost) -> None:
    await lost.recover(new_origin="log.hospital.example/after-the-fire")
    await check_recovered(lost, "log.hospital.example/after-the-fire")


async def test_a_database_that_lost_everything_is_recovered_once_there_are_two_accounts(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    empty = copies.of(copies.take())
    async with a_house(tmp_path, database, running=False) as house:
        size = await grow(house, 3)
    async with unchecked(tmp_path, empty) as house:
        await add_site(house.identities, SITE, "North Hospital")
        for login in ("anna", "ben"):
            await an_administrator(house, login)
        done = await recover(house, await two_persons(house, BOTH), REASON)
    assert done.recovery.statement.lost == (0, size)
    async with a_house(tmp_path, empty, running=False) as house:
        await grow(house, 2)
        report = await verify_log(house, (tmp_path / "checkpoint").read_bytes())
        assert [r.index for r in report.recoveries] == [0]


async def test_a_log_may_be_lost_twice(server: EmbeddedPostgres, lost: Lost) -> None:
    copies = Copies(server, lost.database)
    await lost.recover()
    async with a_house(lost.folder, lost.database, running=False) as house:
        lost.left = await grow(house, 2)
    before = copies.take()
    async with a_house(lost.folder, lost.database, running=False) as house:
        lost.size = await grow(house, 2)
    copies.put_in_place(before)
    done = await lost.recover()
    assert done.recovery.statement.new == f"{ORIGIN}.3"
    await check_recovered(lost, f"{ORIGIN}.3")
    copies.drop()


@pytest.mark.parametrize("acts", [(begin_rotation,), (begin_rotation, finish_rotation)])
async def test_a_rotation_of_the_key_may_be_among_what_was_lost(
    database: Database, copies: Copies, tmp_path: Path, acts: tuple[Callable[..., Any], ...]
) -> None:
    folder = tmp_path / "data"
    async with a_house(folder, database, running=False) as house:
        await an_administrator(house, "anna")
        await an_administrator(house, "ben")
        left = await grow(house, 3)
    behind = copies.take()
    for act in acts:
        async with a_house(folder, database, running=False) as house:
            await grow(house, 1)
            await act(house, ActorId("operator:carla"))
            keys = [key for key in house.verifiers if key.type is SignatureType.ED25519]
    with copies.another(behind) as rest:
        with pytest.raises(ConfigurationError, match=r"rolled back .* `arbiter audit recover`"):
            async with a_house(folder, rest, running=False):
                pass
        async with unchecked(folder, rest) as house:
            await recover(house, await two_persons(house, BOTH), REASON)
        async with a_house(folder, rest, running=False) as house:
            await grow(house, 2)
            assert set(keys) < set(house.verifiers)
            report = await verify_log(house, (folder / "checkpoint").read_bytes())
            (recovery,) = report.recoveries
            assert recovery.statement.lost[0] == left
            assert recovery.signed_by_old


async def test_retired_keys_of_the_former_origin_sign_what_was_theirs_and_nothing_more(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    """The old key's file was stolen before it was retired: a recovery must not bring it back into force."""
    folder = tmp_path / "data"
    async with a_house(folder, database, running=False) as house:
        await an_administrator(house, "anna")
        await an_administrator(house, "ben")
        await grow(house, 3)
        stolen = house.signer
        await begin_rotation(house, ActorId("operator:carla"))
    async with a_house(folder, database, running=False) as house:
        end = await grow(house, 1)
        await finish_rotation(house, ActorId("operator:carla"))
    behind = copies.take()
    async with a_house(folder, database, running=False) as house:
        ranges = {key: key.last_size for key in house.keyring.verifiers}
        await grow(house, 2)
    with copies.another(behind) as rest:
        async with unchecked(folder, rest) as house:
            await recover(house, await two_persons(house, BOTH), REASON)
        async with a_house(folder, rest, running=False) as house:
            await grow(house, 2)
            former = [key for key in house.verifiers if key.name == ORIGIN]
            assert {key: key.last_size for key in former if isinstance(key, LogKey)} == ranges
            assert list(ranges.values()) == [end, end, None, None]
            await verify_log(house, (folder / "checkpoint").read_bytes())
            for size in (end + 1, end + 100):
                forged = sign_checkpoint(Checkpoint(ORIGIN, size, b"f" * 32), [stolen])
                with pytest.raises(VerificationError, match=f"may sign sizes from 0 to {end}"):
                    open_checkpoint(forged, house.verifiers)
                with pytest.raises(LogRefusedError, match=f"may sign sizes from 0 to {end}"):
                    await verify_log(house, forged)


async def test_a_fork_is_recovered_with_its_contradiction(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    async with a_house(here, database, running=False) as house:
        await an_administrator(house, "anna")
        await an_administrator(house, "ben")
    clone = await fork(database, copies, here, there, 2, 4)
    await not_opened(here, clone)
    async with unchecked(here, clone) as house:
        done = await recover(house, await two_persons(house, BOTH), REASON)
    assert "from an unknown one on (a fork)" in str(done.recovery)
    assert "two histories" in done.recovery.statement.words
    async with a_house(here, clone, running=False) as house:
        await grow(house)
        report = await verify_log(house, (here / "checkpoint").read_bytes())
        assert len(report.recoveries) == 1
        quoted = await verify_log(house, done.recovery.statement.kept)
        assert quoted.kept == done.recovery.kept
        (path,) = evidence_in(here)
        assert path.exists()


async def test_an_export_of_a_recovered_log_verifies_and_says_what_was_lost(lost: Lost) -> None:
    await lost.recover()
    path = lost.folder / "export.zip"
    async with a_house(lost.folder, lost.database, running=False) as house:
        auditor, _ = await an_auditor(house)
        await export_to(house, auditor, Selection(), path)
        verifiers = house.verifiers
    # Whoever has held nothing but the old origin's key from the first day follows to the new one.
    for trusted in (verifiers, (lost.old_key,)):
        words = " ".join(words_of(verify(path, trusted)))
        assert f"{ORIGIN}.2" in words
        assert str(lost.size - 1) in words
    archive = check_archive(path, [lost.old_key.encode()])
    assert "arbiter/errors.py" in archive
    # The key of the new origin alone cannot speak for what the old one signed.
    with pytest.raises(ExportRefusedError, match="known key"):
        verify(path, verifiers[:1])


@pytest.mark.parametrize("finished", [False, True], ids=["overlap", "retired"])
async def test_a_loss_that_took_a_rotation_of_the_logs_key_with_it_is_recovered(
    lost: Lost, whole: Database, *, finished: bool
) -> None:
    """The database knows nothing of the present key, which alone can sign what recovers it."""
    async with a_house(lost.folder, whole, running=False) as house:
        await begin_rotation(house, ActorId("operator:carla"))
    async with a_house(lost.folder, whole, running=False) as house:
        size = await grow(house, 1)
        if finished:
            await finish_rotation(house, ActorId("operator:carla"))
            size = await sealed(house)
    with pytest.raises(ConfigurationError, match="audit recover"):
        async with a_house(lost.folder, lost.database, running=False):
            pass
    done = await lost.recover()
    assert done.recovery.statement.lost == (lost.left, size)
    await check_recovered(replace(lost, size=size))
