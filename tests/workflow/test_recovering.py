"""A log that lost entries for good: two persons begin a new origin, whatever it is killed at, and nobody else does."""

from __future__ import annotations

import inspect
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from arbiter.audit.entry import Entry
from arbiter.audit.export.checking import ExportRefusedError
from arbiter.audit.export.manifest import Selection
from arbiter.audit.note import SignatureType, VerifierKey
from arbiter.audit.receipt import verify_receipt
from arbiter.audit.recovery import RECOVERED, RECOVERY_CHAIN
from arbiter.audit.verify import LogRefusedError
from arbiter.clock import SystemChance, SystemClock
from arbiter.errors import (
    ArbiterError,
    ConfigurationError,
    ForbiddenError,
    RefusedError,
    UnauthenticatedError,
    VerificationError,
)
from arbiter.identity.accounts import create_account, disable_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import ActorId
from arbiter.settings import Mode, Settings
from arbiter.store import origins
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.keys import read_keys
from arbiter.store.log.leaves import stream_leaves
from arbiter.verifying.report import verify, words_of
from arbiter.wiring import Ports, open_house_on
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log import recovering
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.log.recoveries import load_statements
from arbiter.workflow.log.recovering import recover, two_persons
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from arbiter.workflow.reading import receipt
from tests.databases import Copies
from tests.exports import an_auditor, export_to
from tests.houses import PASSWORD, SITE, a_client, a_house, a_reviewer, submission
from tests.workflow.test_log_guard import (
    cut_off_connections_are_put_away,
    evidence_in,
    fork,
    grow,
    not_opened,
    sealed,
)

__all__ = ["cut_off_connections_are_put_away"]

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning"),
]

ORIGIN = "log.hospital.example/arbiter"
REASON = "the disk is gone, and the newest backup is of Monday"
BOTH = (("anna", PASSWORD), ("ben", PASSWORD))


@pytest.fixture
def copies(server: EmbeddedPostgres, database: Database) -> Iterator[Copies]:
    made = Copies(server, database)
    yield made
    made.drop()


async def an_administrator(house: House, login: str) -> Principal:
    return await create_account(
        house.identities, house.clock, house.chance, login, login.capitalize(), PASSWORD,
        [Role.ADMINISTRATOR], [SITE],
    )  # fmt: skip


def unchecked(folder: Path, database: Database) -> Any:
    """A house as the command opens it: on a log that may be refused."""
    settings = Settings(data=folder, mode=Mode.DEMONSTRATION, secure_cookies=False, workers=False)
    ports = Ports(SystemClock(), SystemChance())
    return open_house_on(settings, database, read_keys(folder), ports, check_log=False)


@dataclass
class Lost:
    """A database that is behind its kept checkpoint, with what was got before and after what was lost."""

    folder: Path
    database: Database
    left: int
    size: int
    old_receipt: bytes
    old_key: VerifierKey

    async def recover(self, reason: str = REASON, new_origin: str | None = None) -> recovering.Recovered:
        async with unchecked(self.folder, self.database) as house:
            return await recover(house, await two_persons(house, BOTH), reason, new_origin)

    @property
    def kept(self) -> bytes:
        return (self.folder / "checkpoint").read_bytes()

    @property
    def keys(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.folder / "keys").iterdir())}

    async def still_refused(self) -> str:
        return await not_opened(self.folder, self.database)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pristine(
    server: EmbeddedPostgres, module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Copies, str, str, Lost]]:
    """The loss, made once: the copies of the database as it was left and as it had been, and what a test gets of it."""
    folder = tmp_path_factory.mktemp("lost")
    copies = Copies(server, module_database)
    async with a_house(folder, module_database, running=False) as house:
        await an_administrator(house, "anna")
        await an_administrator(house, "ben")
        await a_reviewer(house, "rita")
        client, _ = await a_client(house)
        left = await grow(house, 3, 2)
    behind = copies.take()
    async with a_house(folder, module_database, running=False) as house:
        case = (await submit(house, client, submission(house.clock.now()), "key", b"body")).case
        await house.errands.finish(10)
        await house.sealer.round()
        held = await receipt(house, client, case)
        size = await grow(house, 2)
        key = house.verifiers[0]
    yield copies, behind, copies.take(), Lost(folder, module_database, left, size, held, key)
    copies.drop()


