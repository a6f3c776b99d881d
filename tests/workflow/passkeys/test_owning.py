"""Whose passkey is whose: what is added stands in the register, what was not asked for is not added."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from arbiter.audit.entry import Entry
from arbiter.errors import ConfigurationError, ConflictError, NotFoundError, RefusedError
from arbiter.model import ActorId
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.store.log.chains import load_entries
from arbiter.workflow import passkeys
from arbiter.workflow.passkeys import Place, WhyNot, place_of, why_not
from arbiter.workflow.register import By, disable_account, entered
from tests.houses import a_reviewer
from tests.passkeys import KINDS, PRESENT, SoftPasskey, text
from tests.workflow.passkeys.conftest import Clinic, add

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def register_of(clinic: Clinic, account: str) -> list[tuple[str, dict[str, Any]]]:
    """What the house's chain says of an account's passkeys."""
    async with clinic.house.store.read() as transaction:
        entries = [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, HOUSE_CHAIN)]
    told = [(entry.type, await entered(clinic.house, entry)) for entry in entries]
    return [
        (what, about)
        for what, about in told
        if about and "credential" in about and about["account"] == account
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_adding_and_removing_stand_in_the_register(clinic: Clinic, kind: str) -> None:
    house, who, passkey = (
        clinic.house,
        await a_reviewer(clinic.house, f"own-{kind.lower()}"),
        SoftPasskey(kind),
    )
    await add(house, who, passkey, " My phone ")
    (view,) = await passkeys.list_passkeys(house, who)
    assert (view.name, view.removed_at, view.synced) == ("My phone", None, False)
    assert await passkeys.usable(house, who)
    await passkeys.remove(house, who, view.id)
    await passkeys.remove(house, who, view.id)
    (gone,) = await passkeys.list_passkeys(house, who)
    assert gone.removed_at is not None
    same = {"account": who.id, "credential": view.id, "name": "My phone"}
    assert await register_of(clinic, who.id) == [
        ("passkey.added", same | {"public_key": text(passkey.cose), "rp_id": "localhost"}),
        ("passkey.removed", same),
    ]


async def test_a_passkey_that_is_copied_between_devices_is_told_as_such(clinic: Clinic) -> None:
    who = await a_reviewer(clinic.house, "synced")
    await add(clinic.house, who, SoftPasskey(), flags=0x1D)
    (view,) = await passkeys.list_passkeys(clinic.house, who)
    assert view.synced


@pytest.mark.parametrize(
    "lies",
    [
        {"flags": PRESENT},
        {"flags": 0},
        {"origin": "http://localhost:1"},
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"type": "webauthn.get"},
        {"cose": b"\xa1\x01\x02"},
    ],
    ids=str,
)
async def test_an_answer_that_does_not_check_out_adds_nothing(clinic: Clinic, lies: dict[str, Any]) -> None:
    who = await a_reviewer(clinic.house, f"liar-{abs(hash(str(lies)))}")
    with pytest.raises(RefusedError):
        await add(clinic.house, who, SoftPasskey(), **lies)
    assert await passkeys.list_passkeys(clinic.house, who) == ()
    assert await register_of(clinic, who.id) == []


async def test_an_answer_counts_once_and_for_whoever_was_asked(clinic: Clinic) -> None:
    house, one = clinic.house, await a_reviewer(clinic.house, "one")
    two = await a_reviewer(house, "two")
    options = await passkeys.ask_to_add(house, one, "key")
    answer = SoftPasskey().make(options)
    with pytest.raises(RefusedError, match="not asked for"):
        await passkeys.finish_adding(house, two, "key", answer)
    await passkeys.finish_adding(house, one, "key", answer)
    with pytest.raises(RefusedError, match="not asked for"):
        await passkeys.finish_adding(house, one, "key", answer)
    assert len(await passkeys.list_passkeys(house, one)) == 1
    assert await passkeys.list_passkeys(house, two) == ()


async def test_what_a_passkey_was_asked_to_sign_adds_none(clinic: Clinic) -> None:
    options = await passkeys.ask_to_sign(clinic.house, clinic.anna, b"f" * 32, clinic.clock.now())
    with pytest.raises(RefusedError, match="not asked for"):
        await passkeys.finish_adding(clinic.house, clinic.anna, "key", SoftPasskey().make(options))


async def test_an_answer_five_minutes_later_adds_nothing(clinic: Clinic) -> None:
    options = await passkeys.ask_to_add(clinic.house, clinic.ben, "late")
    clinic.clock.advance(timedelta(minutes=5))
    try:
        with pytest.raises(RefusedError, match="too late"):
            await passkeys.finish_adding(clinic.house, clinic.ben, "late", SoftPasskey().make(options))
    finally:
        clinic.clock.advance(-timedelta(minutes=5))


async def test_nobody_adds_a_colleagues_passkey_as_their_own(clinic: Clinic) -> None:
    with pytest.raises(ConflictError, match="registered already"):
        await add(clinic.house, clinic.ben, clinic.annas)


async def test_nobody_removes_a_colleagues_passkey(clinic: Clinic) -> None:
    (view, *_) = await passkeys.list_passkeys(clinic.house, clinic.anna)
    with pytest.raises(NotFoundError):
        await passkeys.remove(clinic.house, clinic.ben, view.id)
    with pytest.raises(NotFoundError):
        await passkeys.remove(clinic.house, clinic.ben, "")
    assert (await passkeys.list_passkeys(clinic.house, clinic.anna))[0].removed_at is None


async def test_a_disabled_account_gets_none(clinic: Clinic) -> None:
    who = await a_reviewer(clinic.house, "leaver")
    options = await passkeys.ask_to_add(clinic.house, who, "key")
    await disable_account(clinic.house, By(ActorId("operator")), who.id)
    with pytest.raises(NotFoundError):
        await passkeys.finish_adding(clinic.house, who, "key", SoftPasskey().make(options))
    assert await register_of(clinic, who.id) == []


async def test_an_account_has_ten_at_most(clinic: Clinic) -> None:
    who = await a_reviewer(clinic.house, "collector")
    for _ in range(10):
        await add(clinic.house, who, SoftPasskey("EdDSA"))
    with pytest.raises(RefusedError, match="too many"):
        await passkeys.ask_to_add(clinic.house, who, "key")
    (first, *_) = await passkeys.list_passkeys(clinic.house, who)
    await passkeys.remove(clinic.house, who, first.id)
    await passkeys.ask_to_add(clinic.house, who, "key")


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\nb", "a\x00b", "\u202eabc"])
async def test_an_unfit_name_is_refused(clinic: Clinic, name: str) -> None:
    with pytest.raises(RefusedError, match="name"):
        await passkeys.ask_to_add(clinic.house, clinic.anna, name)


@pytest.mark.parametrize(
    "answer", ["", "{}", "[]", "null", '{"response": {}}', '{"response": {"clientDataJSON": "e30"}}']
)
async def test_what_no_browser_sends_adds_nothing(clinic: Clinic, answer: str) -> None:
    with pytest.raises(RefusedError):
        await passkeys.finish_adding(clinic.house, clinic.anna, "key", answer)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE passkey SET public_key = '\\x00'",
        "UPDATE passkey SET account_id = 'a'",
        "UPDATE passkey SET entry_seq = 0",
        "DELETE FROM passkey",
        "UPDATE passkey_request SET account_id = 'a'",
    ],
)
async def test_the_service_itself_cannot_make_a_passkey_anothers(
    clinic: Clinic, module_database: Database, statement: str
) -> None:
    with (
        psycopg.connect(module_database.conninfo) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


# --- where they work ------------------------------------------------------------------------------------------------


def settings(url: str | None, mode: Mode = Mode.PRODUCTION) -> Settings:
    return Settings(mode=mode, public_url=url)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (
            "https://arbiter.hospital.example",
            Place("arbiter.hospital.example", "https://arbiter.hospital.example"),
        ),
        (
            "https://Arbiter.Hospital.example:443/x",
            Place("arbiter.hospital.example", "https://arbiter.hospital.example"),
        ),
        ("https://arbiter.example:8443", Place("arbiter.example", "https://arbiter.example:8443")),
        ("http://localhost:8400", Place("localhost", "http://localhost:8400")),
    ],
)
async def test_passkeys_are_for_the_host_of_the_pages(url: str, place: Place) -> None:
    assert place_of(settings(url)) == place


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (None, WhyNot.NO_ADDRESS),
        ("https://192.0.2.7", WhyNot.NUMBER),
        ("https://[2001:db8::1]:8400", WhyNot.NUMBER),
        ("http://127.0.0.1:8400", WhyNot.NUMBER),
        ("https://3221225991", WhyNot.NUMBER),
        ("http://arbiter.example", WhyNot.INSECURE),
        ("http://localhost.evil.example", WhyNot.INSECURE),
        ("https://arbiter_1.example", WhyNot.UNFIT),
        ("https://klinik-münchen.example", WhyNot.UNFIT),
    ],
)
async def test_elsewhere_they_do_not_work_and_it_is_said_why(url: str | None, why: WhyNot) -> None:
    assert why_not(settings(url)) is why
    with pytest.raises(ConfigurationError, match="passkeys need"):
        place_of(settings(url))


async def test_a_demonstration_without_an_address_has_them_on_localhost() -> None:
    assert place_of(settings(None, Mode.DEMONSTRATION)) == Place("localhost", "http://localhost:8400")
