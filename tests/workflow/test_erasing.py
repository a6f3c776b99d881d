"""An erased case is unreadable by every road; what must not be erased is refused; and the log verifies after it all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from arbiter.documents.canonical import decode
from arbiter.errors import (
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
from arbiter.store.cases.contents import load_documents
from arbiter.store.database import Database, conninfo
from arbiter.store.house_chain import load_house_documents
from arbiter.workflow import intake, reading
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.closing import contest
from arbiter.workflow.erasure.clearing import (
    settle_erasures,
)
from arbiter.workflow.erasure.erasing import Order, erase, hold, lift_hold, note_list
from arbiter.workflow.erasure.erasure_list import What
from arbiter.workflow.glass import break_glass
from arbiter.workflow.house import House
from arbiter.workflow.reading import view_case
from arbiter.workflow.review import signed_case
from arbiter.workflow.subjects import SubjectRef, search
from tests.houses import a_reviewer, submission, types_of
from tests.workflow.erasures import (
    Records,
    an_officer,
    records,
    verify,
)
from tests.workflow.post import EXCLUDED, a_case


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