@pytest.fixture
def lost(pristine: tuple[Copies, str, str, Lost], tmp_path: Path) -> Iterator[Lost]:
    """The loss, for one test alone."""
    copies, behind, _, made = pristine
    folder = tmp_path / "data"
    shutil.copytree(made.folder, folder)
    with copies.another(behind) as database:
        yield replace(made, folder=folder, database=database)


@pytest.fixture
def whole(pristine: tuple[Copies, str, str, Lost]) -> Iterator[Database]:
    """The database as it was before the loss."""
    copies, _, before, _ = pristine
    with copies.another(before) as database:
        yield database


async def check_recovered(lost: Lost, new: str = f"{ORIGIN}.2") -> None:
    """Open, seal and verify: the log goes on under its new origin, and says what it lost."""
    async with a_house(lost.folder, lost.database, running=False) as house:
        assert house.signer.name == new
        assert house.verifiers[0].name == new
        assert lost.old_key in house.verifiers
        await grow(house, 2)
        report = await verify_log(house, lost.kept)
        assert report.newest is not None
        assert report.newest.origin == new
        recovery = report.recoveries[-1]
        assert recovery.statement.lost == (lost.left, lost.size)
        assert recovery.signed_by_old
        async with house.store.read() as transaction:
            statements = await load_statements(transaction)
        assert set(statements) == set(range(len(report.recoveries)))


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


# --- two persons -------------------------------------------------------------------------------------------------------


async def refused_for(lost: Lost, credentials: Any, error: type[ArbiterError], match: str) -> None:
    kept, keys = lost.kept, lost.keys
    async with unchecked(lost.folder, lost.database) as house:
        with pytest.raises(error, match=match):
            await recover(house, await two_persons(house, credentials), REASON)
        assert await sealed(house) == lost.left
    assert (lost.kept, lost.keys) == (kept, keys)


@pytest.mark.parametrize(
    ("credentials", "error", "match"),
    [
        ((("anna", PASSWORD), ("anna", PASSWORD)), RefusedError, "two different persons"),
        ((("anna", PASSWORD), (" ANNA ", PASSWORD)), RefusedError, "two different persons"),
        ((("anna", PASSWORD), ("ben", "not the password")), UnauthenticatedError, "^ben: login or password"),
        ((("anna", ""), ("ben", PASSWORD)), UnauthenticatedError, "^anna: login or password"),
        ((("anna", PASSWORD), ("nobody", PASSWORD)), UnauthenticatedError, "^nobody: login or password"),
        ((("anna", PASSWORD), ("rita", PASSWORD)), ForbiddenError, "lacks the permission log:recover"),
        ((("rita", PASSWORD), ("anna", PASSWORD)), ForbiddenError, "lacks the permission log:recover"),
    ],
)
async def test_fewer_than_two_administrators_begin_nothing(
    lost: Lost, credentials: Any, error: type[ArbiterError], match: str
) -> None:
    await refused_for(lost, credentials, error, match)


async def test_an_account_that_was_ended_begins_nothing(lost: Lost) -> None:
    async with unchecked(lost.folder, lost.database) as house:
        ben = (await two_persons(house, BOTH))[1]
        await disable_account(house.identities, house.clock, ben.id)
    await refused_for(lost, BOTH, UnauthenticatedError, "^ben: login or password")


# --- what is not to be recovered -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason", ["", "   ", "fire", "x" * 1001, "nine word", "a reason with \x07 a bell in it"]
)
async def test_a_reason_is_needed(lost: Lost, reason: str) -> None:
    keys = lost.keys
    with pytest.raises(RefusedError, match="expected a reason"):
        await lost.recover(reason)
    assert lost.keys == keys


