"""An administrator unlocks an account and replaces a password; what was open under the old one ends."""

from __future__ import annotations

from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from arbiter.errors import NotFoundError, RefusedError, UnauthenticatedError
from arbiter.identity import accounts
from arbiter.identity.accounts import (
    LOCK_FOR,
    MOST_FAILURES,
    authenticate,
    check_account,
    create_account,
    disable_account,
    find_account,
    set_password,
    unlock_account,
)
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sessions import open_session, resume
from arbiter.store.identities import Identities
from arbiter.store.sessions import Sessions
from tests.conftest import SeededChance, SettableClock

OLD = "correct horse battery"
NEW = "another horse entirely"


@pytest.fixture
async def reviewer(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str
) -> Principal:
    return await create_account(
        identities, clock, chance, "dr.osler", "Dr Osler", OLD, [Role.REVIEWER], [ward]
    )


async def fail(identities: Identities, clock: SettableClock, times: int = MOST_FAILURES) -> None:
    for _ in range(times):
        with pytest.raises(UnauthenticatedError):
            await authenticate(identities, clock, "dr.osler", "wrong horse battery")


async def refused(identities: Identities, clock: SettableClock, password: str) -> None:
    with pytest.raises(UnauthenticatedError):
        await authenticate(identities, clock, "dr.osler", password)


async def test_an_unlocked_account_lets_its_owner_in_at_once(
    identities: Identities, clock: SettableClock, reviewer: Principal
) -> None:
    await fail(identities, clock)
    await refused(identities, clock, OLD)
    await unlock_account(identities, reviewer.id)
    assert await authenticate(identities, clock, "dr.osler", OLD) == reviewer


async def test_unlocking_begins_the_count_anew(
    identities: Identities, clock: SettableClock, reviewer: Principal
) -> None:
    await fail(identities, clock, MOST_FAILURES - 1)
    await unlock_account(identities, reviewer.id)
    await fail(identities, clock, MOST_FAILURES - 1)
    assert await authenticate(identities, clock, "dr.osler", OLD) == reviewer


async def test_what_is_found_tells_lock_failures_and_sessions(
    identities: Identities,
    sessions: Sessions,
    clock: SettableClock,
    chance: SeededChance,
    reviewer: Principal,
) -> None:
    await open_session(sessions, clock, chance, reviewer)
    await fail(identities, clock, 3)
    standing = await find_account(identities, " Dr.Osler ")
    assert (standing.failed_logins, standing.locked_until, standing.sessions) == (3, None, 1)
    await fail(identities, clock, MOST_FAILURES - 3)
    standing = await find_account(identities, reviewer.id)
    assert (standing.failed_logins, standing.locked_until) == (0, clock.now() + LOCK_FOR)
    assert standing.account.login == "dr.osler"


async def test_an_id_is_found_before_a_login_that_reads_like_it(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str, reviewer: Principal
) -> None:
    await create_account(
        identities, clock, chance, str(reviewer.id), "Impostor", OLD, [Role.REVIEWER], [ward]
    )
    assert (await find_account(identities, reviewer.id)).account.login == "dr.osler"


async def test_a_new_password_replaces_the_old_one(
    identities: Identities, clock: SettableClock, chance: SeededChance, reviewer: Principal
) -> None:
    found = (await find_account(identities, "dr.osler")).account
    await set_password(identities, chance, found, NEW)
    await refused(identities, clock, OLD)
    assert await authenticate(identities, clock, "dr.osler", NEW) == reviewer


async def test_a_new_password_ends_open_sessions_and_the_lock(
    identities: Identities,
    sessions: Sessions,
    clock: SettableClock,
    chance: SeededChance,
    reviewer: Principal,
) -> None:
    _, token = await open_session(sessions, clock, chance, reviewer)
    await fail(identities, clock)
    found = (await find_account(identities, "dr.osler")).account
    await set_password(identities, chance, found, NEW)
    with pytest.raises(UnauthenticatedError):
        await resume(sessions, clock, token)
    assert await authenticate(identities, clock, "dr.osler", NEW) == reviewer


