"""An erased case is unreadable by every road; what must not be erased is refused; and the log verifies after it all."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from arbiter.audit.entry import Entry
from arbiter.documents.canonical import decode
from arbiter.errors import (
    ConfigurationError,
    ConflictError,
    ErasedError,
    ForbiddenError,
    IllegalMoveError,
    KeyReusedError,
    NotFoundError,
    VerificationError,
)
from arbiter.identity.clients import register_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.lifecycle.states import Erasure, Phase
from arbiter.model import CaseId
from arbiter.store.cases.contents import load_documents
from arbiter.store.database import Database, conninfo
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.erasures import turn_over_journal
from arbiter.store.house_chain import load_house_documents
from arbiter.store.log.chains import load_entries
from arbiter.workflow import intake, reading
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.backups.catalogue import Backup, Catalogue
from arbiter.workflow.closing import contest
from arbiter.workflow.erasure.clearing import (
    clear_keys,
    complete_erasures,
    erasures_standing,
    settle_erasures,
)
from arbiter.workflow.erasure.erasing import Order, erase, hold, lift_hold, note_list
from arbiter.workflow.erasure.erasure_list import What
from arbiter.workflow.glass import break_glass
from arbiter.workflow.house import House
from arbiter.workflow.reading import view_case
from arbiter.workflow.review import signed_case
from arbiter.workflow.subjects import SubjectRef, search
from tests.houses import a_house, a_reviewer, submission
from tests.workflow.erasures import (
    Records,
    an_officer,
    checkpoint_database,
    live_files_with,
    records,
    settings_in,
)
from tests.workflow.post import EXCLUDED, a_case


@pytest_asyncio.fixture
async def kept(tmp_path: Path, database: Database) -> AsyncIterator[Records]:
    async with records(tmp_path / "data", database) as made:
        yield made


async def types_of(house: House, case: str) -> list[str]:
    async with house.store.read() as transaction:
        return [Entry.from_bytes(body).type for _, body, _ in await load_entries(transaction, CaseId(case))]


async def verify(house: House) -> int:
    await house.sealer.round()
    return (await verify_log(house, house.settings.data.joinpath("checkpoint").read_bytes())).entries


async def test_an_erased_case_is_unreadable_by_every_road_and_the_log_verifies(kept: Records) -> None:
    house, case = kept.house, kept.case
    anna, gregor = await a_reviewer(house), await a_glass_breaker(house)
    await erase(house, Order(kept.olga), case)
    for road in (
        reading.read_content(house, kept.client, case),
        reading.decision(house, kept.client, case),
        reading.certificate(house, kept.client, case),
        reading.receipt(house, kept.client, case),
        replay_case(house, case),
        signed_case(house, anna, case),
        break_glass(house, gregor, case, "looking"),
        contest(house, kept.client, case, "not so"),
    ):
        with pytest.raises(ErasedError, match="was erased"):
            await road
    view = await view_case(house, kept.client, case)
    assert (view.phase, view.erasure, view.held) == (Phase.RELEASED, Erasure.KEY_DESTROYED, False)
    assert (await types_of(house, case))[-1] == "case.erased"
    assert await verify(house) > view.entries


async def a_glass_breaker(house: House) -> Principal:
    await add_site(house.identities, "south", "South Hospital")
    roles = frozenset({Role.AUDITOR, Role.EMERGENCY_ACCESS})
    return (
        await register_client(
            house.identities, house.clock, house.chance, "night desk", roles, frozenset({"south"})
        )
    )[0]


async def test_lists_and_searches_go_on_and_show_that_it_was_there(kept: Records) -> None:
    other = await a_case(kept.house, kept.client, "key-2", heart_rate=None)
    await erase(kept.house, Order(kept.olga), kept.case)
    page = await reading.list_cases(kept.house, kept.client)
    found = {view.id: view.erasure for view in page.cases}
    assert found == {kept.case: Erasure.KEY_DESTROYED} | {other: None}
    by_number = await search(kept.house, kept.client, SubjectRef("urn:example:patients", "made-up-1"))
    assert kept.case in {view.id for view in by_number.page.cases}


async def test_the_old_wrapped_key_put_back_opens_for_who_kept_it_and_no_door_uses_it(kept: Records) -> None:
    """A copy of the wrapped key is as good as the key: that is why it must be nowhere. The doors refuse all the same."""
    wrapped = kept.wrapped()
    await erase(kept.house, Order(kept.olga), kept.case)
    with psycopg.connect(conninfo(kept.database.app_url), autocommit=True) as insider:
        insider.execute("INSERT INTO case_key VALUES (%s, 'kek-1', %s)", (kept.case, wrapped))
    with pytest.raises(ErasedError):
        await reading.read_content(kept.house, kept.client, kept.case)
    # Listed as done: the next look makes it so again, without a second entry for a case that says it is erased.
    await settle_erasures(kept.house)
    with pytest.raises(AssertionError, match="the key is gone"):
        kept.wrapped()


async def test_no_document_opens_with_the_key_of_another_case(kept: Records) -> None:
    other = await a_case(kept.house, kept.client, "key-2", heart_rate=None)
    await erase(kept.house, Order(kept.olga), kept.case)
    key = kept.house.vault.open_key(other, "kek-1", kept.wrapped(other))
    async with kept.house.store.read() as transaction:
        documents = await load_documents(transaction, kept.case)
    assert documents, "erasure destroys the key, never a row"
    for seq, name, ciphertext in documents:
        with pytest.raises(VerificationError):
            kept.house.vault.open(key, seq, name, ciphertext)


async def test_a_repeated_request_makes_no_second_case(kept: Records) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    with pytest.raises(KeyReusedError):
        await intake.submit(kept.house, kept.client, submission(kept.house.clock.now()), "key-1", b"key-1")


async def test_a_key_that_is_gone_without_an_erasure_is_damage_and_not_an_erasure(kept: Records) -> None:
    with psycopg.connect(conninfo(kept.database.app_url), autocommit=True) as insider:
        insider.execute("DELETE FROM case_key WHERE case_id = %s", (kept.case,))
    with pytest.raises(VerificationError, match="nothing says that it was erased"):
        await reading.read_content(kept.house, kept.client, kept.case)


# --- what is refused --------------------------------------------------------------------------------------------


async def test_a_legal_hold_refuses_until_it_is_lifted(kept: Records) -> None:
    house, case = kept.house, kept.case
    await hold(house, kept.olga, case, "claim 2026-114")
    for second in (None, kept.piet):
        with pytest.raises(IllegalMoveError, match="legal hold"):
            await erase(house, Order(kept.olga, second, None if second is None else "court order"), case)
    assert house.erasures.read() is None, "nothing refused is listed"
    with pytest.raises(IllegalMoveError, match="in force already"):
        await hold(house, kept.piet, case, "another claim")
    assert (await view_case(house, kept.client, case)).held
    await lift_hold(house, kept.piet, case, "settled")
    with pytest.raises(IllegalMoveError, match="no legal hold"):
        await lift_hold(house, kept.piet, case, "settled")
    await erase(house, Order(kept.olga), case)
    assert (await types_of(house, case))[-3:] == ["hold.placed", "hold.lifted", "case.erased"]
    await verify(house)


async def test_what_a_hold_met_before_it_was_done_is_not_done_on_the_day_the_hold_is_lifted(
    kept: Records,
) -> None:
    """A crash after it was listed, a hold before the next look: the order is spent, and lifting a hold erases nothing."""
    house, case = kept.house, kept.case
    await note_list(house.store, house.erasures.add(What.INTENDED, case, kept.olga.id, kept.clock.now()))
    await hold(house, kept.piet, case, "claim 2026-114")
    await settle_erasures(house)
    await lift_hold(house, kept.piet, case, "settled")
    await settle_erasures(house)
    kept.wrapped()
    await erase(house, Order(kept.olga), case)
    listed = house.erasures.read()
    assert listed is not None
    assert [line.what for line in listed.lines[1:]] == [
        What.INTENDED, What.WITHDRAWN, What.INTENDED, What.DONE,
    ]  # fmt: skip


async def test_a_case_under_way_is_not_erased(kept: Records) -> None:
    running = await a_case(kept.house, kept.client, "key-2", **EXCLUDED)
    with pytest.raises(IllegalMoveError, match="escalated"):
        await erase(kept.house, Order(kept.olga), running)
    kept.wrapped(running)


async def test_it_is_erased_once(kept: Records) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    with pytest.raises(ErasedError):
        await erase(kept.house, Order(kept.olga), kept.case)
    with pytest.raises(ErasedError):
        await hold(kept.house, kept.olga, kept.case, "too late")
    assert (await types_of(kept.house, kept.case)).count("case.erased") == 1


async def test_two_at_once_erase_it_once(kept: Records) -> None:
    done = await asyncio.gather(
        *(erase(kept.house, Order(person), kept.case) for person in (kept.olga, kept.piet)),
        return_exceptions=True,
    )
    assert {type(outcome) for outcome in done} == {type(None), ErasedError}
    assert (await types_of(kept.house, kept.case)).count("case.erased") == 1


@pytest.mark.parametrize("who", ["client", "reviewer", "elsewhere"])
async def test_who_may_not_erase_does_not(kept: Records, who: str) -> None:
    if who == "elsewhere":
        await add_site(kept.house.identities, "south", "South Hospital")
        stranger = await an_officer(kept.house, "sam", "south")
        refusal: type[Exception] = NotFoundError
    else:
        stranger = kept.client if who == "client" else await a_reviewer(kept.house)
        refusal = ForbiddenError
    with pytest.raises(refusal):
        await erase(kept.house, Order(stranger), kept.case)
    with pytest.raises(refusal):
        await hold(kept.house, stranger, kept.case, "because")
    with pytest.raises(refusal):
        await erase(kept.house, Order(kept.olga, stranger, "court order"), kept.case)
    assert kept.house.erasures.read() is None
    kept.wrapped()


@pytest.fixture
async def bound(tmp_path: Path, database: Database) -> AsyncIterator[Records]:
    async with records(tmp_path / "data", database, retention_days=3653) as made:
        yield made


async def test_a_case_that_must_be_kept_takes_a_reason_and_two_persons(bound: Records) -> None:
    house, case = bound.house, bound.case
    for order in (
        Order(bound.olga),
        Order(bound.olga, bound.piet),
        Order(bound.olga, None, "court order"),
        Order(bound.olga, bound.piet, "  "),
    ):
        with pytest.raises(ConflictError, match="must be kept until"):
            await erase(house, order, case)
    with pytest.raises(ForbiddenError, match="one person"):
        await erase(house, Order(bound.olga, bound.olga, "court order"), case)
    bound.wrapped()
    await erase(house, Order(bound.olga, bound.piet, "court order 12/26"), case)
    (document,) = await load_house_documents(house.store, "house")
    said = decode(document.content)
    assert said == {
        **said,
        "case": case, "by": bound.olga.id, "second": bound.piet.id, "despite_retention": "court order 12/26",
    }  # fmt: skip
    await verify(house)


@pytest.mark.parametrize(("days", "kept_still"), [(3652, True), (3653, False)])
async def test_time_is_counted_from_the_cases_end(bound: Records, days: int, kept_still: bool) -> None:
    bound.clock.advance(timedelta(days=days))
    if kept_still:
        # Looking at a case does not make its end later, and neither does anything make it earlier.
        await reading.read_content(bound.house, bound.client, bound.case)
        with pytest.raises(ConflictError, match="must be kept"):
            await erase(bound.house, Order(bound.olga), bound.case)
    else:
        await reading.read_content(bound.house, bound.client, bound.case)
        await erase(bound.house, Order(bound.olga), bound.case)


# --- the files --------------------------------------------------------------------------------------------------


async def test_no_live_file_of_the_database_holds_a_destroyed_key(
    kept: Records, server: EmbeddedPostgres
) -> None:
    wrapped, other = kept.wrapped(), await a_case(kept.house, kept.client, "key-2", heart_rate=None)
    with psycopg.connect(conninfo(kept.database.owner_url or ""), autocommit=True) as owner:
        owner.execute("ANALYZE case_key")
    checkpoint_database(server.superuser_url)
    assert live_files_with(server.folder, wrapped), "the search finds what there is"
    await erase(kept.house, Order(kept.olga), kept.case)
    checkpoint_database(server.superuser_url)
    assert live_files_with(server.folder, wrapped), "a deleted row stays in its page"
    assert await clear_keys(kept.house) is None
    checkpoint_database(server.superuser_url)
    assert live_files_with(server.folder, wrapped) == []
    assert live_files_with(server.folder, kept.wrapped(other)), "another case's key stays where it is"
    await reading.read_content(kept.house, kept.client, other)


async def test_the_journal_is_written_over(kept: Records, server: EmbeddedPostgres) -> None:
    wrapped = kept.wrapped()
    await erase(kept.house, Order(kept.olga), kept.case)
    assert await clear_keys(kept.house) is None
    checkpoint_database(server.superuser_url)
    assert live_files_with(server.folder, wrapped, journal=True), "the journal still holds it"
    assert not turn_over_journal(kept.database), "a server's journal is its administrator's"
    assert turn_over_journal(Database(kept.database.app_url, kept.database.owner_url, server))
    assert live_files_with(server.folder, wrapped, journal=True) == []


async def test_the_planner_samples_no_key(
    database: Database, tmp_path: Path, server: EmbeddedPostgres
) -> None:
    async with records(tmp_path / "data", database) as kept:
        with psycopg.connect(conninfo(database.owner_url or ""), autocommit=True) as owner:
            owner.execute("ANALYZE case_key")
            sampled = owner.execute(
                "SELECT attname FROM pg_stats WHERE tablename = 'case_key' AND histogram_bounds IS NOT NULL"
                " OR tablename = 'case_key' AND most_common_vals IS NOT NULL"
            ).fetchall()
        assert "wrapped" not in {row[0] for row in sampled}
        kept.wrapped()


async def test_a_key_that_an_older_snapshot_still_sees_is_not_called_cleared(kept: Records) -> None:
    with psycopg.connect(conninfo(kept.database.app_url)) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # A snapshot, and no lock on the table of keys.
        reader.execute("SELECT count(*) FROM site")
        await erase(kept.house, Order(kept.olga), kept.case)
        fault = await clear_keys(kept.house)
        assert fault is not None
        assert "older transaction" in fault
        (standing,) = await erasures_standing(kept.house, kept.case)
        assert standing.erasure.cleared_at is None
        assert standing.waits_for == "the table of keys to be rewritten"
        reader.rollback()
    assert await clear_keys(kept.house) is None


async def test_a_table_in_use_is_not_waited_for_long(kept: Records) -> None:
    with psycopg.connect(conninfo(kept.database.app_url)) as reader:
        reader.execute("SELECT count(*) FROM case_key")
        await erase(kept.house, Order(kept.olga), kept.case)
        fault = await clear_keys(kept.house)
        assert fault is not None
        assert "in use" in fault
    assert await clear_keys(kept.house) is None


# --- the list ---------------------------------------------------------------------------------------------------


def lines_of(kept: Records) -> list[bytes]:
    return kept.house.erasures.path.read_bytes().splitlines(keepends=True)


async def test_the_list_says_what_was_meant_and_then_what_was_done(kept: Records) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    listed = kept.house.erasures.read()
    assert listed is not None
    assert [(line.what, line.case) for line in listed.lines[1:]] == [
        (What.INTENDED, kept.case),
        (What.DONE, kept.case),
    ]
    assert b"made-up" not in kept.house.erasures.path.read_bytes()


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda lines: [lines[0], *lines[2:]], "does not follow"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "does not follow"),
        (lambda lines: [lines[0], lines[1], lines[1], *lines[2:]], "does not follow"),
        (lambda lines: lines[1:], "does not follow"),
        (lambda lines: [line.replace(b'"done"', b'"meant"') for line in lines], "not one that this installation"),
        (lambda lines: [line.replace(b"c_", b"c_a", 1) for line in lines], "not one that this installation"),
        (lambda lines: [*lines, b"{}\n"], "not one that this installation"),
        (lambda lines: [*lines, b"\n"], "not one that this installation"),
        (lambda lines: lines[:-1], "cut or replaced"),
        (lambda lines: lines[:2], "cut or replaced"),
    ],
    ids=["one-less", "swapped", "twice", "no-head", "changed", "renamed", "added", "empty", "cut", "cut-twice"],
)  # fmt: skip
async def test_an_edited_list_stops_the_start(
    tmp_path: Path, database: Database, edit: object, told: str
) -> None:
    async with records(tmp_path / "data", database) as kept:
        await erase(kept.house, Order(kept.olga), kept.case)
        lines = lines_of(kept)
        kept.house.erasures.path.write_bytes(b"".join(edit(lines)))  # type: ignore[operator]
    with pytest.raises(ConfigurationError, match=told) as refusal:
        async with a_house(tmp_path / "data", database, running=False):
            pass
    assert "restore the file from a copy" in str(refusal.value)


async def test_a_line_that_a_crash_cut_off_is_written_over(kept: Records) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    other = await a_case(kept.house, kept.client, "key-2", heart_rate=None)
    await kept.house.errands.finish(10)
    with kept.house.erasures.path.open("ab") as file:
        file.write(lines_of(kept)[1][:40])
    before = kept.house.erasures.read()
    assert before is not None
    after = kept.house.erasures.add(What.INTENDED, other, "aolga", kept.clock.now())
    assert after == kept.house.erasures.read()
    assert len(after.lines) == len(before.lines) + 1


async def test_another_hosts_list_is_filled_from_the_database(
    tmp_path: Path, database: Database, kept: Records
) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    other_host = tmp_path / "other"
    other_host.mkdir(mode=0o700)
    for name in ("keys", "checkpoint"):
        copy(kept.house.settings.data / name, other_host / name)
    await kept.house.sealer.round()
    async with a_house(other_host, database, running=False, settings=settings_in(other_host)) as second:
        listed = second.erasures.read()
        assert listed is not None
        assert listed.done == {kept.case}


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


# --- complete ---------------------------------------------------------------------------------------------------


async def test_it_is_complete_when_copies_have_expired_and_not_before(kept: Records) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    assert await complete_erasures(kept.house) == (), "its bytes may still stand in a live file"
    assert await clear_keys(kept.house) is None
    kept.clock.advance(timedelta(days=34))
    assert await complete_erasures(kept.house) == ()
    kept.clock.advance(timedelta(days=2))
    assert await complete_erasures(kept.house) == (kept.case,)
    assert await complete_erasures(kept.house) == ()
    assert (await types_of(kept.house, kept.case))[-2:] == ["case.erased", "erasure.completed"]
    assert (await view_case(kept.house, kept.client, kept.case)).erasure is Erasure.COMPLETE
    with pytest.raises(ErasedError):
        await reading.read_content(kept.house, kept.client, kept.case)
    await verify(kept.house)


async def test_what_a_killed_backup_left_half_written_holds_it_up_too(kept: Records, tmp_path: Path) -> None:
    backup = Backup("b1", str(tmp_path / "backup.age"), kept.clock.now(), kept.clock.now())
    Catalogue(kept.house.settings.data).begin(backup)
    await erase(kept.house, Order(kept.olga), kept.case)
    assert await clear_keys(kept.house) is None
    kept.clock.advance(timedelta(days=36))
    Path(backup.partial).write_bytes(b"sealed")
    assert await complete_erasures(kept.house) == ()
    Path(backup.partial).unlink()
    assert await complete_erasures(kept.house) == (kept.case,)


@pytest.mark.parametrize(("cut", "left"), [(0, 2), (1, 2), (2, 1), (20, 1)])
async def test_a_catalogue_that_ends_in_half_a_line_goes_on_after_the_last_whole_one(
    kept: Records, tmp_path: Path, cut: int, left: int
) -> None:
    catalogue, now = Catalogue(kept.house.settings.data), kept.clock.now()
    backups = [Backup(f"b{n}", str(tmp_path / str(n)), now, now) for n in range(3)]
    for backup in backups[:2]:
        catalogue.begin(backup)
    content = catalogue.path.read_bytes()
    catalogue.path.write_bytes(content[: len(content) - cut])
    assert catalogue.read() == tuple(backups[:left])
    catalogue.begin(backups[2])
    assert catalogue.read() == (*backups[:left], backups[2])


@pytest.mark.parametrize("began", [-1, 0, 1], ids=["before", "at the same moment", "after"])
async def test_a_backup_from_before_holds_it_up_until_it_has_expired_and_is_gone(
    kept: Records, tmp_path: Path, began: int
) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    assert await clear_keys(kept.house) is None
    (standing,) = await erasures_standing(kept.house, kept.case)
    cleared_at = standing.erasure.cleared_at
    assert cleared_at is not None
    file = tmp_path / "backup.age"
    file.write_bytes(b"sealed")
    begun_at = cleared_at + timedelta(seconds=began)
    Catalogue(kept.house.settings.data).begin(
        Backup("b1", str(file), begun_at, begun_at + timedelta(days=90))
    )
    kept.clock.advance(timedelta(days=36))
    if began > 0:
        assert await complete_erasures(kept.house) == (kept.case,)
        return
    assert await complete_erasures(kept.house) == ()
    kept.clock.advance(timedelta(days=60))
    assert await complete_erasures(kept.house) == ()
    (standing,) = await erasures_standing(kept.house, kept.case)
    assert standing.waits_for == f"the expired backup {file} to be deleted"
    file.unlink()
    assert await complete_erasures(kept.house) == (kept.case,)


async def test_a_damaged_catalogue_completes_nothing(kept: Records) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    assert await clear_keys(kept.house) is None
    kept.clock.advance(timedelta(days=36))
    Catalogue(kept.house.settings.data).path.write_text('{"what": "taken", "id": "nobody knows"}\n')
    with pytest.raises(ConfigurationError, match="line 1"):
        await complete_erasures(kept.house)