@pytest.mark.parametrize("name", [ORIGIN, "two words", "a+b"])
async def test_an_origin_that_cannot_be_a_new_one_is_refused(lost: Lost, name: str) -> None:
    keys = lost.keys
    with pytest.raises(ArbiterError, match=r"already; a new one needs a new name|a log's origin is"):
        await lost.recover(new_origin=name)
    assert lost.keys == keys
    await lost.still_refused()


async def test_a_healthy_log_is_not_recovered(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await an_administrator(house, "anna")
        await an_administrator(house, "ben")
        await grow(house, 3)
        by = await two_persons(house, BOTH)
        with pytest.raises(RefusedError, match="the log is fit"):
            await recover(house, by, REASON)
        assert await grow(house) == 4
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == [
        "index.key",
        "kek-1.key",
        "log.key",
        "log.pub",
    ]


async def test_a_recovered_log_is_not_recovered_again(lost: Lost) -> None:
    await lost.recover()
    with pytest.raises(RefusedError, match="the log is fit"):
        await lost.recover()
    await check_recovered(lost)
    with pytest.raises(RefusedError, match="the log is fit"):
        await lost.recover()


async def test_a_missing_or_garbled_kept_checkpoint_is_not_what_a_new_origin_puts_right(lost: Lost) -> None:
    kept = lost.folder / "checkpoint"
    kept.write_bytes(b"garbage")
    with pytest.raises(RefusedError, match="a new origin would not put this right"):
        await lost.recover()
    kept.unlink()
    with pytest.raises(RefusedError, match="a new origin would not put this right"):
        await lost.recover()
    assert "is missing; restore that file" in await lost.still_refused()


async def test_what_is_left_must_verify(server: EmbeddedPostgres, lost: Lost) -> None:
    with Copies(server, lost.database).superuser() as insider:
        insider.execute("ALTER TABLE entry DISABLE TRIGGER ALL")
        insider.execute("UPDATE entry SET body = replace(convert_from(body, 'UTF8'), 'test', 'tost')::bytea")
    with pytest.raises(LogRefusedError, match="its bytes do not hash"):
        await lost.recover()
    await lost.still_refused()


async def test_a_database_on_which_somebody_else_works_is_refused(
    server: EmbeddedPostgres, lost: Lost, whole: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the entry the database is exchanged for the one that has everything."""
    copies = Copies(server, lost.database)

    def exchange(data: Path, keys: Any) -> None:
        origins.keep_former(data, keys)
        copies.put_in_place(Copies(server, whole).name)

    monkeypatch.setattr(recovering, "keep_former", exchange)
    with pytest.raises(ArbiterError, match=r"stop every Arbiter|does not answer"):
        await lost.recover()
    async with a_house(lost.folder, lost.database, running=False) as house:
        assert house.signer.name == ORIGIN
        await verify_log(house, lost.kept)


async def test_the_old_checkpoint_put_back_after_a_recovery_is_refused(lost: Lost) -> None:
    old = lost.kept
    await lost.recover()
    (lost.folder / "checkpoint").write_bytes(old)
    said = await lost.still_refused()
    assert f"is of the former origin {ORIGIN}, this log is {ORIGIN}.2" in said
    assert "copy its folder `keys` and its file `checkpoint`" in said


async def test_another_host_with_the_old_keys_is_refused(lost: Lost, tmp_path: Path) -> None:
    keys, kept = lost.keys, lost.kept
    await lost.recover()
    for path in (lost.folder / "keys").iterdir():
        path.unlink()
    for name, content in keys.items():
        (lost.folder / "keys" / name).write_bytes(content)
        (lost.folder / "keys" / name).chmod(0o600)
    (lost.folder / "checkpoint").write_bytes(kept)
    assert "is not this log's" in await lost.still_refused()


async def test_the_former_database_is_refused_by_the_recovered_house(lost: Lost, whole: Database) -> None:
    await lost.recover()
    assert f"is of origin {ORIGIN}, this log is {ORIGIN}.2" in await not_opened(lost.folder, whole)


# --- killed at each step -------------------------------------------------------------------------------------------------


class KilledError(BaseException):
    """The process is gone."""


STEPS: list[tuple[Any, str, int]] = [
    (recovering, "prepare_next", 1),
    (recovering, "keep_former", 1),
    (recovering, "_write", 1),
    (KeptCheckpoint, "replace", 1),
    (KeptCheckpoint, "sync", 1),
    (recovering, "switch_to_next", 1),
    (os, "link", 1),
    *((Path, "replace", time) for time in (1, 2, 3, 4)),
]
"""What is done, in this order, and the calls of what puts each file in its place: the next key, the former ones' public
keys, the kept checkpoint, the present key."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("where", "name", "time"), STEPS, ids=[f"{name}-{time}" for _, name, time in STEPS])
async def test_killed_at_any_step_it_is_refused_or_recovered_and_can_be_run_again(
    lost: Lost, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, time: int, after: bool
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(where, name, deadly(getattr(where, name), time, after=after))
        with pytest.raises(KilledError):
            await lost.recover()
    if (name, time) in {("switch_to_next", 1), ("replace", 4)} and after and where is not KeptCheckpoint:
        await check_recovered(lost)
        return
    assert "`arbiter audit recover`" in await lost.still_refused()
    done = await lost.recover()
    assert done.recovery.statement.lost == (lost.left, lost.size)
    await check_recovered(lost)


def deadly(real: Callable[..., Any], time: int, *, after: bool) -> Callable[..., Any]:
    """Return what is called in place of `real`: the process is killed before or after it is done the n-th time."""
    calls = itertools.count(1)

    def dies(*args: Any, **kwargs: Any) -> Any:
        killed = next(calls) == time
        if killed and not after:
            raise KilledError
        done = real(*args, **kwargs)
        if killed and not inspect.isawaitable(done):
            raise KilledError
        return dies_later(done) if killed else done

    async def dies_later(done: Any) -> None:
        await done
        raise KilledError

    return dies


async def test_a_key_begun_under_one_name_is_not_used_under_another(
    lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(recovering, "keep_former", _die)
        with pytest.raises(KilledError):
            await lost.recover()
    done = await lost.recover(new_origin="log.hospital.example/other")
    assert done.recovery.statement.new == "log.hospital.example/other"
    await check_recovered(lost, "log.hospital.example/other")


def _die(*_: Any) -> None:
    raise KilledError


async def test_a_kept_file_that_changed_after_the_commit_is_not_written_over(
    lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(KeptCheckpoint, "replace", _die)
        with pytest.raises(KilledError):
            await lost.recover()
    right = lost.kept
    (lost.folder / "checkpoint").write_bytes(b"what somebody wrote there")
    with pytest.raises(RefusedError, match="neither the one that the recovery quotes"):
        await lost.recover()
    assert lost.kept == b"what somebody wrote there"
    (lost.folder / "checkpoint").write_bytes(right)
    assert (await lost.recover()).resumed
    await check_recovered(lost)


async def test_a_statement_of_one_person_is_never_committed(lost: Lost) -> None:
    """What is written is verified first: a fault of the code before it cannot put an unfit statement into the log."""
    async with unchecked(lost.folder, lost.database) as house:
        first, _ = await two_persons(house, BOTH)
        with pytest.raises(VerificationError, match="two different persons"):
            await recover(house, (first, replace(first, name="somebody else")), REASON)
        assert await sealed(house) == lost.left


async def test_an_export_of_a_recovered_log_verifies_and_says_what_was_lost(lost: Lost) -> None:
    await lost.recover()
    path = lost.folder / "export.zip"
    async with a_house(lost.folder, lost.database, running=False) as house:
        auditor, _ = await an_auditor(house)
        await export_to(house, auditor, Selection(), path)
        verifiers = house.verifiers
    words = " ".join(words_of(verify(path, verifiers)))
    assert f"{ORIGIN}.2" in words
    assert str(lost.size - 1) in words
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
