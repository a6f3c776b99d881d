"""A database that goes back or forks, and a kept checkpoint that is meddled with: noticed, told once, and nothing more is done."""

from __future__ import annotations

import asyncio
import gc
import logging
import stat
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.contradiction import Evidence
from arbiter.audit.merkle import EMPTY_ROOT
from arbiter.audit.note import Ed25519NoteSigner, parse_note
from arbiter.errors import ConfigurationError, LogUnfitError, UnavailableError, VerificationError
from arbiter.lifecycle.states import Phase
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents
from arbiter.store.log.checkpoints import load_newest_checkpoint
from arbiter.telemetry.catalogue import LOG_REFUSED
from arbiter.workflow import publishing
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.gauges import gauges
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log import guard as log_guard
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.evidence import note_evidence
from arbiter.workflow.log.faults import Fault
from arbiter.workflow.log.guard import Refusal
from arbiter.workflow.publishing import ready
from arbiter.workflow.reading import view_case
from tests.conftest import an_outage
from tests.databases import Copies
from tests.houses import a_client, a_house, submission

pytestmark = pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")

THREE_ROADS = ("restore a newer copy", "find the other database", "arbiter audit recover")


@pytest.fixture(autouse=True)
def cut_off_connections_are_put_away() -> Iterator[None]:
    """Connections that the server cut off are closed by the collector, which warns: here, and not in another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def copies(server: EmbeddedPostgres, database: Database) -> Iterator[Copies]:
    made = Copies(server, database)
    yield made
    made.drop()


async def grow(house: House, entries: int = 1, rounds: int = 1) -> int:
    """Seal entries of the house's own, a checkpoint a round; return the log's size."""
    for _ in range(rounds):
        for _ in range(entries):
            await note_in_house(house, house.store, "test.noted", ActorId("test"), {"n": b"x"})
        await house.sealer.round()
    return await sealed(house)


async def sealed(house: House) -> int:
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
    return 0 if newest is None else newest.size


async def refused(house: House) -> str:
    """Have the house seal one more entry, which it must refuse; return why."""
    await note_in_house(house, house.store, "test.noted", ActorId("test"), {"n": b"x"})
    with pytest.raises(LogUnfitError) as error:
        await house.sealer.round()
    return str(error.value)


async def until_refused(house: House) -> Refusal:
    async with asyncio.timeout(20):
        while (refusal := house.guard.refusal) is None:  # noqa: ASYNC110 - what the house itself does is waited for
            await asyncio.sleep(0.02)
    return refusal


async def not_opened(folder: Path, database: Database) -> str:
    with pytest.raises(ConfigurationError) as error:
        async with a_house(folder, database, running=False):
            pass
    return str(error.value)


def evidence_in(folder: Path) -> list[Path]:
    return sorted((folder / "evidence").glob("*"))


# --- a database that goes back ---------------------------------------------------------------------------------------


async def test_a_database_rolled_back_between_starts_is_refused_with_three_roads(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 3)
    before = copies.take()
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
    copies.put_in_place(before)
    said = await not_opened(tmp_path, database)
    assert "the database's log has 3 sealed entries" in said
    assert "has 5: the database was rolled back or is another one" in said
    for road in THREE_ROADS:
        assert road in said
    copies.put_in_place(before)
    async with a_house(tmp_path, database, running=False) as house:
        assert await grow(house) == 6


async def test_a_sealer_whose_database_goes_back_seals_nothing_more(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 3)
        before = copies.take()
        await grow(house, 2)
        kept = (tmp_path / "checkpoint").read_bytes()
        copies.put_in_place(before)
        said = await refused(house)
        assert "has 3 sealed entries" in said
        for road in THREE_ROADS:
            assert road in said
        assert await sealed(house) == 3
        assert (tmp_path / "checkpoint").read_bytes() == kept


async def test_a_refused_log_stays_refused_though_the_database_comes_back(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 3)
        before = copies.take()
        await grow(house, 2)
        copies.put_in_place(before)
        await refused(house)
        copies.put_in_place(before)
        assert "has 3 sealed entries" in await refused(house)
        assert await sealed(house) == 5
    async with a_house(tmp_path, database, running=False) as house:
        assert await grow(house) == 7


async def test_an_idle_sealer_notices_before_anything_waits_to_be_sealed(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 3)
        before = copies.take()
        await grow(house, 2)
        copies.put_in_place(before)
        with pytest.raises(LogUnfitError):
            await house.sealer.round()


async def test_the_minutes_look_notices_where_nobody_seals(
    database: Database, copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_guard, "EVERY_SECONDS", 0.02)
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 3)
        before = copies.take()
        await grow(house, 2)
        watching = asyncio.create_task(house.guard.watch())
        await asyncio.sleep(0.2)
        assert house.guard.refusal is None
        copies.put_in_place(before)
        assert (await until_refused(house)).fault is Fault.BEHIND
        watching.cancel()


async def test_a_refused_house_decides_nothing_says_so_once_and_is_not_ready(
    database: Database, copies: Copies, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(tmp_path, database) as house:
        client, _ = await a_client(house)
        await house.sealer.request()
        before = copies.take()
        async with asyncio.timeout(20):
            while not await _grown(house):
                pass
        copies.put_in_place(before)
        await until_refused(house)
        with pytest.raises(LogUnfitError, match="Follow your local downtime procedure") as error:
            await submit(house, client, submission(house.clock.now()), "late", b"body")
        assert str(tmp_path) not in str(error.value)
        await asyncio.sleep(1.2)
        readiness = await ready(house)
        assert not readiness.ok
        assert ("signed log", False, "refused: behind; operators were told") in readiness.checks
        assert {f.metric: f.value for f in await gauges(house)}[LOG_REFUSED] == 1
        loud = [record for record in caplog.records if record.levelno == logging.CRITICAL]
        assert len(loud) == 1
        assert "THE LOG IS REFUSED (behind)" in loud[0].getMessage()


async def _grown(house: House) -> bool:
    """Have one entry sealed by a running house whose connections were just cut off."""
    try:
        await note_in_house(house, house.store, "test.noted", ActorId("test"), {"n": b"x"})
        async with asyncio.timeout(5):
            await house.sealer.request()
    except UnavailableError:
        return False
    return True


async def test_what_was_decided_is_not_released_on_a_refused_log(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        client, _ = await a_client(house)
        case = (await submit(house, client, submission(house.clock.now()), "key", b"body")).case
        await house.errands.finish(10)
        (tmp_path / "checkpoint").unlink()
        await refused(house)
        assert (await view_case(house, client, case)).phase is Phase.DECIDED


async def test_a_healthy_house_says_so(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2, 3)
        await house.guard.check()
        assert ("signed log", True, "extends what was signed") in (await ready(house)).checks
        assert {f.metric: f.value for f in await gauges(house)}[LOG_REFUSED] == 0


async def test_a_database_that_is_away_is_not_one_that_went_back(
    server: EmbeddedPostgres, database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        with an_outage(server, database), pytest.raises(UnavailableError):
            await house.guard.check()
        assert house.guard.refusal is None
        await house.guard.check()


# --- forks ---------------------------------------------------------------------------------------------------------


async def fork(
    database: Database, copies: Copies, here: Path, there: Path, ours: int, theirs: int
) -> Database:
    """Seal some entries, copy the database, and seal on in both under one key; return the copy."""
    async with a_house(here, database, running=False) as house:
        await grow(house, 5)
    clone = copies.of(copies.take())
    for name in ("keys/log.key", "keys/kek-1.key", "keys/index.key", "checkpoint"):
        (there / name).parent.mkdir(mode=0o700, exist_ok=True, parents=True)
        (there / name).write_bytes((here / name).read_bytes())
        (there / name).chmod(0o600)
    async with a_house(here, database, running=False) as house:
        await grow(house, 1, ours)
    async with a_house(there, clone, running=False) as house:
        await grow(house, 1, theirs)
    return clone


@pytest.mark.parametrize(("ours", "theirs"), [(1, 1), (3, 3), (1, 4), (3, 4), (11, 12)])
async def test_a_clone_that_sealed_on_is_refused_and_both_notes_are_kept_as_evidence(
    database: Database, copies: Copies, tmp_path: Path, ours: int, theirs: int
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    clone = await fork(database, copies, here, there, ours, theirs)
    said = await not_opened(here, clone)
    assert f"different roots for {5 + ours} entries" in said
    for road in THREE_ROADS:
        assert road in said
    await not_opened(here, clone)
    (path,) = evidence_in(here)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    async with a_house(here, database, running=False) as house:
        proven = Evidence.parse(path.read_bytes()).verify(house.verifiers)
        assert (proven.smaller.size, proven.larger.size) == (5 + ours, 5 + theirs)
        assert await note_evidence(house) == 1
        assert await note_evidence(house) == 0
        await house.sealer.round()
        (noted,) = [d for d in await load_house_documents(house.store, HOUSE_CHAIN) if d.name == "evidence"]
        assert noted.content == path.read_bytes()
        assert (await verify_log(house, (here / "checkpoint").read_bytes())).cases == 1


async def test_a_clone_that_sealed_less_is_behind(database: Database, copies: Copies, tmp_path: Path) -> None:
    clone = await fork(database, copies, tmp_path / "here", tmp_path / "there", 3, 1)
    assert "has 6 sealed entries" in await not_opened(tmp_path / "here", clone)


async def test_a_fork_under_a_running_sealer_is_noticed_before_it_seals(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    clone = await fork(database, copies, here, there, 2, 3)
    async with a_house(here, database, running=False) as house:
        await house.sealer.round()
        copies.put_in_place(clone.app_url.rsplit("/", 1)[1].split("?")[0])
        said = await refused(house)
        assert "different roots for 7 entries" in said
        assert await sealed(house) == 8
        assert len(evidence_in(here)) == 1


async def test_evidence_is_never_overwritten(database: Database, copies: Copies, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    clone = await fork(database, copies, here, there, 1, 1)
    await not_opened(here, clone)
    (path,) = evidence_in(here)
    path.write_bytes(b"what somebody wrote there")
    await not_opened(here, clone)
    assert path.read_bytes() == b"what somebody wrote there"
    async with a_house(here, database, running=False) as house:
        assert await note_evidence(house) == 0


# --- the kept file -----------------------------------------------------------------------------------------------------


def _removed(path: Path, _older: bytes) -> None:
    path.unlink()


def _emptied(path: Path, _older: bytes) -> None:
    path.write_bytes(b"")


def _garbled(path: Path, _older: bytes) -> None:
    path.write_bytes(b"\xff\xfe garbage")


def _older_put_back(path: Path, older: bytes) -> None:
    path.write_bytes(older)


def _of_another_log(path: Path, _older: bytes) -> None:
    stranger = Ed25519NoteSigner("log.elsewhere.example", bytes(32))
    path.write_bytes(sign_checkpoint(Checkpoint(stranger.name, 0, EMPTY_ROOT), [stranger]))


def _of_another_key(path: Path, _older: bytes) -> None:
    stranger = Ed25519NoteSigner("log.hospital.example/arbiter", bytes(32))
    path.write_bytes(sign_checkpoint(Checkpoint(stranger.name, 99, b"f" * 32), [stranger]))


def _cut(path: Path, _older: bytes) -> None:
    path.write_bytes(path.read_bytes()[:-20])


MEDDLING = [
    (_removed, Fault.KEPT_MISSING),
    (_emptied, Fault.KEPT_UNFIT),
    (_garbled, Fault.KEPT_UNFIT),
    (_cut, Fault.KEPT_UNFIT),
    (_of_another_key, Fault.KEPT_UNFIT),
    (_of_another_log, Fault.KEPT_UNFIT),
    (_older_put_back, Fault.KEPT_OLDER),
]


@pytest.mark.parametrize(("meddle", "fault"), MEDDLING)
async def test_a_kept_file_that_is_meddled_with_is_noticed_told_and_not_written_over(
    database: Database,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    meddle: Callable[[Path, bytes], None],
    fault: Fault,
) -> None:
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        older = kept.read_bytes()
        await grow(house, 2)
        meddle(kept, older)
        left = kept.read_bytes() if kept.exists() else None
        said = await refused(house)
        assert str(kept) in said
        assert "restore the file" in said
        assert await sealed(house) == 4
        assert (kept.read_bytes() if kept.exists() else None) == left
        assert house.guard.refusal is not None
        assert house.guard.refusal.fault is fault
        await refused(house)
        assert len([r for r in caplog.records if r.levelno == logging.CRITICAL]) == 1


@pytest.mark.parametrize(("meddle", "fault"), MEDDLING)
async def test_the_minutes_look_notices_a_meddled_file_too(
    database: Database, tmp_path: Path, meddle: Callable[[Path, bytes], None], fault: Fault
) -> None:
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        older = kept.read_bytes()
        await grow(house, 2)
        meddle(kept, older)
        with pytest.raises(LogUnfitError):
            await house.guard.check()
        assert house.guard.refusal is not None
        assert house.guard.refusal.fault is fault


async def test_a_file_that_is_meddled_with_during_the_commit_is_not_written_over(
    database: Database, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        house.guard.look()
        note = house.signer
        kept.write_bytes(b"")
        body = Checkpoint(note.name, 3, b"r" * 32)
        with pytest.raises(LogUnfitError):
            house.guard.keep(sign_checkpoint(body, [note]), body)
        assert kept.read_bytes() == b""


async def test_a_forged_kept_file_of_the_same_size_is_evidence(database: Database, tmp_path: Path) -> None:
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 4)
        kept.write_bytes(sign_checkpoint(Checkpoint(house.signer.name, 4, b"f" * 32), [house.signer]))
        assert "signed two histories" in await refused(house)
        (path,) = evidence_in(tmp_path)
        proven = Evidence.parse(path.read_bytes()).verify(house.verifiers)
        assert str(proven).endswith("signed two roots for 4 entries")


async def test_a_kept_file_from_the_future_means_that_the_database_is_behind(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 4)
        future = sign_checkpoint(Checkpoint(house.signer.name, 9, b"f" * 32), [house.signer])
        (tmp_path / "checkpoint").write_bytes(future)
        assert "has 4 sealed entries" in await refused(house)


async def test_a_file_that_is_restored_is_good_again_after_a_start(
    database: Database, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        note = kept.read_bytes()
        kept.unlink()
        await refused(house)
        kept.write_bytes(note)
        await refused(house)
    async with a_house(tmp_path, database, running=False) as house:
        assert await grow(house) == 5


async def test_an_older_file_put_back_between_starts_is_a_lower_bound_and_brought_up_before_a_seal(
    database: Database, tmp_path: Path
) -> None:
    """Nobody can tell at a start that the file is older than it was; it bounds less until the first round."""
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        older = kept.read_bytes()
        await grow(house, 2)
        newest = kept.read_bytes()
    kept.write_bytes(older)
    async with a_house(tmp_path, database, running=False) as house:
        await house.sealer.round()
        assert kept.read_bytes() == newest


async def test_two_processes_on_one_folder_seal_in_turn(database: Database, tmp_path: Path) -> None:
    async with (
        a_house(tmp_path, database, running=False) as one,
        a_house(tmp_path, database, running=False) as other,
    ):
        for number in range(1, 7):
            assert await grow((one, other)[number % 2]) == number
        for _ in range(5):
            await asyncio.gather(*(note_seal(house) for house in (one, other, one)))
        await one.guard.check()
        await other.guard.check()
        report = await verify_log(one, (tmp_path / "checkpoint").read_bytes())
        assert report.kept is not None
        assert report.kept.size == report.entries


async def note_seal(house: House) -> None:
    await note_in_house(house, house.store, "test.noted", ActorId("test"), {"n": b"x"}, chain="busy")
    await house.sealer.round()


# --- what an insider does to the database ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE checkpoint SET note = replace(note, 'hospital', 'hostile') WHERE size = 4", Fault.FOREIGN),
        ("UPDATE checkpoint SET root = sha256('x') WHERE size = 4", Fault.DAMAGED),
        ("UPDATE sealed_run SET hashes = sha256('x') || sha256('y') WHERE start = 0", Fault.DAMAGED),
        ("DELETE FROM sealed_run WHERE start = 0", Fault.DAMAGED),
        ("DELETE FROM checkpoint WHERE size = 4", Fault.BEHIND),
        ("DELETE FROM checkpoint", Fault.BEHIND),
        (
            "UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 2) WHERE size = 4",
            Fault.DAMAGED,
        ),
    ],
)
async def test_what_an_insider_changes_where_the_guard_looks_is_refused(
    server: EmbeddedPostgres, database: Database, copies: Copies, tmp_path: Path, statement: str, fault: Fault
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2, 2)
        with copies.superuser() as insider:
            for table in ("checkpoint", "sealed_run"):
                insider.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
            assert insider.execute(statement.encode()).rowcount > 0
        with pytest.raises(LogUnfitError):
            await house.guard.check()
        assert house.guard.refusal is not None
        assert house.guard.refusal.fault is fault
    await not_opened(tmp_path, database)


@pytest.mark.parametrize("origin", [None, "log.elsewhere.example"])
async def test_a_checkpoint_that_an_insider_adds_is_not_signed_a_second_time(
    database: Database, copies: Copies, tmp_path: Path, origin: str | None
) -> None:
    """The application's own role may add rows there: what is published is signed by whoever holds the log's key."""
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 2)
        forged = Checkpoint(origin or house.signer.name, 9, b"f" * 32)
        note = sign_checkpoint(forged, [Ed25519NoteSigner(forged.origin, b"s" * 32)])
        with copies.superuser() as insider:
            insider.execute(
                "INSERT INTO checkpoint (size, root, note, sealed_at) VALUES (%s, %s, %s, now())",
                (forged.size, forged.root, note.decode()),
            )
        with pytest.raises(VerificationError, match="none of the note's 1 signatures"):
            await publishing.checkpoint(house)
        with pytest.raises(LogUnfitError):
            await house.guard.check()
        assert len(parse_note((await publishing.checkpoint(house)).encode()).signatures) == 1, (
            "nor when refused"
        )


def test_the_minute_is_a_minute() -> None:
    assert timedelta(seconds=log_guard.EVERY_SECONDS) == timedelta(minutes=1)
