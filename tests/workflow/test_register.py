"""Who may do what changes with the log's entry about it or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from arbiter.audit.entry import Entry, verify_chain
from arbiter.errors import (
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    StaleStateError,
    UnauthenticatedError,
    UnavailableError,
    VerificationError,
)
from arbiter.identity import accounts
from arbiter.identity.accounts import LOCK_FOR, MOST_FAILURES, authenticate, find_account
from arbiter.identity.clients import authenticate_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission, Role
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents
from arbiter.store.identities import CLIENT_MEMORY
from arbiter.store.log.chains import load_entries
from arbiter.workflow import register
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.register import By, administrator, entered, operator
from tests.conftest import an_insider
from tests.houses import PASSWORD, SITE, ShiftableClock, a_client, a_house, a_reviewer

CARLA = By(register.OPERATOR, 1000)
OTHER = "another horse entirely"


@pytest.fixture(autouse=True)
def fast_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    async with a_house(tmp_path / "data", database, ShiftableClock(), running=False) as opened:
        yield opened


async def chain(house: House) -> list[tuple[Entry, dict[str, Any] | None]]:
    async with house.store.read() as transaction:
        entries = [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, HOUSE_CHAIN)]
    if entries:
        verify_chain(entries)
    return [(entry, await entered(house, entry)) for entry in entries]


async def told(house: House) -> list[tuple[str, str, dict[str, Any] | None]]:
    return [(entry.type, entry.actor, about) for entry, about in await chain(house)]


def sets(before: list[str], after: list[str]) -> dict[str, list[str]]:
    return {"before": before, "after": after}


# --- what is entered ----------------------------------------------------------------------------------------------------


async def test_an_accounts_whole_life_stands_in_the_log(house: House) -> None:
    await register.add_site(house, CARLA, "south", "South Hospital")
    anna = await register.make_account(
        house, CARLA, "Anna", "Anna Example", PASSWORD, [Role.REVIEWER], [SITE]
    )
    by = By(anna.id)
    await register.change_account(house, by, anna.id, [Role.AUDITOR], None)
    await register.change_account(house, by, anna.id, None, [SITE, "south"])
    await register.set_password(house, by, (await find_account(house.identities, "anna")).account, OTHER)
    await register.unlock_account(house, by, anna.id)
    await register.disable_account(house, by, anna.id)
    machine = {"machine_user": 1000}
    held = {"roles": sets(["auditor"], ["auditor"]), "sites": sets([SITE, "south"], [SITE, "south"])}
    assert await told(house) == [
        ("site.added", "operator", {"site": "south", "name": "South Hospital", **machine}),
        (
            "account.made",
            "operator",
            {
                "account": anna.id,
                "login": "anna",
                "name": "Anna Example",
                "roles": sets([], ["reviewer"]),
                "sites": sets([], [SITE]),
                **machine,
            },
        ),
        (
            "account.changed",
            anna.id,
            {
                "account": anna.id,
                "roles": sets(["reviewer"], ["auditor"]),
                "sites": sets([SITE], [SITE]),
            },
        ),
        (
            "account.changed",
            anna.id,
            {
                "account": anna.id,
                "roles": sets(["auditor"], ["auditor"]),
                "sites": sets([SITE], [SITE, "south"]),
            },
        ),
        ("account.password-set", anna.id, {"account": anna.id, **held}),
        ("account.unlocked", anna.id, {"account": anna.id, **held}),
        (
            "account.disabled",
            anna.id,
            {"account": anna.id, "roles": sets(["auditor"], []), "sites": sets([SITE, "south"], [])},
        ),
    ]
    # Sealed by the time each of them returned, and a part of a log that verifies.
    assert (await verify_log(house, None)).entries == 7


async def test_a_clients_whole_life_stands_in_the_log(house: House) -> None:
    made, token = await register.register_client(
        house, CARLA, "lab", [Role.INTEGRATION_CLIENT], [SITE], expires_after=timedelta(days=30)
    )
    second = await register.rotate_client(house, CARLA, made.id)
    await register.disable_client(house, CARLA, made.id)
    kinds = [
        (kind, about and about["client"], about and about["roles"]) for kind, _, about in await told(house)
    ]
    held = ["integration-client"]
    assert kinds == [
        ("client.registered", made.id, sets([], held)),
        ("client.rotated", made.id, sets(held, held)),
        ("client.disabled", made.id, sets(held, [])),
    ]
    assert "expires" in ((await told(house))[0][2] or {})
    assert token != second


async def test_a_rotated_token_replaces_the_old_one(house: House) -> None:
    made, token = await a_client(house)
    assert (await authenticate_client(house.identities, house.clock, token)).id == made.id
    second = await register.rotate_client(house, CARLA, made.id)
    clock = house.clock
    assert isinstance(clock, ShiftableClock)
    clock.advance(CLIENT_MEMORY)
    assert (await authenticate_client(house.identities, house.clock, second)).id == made.id
    with pytest.raises(UnauthenticatedError):
        await authenticate_client(house.identities, house.clock, token)


async def test_changed_roles_are_what_the_account_has_from_then_on(house: House) -> None:
    anna = await a_reviewer(house)
    await register.change_account(house, CARLA, anna.id, [Role.AUDITOR], None)
    now = await authenticate(house.identities, house.clock, "anna", PASSWORD)
    assert (set(now.roles), set(now.sites)) == ({Role.AUDITOR}, {SITE})


async def test_the_lock_that_wrong_passwords_bring_is_entered_once_and_failures_are_not(house: House) -> None:
    anna = await a_reviewer(house)
    clock = house.clock
    assert isinstance(clock, ShiftableClock)
    for _ in range(MOST_FAILURES + 3):
        with pytest.raises(UnauthenticatedError):
            await authenticate(house.identities, clock, "anna", OTHER)
        with pytest.raises(UnauthenticatedError):
            await authenticate(house.identities, clock, "nobody", OTHER)
    ((kind, actor, about),) = await told(house)
    assert (kind, actor, about and about["account"]) == ("account.locked", "arbiter", anna.id)
    clock.advance(LOCK_FOR)
    await authenticate(house.identities, clock, "anna", PASSWORD)
    assert [kind for kind, _, _ in await told(house)] == ["account.locked"], (
        "a lock that ends by itself is no change"
    )


async def test_a_right_password_that_ends_a_lock_of_others_making_is_entered_too(house: House) -> None:
    anna = await a_reviewer(house)
    for _ in range(MOST_FAILURES - 1):
        with pytest.raises(UnauthenticatedError):
            await authenticate(house.identities, house.clock, "anna", OTHER)
    await authenticate(house.identities, house.clock, "anna", PASSWORD)
    assert [(kind, actor) for kind, actor, _ in await told(house)] == [
        ("account.locked", "arbiter"),
        ("account.unlocked", anna.id),
    ]


async def test_nothing_secret_is_in_what_is_entered(house: House) -> None:
    anna = await register.make_account(house, CARLA, "anna", "Anna", PASSWORD, [Role.REVIEWER], [SITE])
    account = (await find_account(house.identities, anna.id)).account
    await register.set_password(house, CARLA, account, OTHER)
    changed = (await find_account(house.identities, anna.id)).account
    _, token = await register.register_client(house, CARLA, "lab", [Role.INTEGRATION_CLIENT], [SITE])
    second = await register.rotate_client(house, CARLA, token.split("_")[1])
    (row,) = await house.identities.clients()
    async with house.store.read() as transaction:
        kept = b"".join(d.content for d in await load_house_documents(transaction, HOUSE_CHAIN))
        bodies = b"".join(body for _, body, _ in await load_entries(transaction, HOUSE_CHAIN))
    secrets = [PASSWORD, OTHER, account.password_hash, changed.password_hash, row.secret_hash.hex()]
    for secret in [*secrets, token.split("_", 2)[2], second.split("_", 2)[2]]:
        assert secret.encode() not in kept + bodies
    for name in (b"Anna", b"anna", b"lab"):
        assert name in kept
        assert name not in bodies, "names are in the documents alone"


# --- one transaction ----------------------------------------------------------------------------------------------------

Change = Callable[[House, Principal, Principal], Awaitable[object]]
CHANGES: dict[str, Change] = {
    "make": lambda h, *_: register.make_account(h, CARLA, "b", "B", PASSWORD, [Role.REVIEWER], [SITE]),
    "change": lambda h, a, _: register.change_account(h, CARLA, a.id, [Role.AUDITOR], None),
    "disable": lambda h, a, _: register.disable_account(h, CARLA, a.id),
    "unlock": lambda h, a, _: register.unlock_account(h, CARLA, a.id),
    "register": lambda h, *_: register.register_client(h, CARLA, "lab", [Role.AUDITOR], [SITE]),
    "disable client": lambda h, _, c: register.disable_client(h, CARLA, c.id),
    "rotate": lambda h, _, c: register.rotate_client(h, CARLA, c.id),
    "site": lambda h, *_: register.add_site(h, CARLA, "south", "South"),
}


async def standing(house: House) -> object:
    identities = house.identities
    found = [await identities.account_standing(row.id) for row in await identities.accounts()]
    return found, await identities.clients(), await identities.sites()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_cannot_be_entered_does_not_happen(
    house: House, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, (client, _) = await a_reviewer(house), await a_client(house)
    with pytest.raises(UnauthenticatedError):
        await authenticate(house.identities, house.clock, "anna", OTHER)
    before = await standing(house)

    async def full(*_: object) -> int:
        raise StaleStateError("others kept being first")

    with monkeypatch.context() as patch:
        patch.setattr(register, "note_in_house", full)
        with pytest.raises(StaleStateError):
            await change(house, anna, client)
    assert await standing(house) == before
    assert await told(house) == []
    # The same change goes through once it can be entered: the refusal was no other one.
    await change(house, anna, client)
    assert await standing(house) != before
    assert len(await told(house)) == 1


async def test_a_lock_that_cannot_be_entered_lets_nobody_in(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_reviewer(house)

    async def full(*_: object) -> int:
        raise StaleStateError("others kept being first")

    for _ in range(MOST_FAILURES - 1):
        with pytest.raises(UnauthenticatedError):
            await authenticate(house.identities, house.clock, "anna", OTHER)
    with monkeypatch.context() as patch:
        patch.setattr(register, "note_in_house", full)
        with pytest.raises(StaleStateError):
            await authenticate(house.identities, house.clock, "anna", PASSWORD)
    assert (await find_account(house.identities, "anna")).locked_until is None


async def test_what_is_refused_is_not_entered(house: House) -> None:
    anna = await a_reviewer(house)
    account = (await find_account(house.identities, "anna")).account
    refused: list[tuple[type[Exception], Awaitable[object]]] = [
        (ConflictError, register.make_account(house, CARLA, "anna", "A", PASSWORD, [Role.REVIEWER], [SITE])),
        (RefusedError, register.make_account(house, CARLA, "ben", "B", "short", [Role.REVIEWER], [SITE])),
        (RefusedError, register.change_account(house, CARLA, anna.id, [Role.INTEGRATION_CLIENT], None)),
        (RefusedError, register.change_account(house, CARLA, anna.id, None, ["nowhere"])),
        (RefusedError, register.change_account(house, CARLA, anna.id, [], None)),
        (RefusedError, register.change_account(house, CARLA, anna.id, [Role.REVIEWER, Role.AUDITOR], None)),
        (RefusedError, register.set_password(house, CARLA, account, "anna")),
        (NotFoundError, register.disable_account(house, CARLA, "anobody")),
        (NotFoundError, register.unlock_account(house, CARLA, "anobody")),
        (NotFoundError, register.change_account(house, CARLA, "anobody", [Role.REVIEWER], None)),
        (NotFoundError, register.disable_client(house, CARLA, "cnobody")),
        (NotFoundError, register.rotate_client(house, CARLA, "cnobody")),
        (RefusedError, register.register_client(house, CARLA, "lab", [Role.REVIEWER], [SITE])),
        (ConflictError, register.add_site(house, CARLA, SITE, "Again")),
        (RefusedError, register.add_site(house, CARLA, "North!", "N")),
    ]
    before = await standing(house)
    for expected, attempt in refused:
        with pytest.raises(expected):
            await attempt
    assert await standing(house) == before
    assert await told(house) == []


@pytest.mark.parametrize(
    "error",
    [ConfigurationError("the PIN's file is open to others"), UnavailableError("away"), OSError("full")],
)
async def test_what_was_changed_is_told_of_although_it_cannot_be_sealed(
    house: House, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A client's old token is refused by then: the new one would be lost with the error."""
    made, _ = await a_client(house)

    async def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(house.sealer), "round", fails)
    token = await register.rotate_client(house, CARLA, made.id)
    assert (await authenticate_client(house.identities, house.clock, token)).id == made.id
    assert [kind for kind, _, _ in await told(house)] == ["client.rotated"]