async def test_a_new_password_leaves_other_peoples_sessions_open(
    identities: Identities,
    sessions: Sessions,
    clock: SettableClock,
    chance: SeededChance,
    ward: str,
    reviewer: Principal,
) -> None:
    other = await create_account(identities, clock, chance, "eve", "Eve", OLD, [Role.REVIEWER], [ward])
    _, token = await open_session(sessions, clock, chance, other)
    await set_password(identities, chance, (await find_account(identities, "dr.osler")).account, NEW)
    assert (await resume(sessions, clock, token)).principal == other


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 257])
async def test_an_unfit_new_password_changes_nothing(
    identities: Identities, clock: SettableClock, chance: SeededChance, reviewer: Principal, password: str
) -> None:
    found = (await find_account(identities, "dr.osler")).account
    with pytest.raises(RefusedError, match="12 to 256 characters"):
        await set_password(identities, chance, found, password)
    assert await authenticate(identities, clock, "dr.osler", OLD) == reviewer


async def test_the_login_is_no_new_password_either(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str
) -> None:
    await create_account(identities, clock, chance, "dr.william.osler", "Dr", OLD, [Role.REVIEWER], [ward])
    found = (await find_account(identities, "dr.william.osler")).account
    with pytest.raises(RefusedError, match="the password is the login"):
        await set_password(identities, chance, found, "Dr.William.Osler")


async def test_a_log_in_under_way_does_not_survive_the_change_of_its_password(
    identities: Identities,
    clock: SettableClock,
    chance: SeededChance,
    reviewer: Principal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old password is proven, then replaced before the log-in ends: neither the log-in nor its rehash may win."""
    found = (await find_account(identities, "dr.osler")).account
    end_login = identities.end_login

    async def changed_meanwhile(account_id: str, proven_hash: str, new_hash: str | None) -> bool:
        await set_password(identities, chance, found, NEW)
        return await end_login(account_id, proven_hash, new_hash)

    monkeypatch.setattr(identities, "end_login", changed_meanwhile)
    # Other parameters than those of the stored hash: this log-in would keep the old password under these.
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    await refused(identities, clock, OLD)
    monkeypatch.undo()
    await refused(identities, clock, OLD)
    assert await authenticate(identities, clock, "dr.osler", NEW) == reviewer


async def test_a_disabled_account_is_neither_unlocked_nor_given_a_password(
    identities: Identities, clock: SettableClock, chance: SeededChance, reviewer: Principal
) -> None:
    found = (await find_account(identities, "dr.osler")).account
    await disable_account(identities, clock, reviewer.id)
    with pytest.raises(NotFoundError, match="no active account"):
        await unlock_account(identities, reviewer.id)
    with pytest.raises(NotFoundError, match="no active account"):
        await set_password(identities, chance, found, NEW)
    clock.advance(timedelta(hours=1))
    await refused(identities, clock, OLD)


@pytest.mark.parametrize("name", ["", "nobody", "dr.osle%", "a" + "b" * 16])
async def test_nobody_is_found_under_another_name(
    identities: Identities, reviewer: Principal, name: str
) -> None:
    with pytest.raises(NotFoundError, match="no account"):
        await find_account(identities, name)


@pytest.mark.parametrize(
    ("login", "name", "roles", "sites", "said"),
    [
        ("with space", "Dr", [Role.REVIEWER], ["ward"], "a login is"),
        ("new", "", [Role.REVIEWER], ["ward"], "name"),
        ("new", "Dr", [], ["ward"], "at least one role"),
        ("new", "Dr", [Role.INTEGRATION_CLIENT], ["ward"], "expected roles among"),
        ("new", "Dr", [Role.REVIEWER, Role.AUDITOR], ["ward"], "nobody holds both"),
        ("new", "Dr", [Role.REVIEWER], [], "at least one site"),
        ("new", "Dr", [Role.REVIEWER], ["nowhere"], "no such site: nowhere"),
    ],
)
async def test_what_does_not_fit_is_told_before_a_password_is_asked_for(
    identities: Identities, ward: str, login: str, name: str, roles: list[Role], sites: list[str], said: str
) -> None:
    with pytest.raises(RefusedError, match=said):
        await check_account(identities, login, name, roles, sites)