async def test_many_at_once_are_all_entered(house: House) -> None:
    made = await asyncio.gather(
        *(
            register.make_account(house, CARLA, f"p{n}", f"P {n}", PASSWORD, [Role.REVIEWER], [SITE])
            for n in range(4)
        )
    )
    assert {about["account"] for _, _, about in await told(house) if about} == {each.id for each in made}


# --- who ----------------------------------------------------------------------------------------------------------------


async def test_only_an_administrator_stands_in_an_entry_as_one(house: House) -> None:
    anna = await a_reviewer(house)
    carla = await register.make_account(
        house, operator(), "carla", "Carla", PASSWORD, [Role.ADMINISTRATOR], [SITE]
    )
    for permission in (Permission.ADMIN_ACCOUNTS, Permission.ADMIN_CLIENTS):
        assert administrator(carla, permission).id == carla.id
        with pytest.raises(ForbiddenError):
            administrator(anna, permission)


async def test_a_document_that_somebody_changed_is_not_shown(
    house: House, server: EmbeddedPostgres, database: Database
) -> None:
    await a_reviewer(house)
    anna = (await find_account(house.identities, "anna")).account
    await register.change_account(house, CARLA, anna.id, [Role.AUDITOR], None)
    ((entry, about),) = await chain(house)
    assert about is not None
    with an_insider(server, database) as insider:
        insider.execute("ALTER TABLE house_document DISABLE TRIGGER USER")
        insider.execute(
            "UPDATE house_document SET content = replace(convert_from(content, 'UTF8'), 'auditor', 'reviewer')::bytea"
        )
    with pytest.raises(VerificationError):
        await entered(house, entry)
