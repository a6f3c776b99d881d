"""People: passwords are checked, guessing is stopped, and nothing tells which logins exist."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from unittest.mock import Mock

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from argon2.profiles import RFC_9106_LOW_MEMORY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from arbiter.errors import ConflictError, NotFoundError, RefusedError, UnauthenticatedError
from arbiter.identity import accounts
from arbiter.identity.accounts import (
    LOCK_FOR,
    MOST_FAILURES,
    authenticate,
    create_account,
    disable_account,
    list_accounts,
)
from arbiter.identity.principals import Principal
from arbiter.identity.roles import ROLES, Role
from arbiter.store.identities import Identities
from tests.conftest import SeededChance, SettableClock

PASSWORD = "correct horse battery"
REFUSAL = "login or password is wrong, or the account is locked"


@pytest.fixture
async def reviewer(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str
) -> Principal:
    return await create_account(
        identities, clock, chance, "dr.osler", "Dr Osler", PASSWORD, [Role.REVIEWER], [ward]
    )


async def fail(identities: Identities, clock: SettableClock, times: int, login: str = "dr.osler") -> None:
    for _ in range(times):
        with pytest.raises(UnauthenticatedError, match=REFUSAL):
            await authenticate(identities, clock, login, "wrong horse battery")


async def stored_hash(engine: AsyncEngine) -> str:
    async with engine.connect() as connection:
        return str((await connection.execute(text("SELECT password_hash FROM account"))).scalar_one())


async def test_login_and_password_prove_the_account(
    identities: Identities, clock: SettableClock, reviewer: Principal
) -> None:
    assert await authenticate(identities, clock, " Dr.Osler ", PASSWORD) == reviewer
    assert reviewer.kind == "account"
    assert reviewer.permissions == ROLES[Role.REVIEWER]


def test_the_parameters_are_those_of_rfc_9106() -> None:
    """The RFC's second recommendation, as argon2-cffi ships it; the module's hasher is made with the defaults."""
    assert RFC_9106_LOW_MEMORY.type is Type.ID
    defaults = extract_parameters(PasswordHasher().hash("x"))
    assert (defaults.type, defaults.memory_cost, defaults.time_cost, defaults.parallelism) == (
        Type.ID,
        RFC_9106_LOW_MEMORY.memory_cost,
        RFC_9106_LOW_MEMORY.time_cost,
        RFC_9106_LOW_MEMORY.parallelism,
    )


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("dr.osler", "correct horse batter"),
        ("dr.osler", "Correct horse battery"),
        ("dr.osler", ""),
        ("dr.osler", PASSWORD + "\x00"),
        ("dr.osler", PASSWORD * 1000),
        ("dr.osler", "\ud800" * 12),
        ("dr.galen", PASSWORD),
        ("", PASSWORD),
        ("dr.osler\x00", PASSWORD),
        ("dr.osler' --", PASSWORD),
        ("\ud800", PASSWORD),
        ("x" * 1_000_000, PASSWORD),
    ],
)
async def test_anything_else_is_refused_with_the_same_words(
    identities: Identities, clock: SettableClock, reviewer: Principal, login: str, password: str
) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        await authenticate(identities, clock, login, password)
    assert str(caught.value) == REFUSAL


async def test_every_refusal_costs_one_verification(
    identities: Identities, clock: SettableClock, reviewer: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted rather than timed: known, unknown, malformed, locked and disabled logins all pay the same."""
    spy = Mock(wraps=accounts._verify)
    monkeypatch.setattr(accounts, "_verify", spy)
    for login in ("dr.osler", "dr.galen", "not a login!", ""):
        spy.reset_mock()
        await fail(identities, clock, 1, login)
        assert spy.call_count == 1, login
    await fail(identities, clock, MOST_FAILURES)
    spy.reset_mock()
    await fail(identities, clock, 1)
    assert spy.call_count == 1
    await disable_account(identities, clock, reviewer.id)
    clock.advance(LOCK_FOR)
    spy.reset_mock()
    await fail(identities, clock, 1)
    assert spy.call_count == 1


async def test_nobody_logs_in_with_the_password_of_nobody(
    identities: Identities, clock: SettableClock, reviewer: Principal
) -> None:
    with pytest.raises(UnauthenticatedError):
        await authenticate(identities, clock, "dr.galen", "the password of nobody")


async def test_ten_failures_lock_out_even_the_right_password(
    identities: Identities, clock: SettableClock, reviewer: Principal
) -> None:
    await fail(identities, clock, MOST_FAILURES)
    with pytest.raises(UnauthenticatedError):
        await authenticate(identities, clock, "dr.osler", PASSWORD)
    clock.advance(LOCK_FOR - timedelta(microseconds=1))
    with pytest.raises(UnauthenticatedError):
        await authenticate(identities, clock, "dr.osler", PASSWORD)
    clock.advance(timedelta(microseconds=1))
    assert await authenticate(identities, clock, "dr.osler", PASSWORD) == reviewer


async def test_nine_failures_do_not_lock_and_success_clears_them(
    identities: Identities, clock: SettableClock, reviewer: Principal
) -> None:
    for _ in range(3):
        await fail(identities, clock, MOST_FAILURES - 1)
        assert await authenticate(identities, clock, "dr.osler", PASSWORD) == reviewer


async def test_trying_while_locked_does_not_prolong_the_lock(
    identities: Identities, clock: SettableClock, reviewer: Principal
) -> None:
    await fail(identities, clock, MOST_FAILURES)
    clock.advance(LOCK_FOR / 2)
    await fail(identities, clock, MOST_FAILURES)
    clock.advance(LOCK_FOR / 2)
    assert await authenticate(identities, clock, "dr.osler", PASSWORD) == reviewer


async def test_after_a_lock_the_next_ten_failures_lock_again(
    identities: Identities, clock: SettableClock, reviewer: Principal
) -> None:
    await fail(identities, clock, MOST_FAILURES)
    clock.advance(LOCK_FOR)
    await fail(identities, clock, MOST_FAILURES)
    with pytest.raises(UnauthenticatedError):
        await authenticate(identities, clock, "dr.osler", PASSWORD)


async def test_parallel_guesses_do_not_outrun_the_lock(
    identities: Identities, clock: SettableClock, reviewer: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    against_the_account: list[bytes] = []

    def verify(stored: str | None, text: bytes) -> bool:
        if stored is not None:
            against_the_account.append(text)
        return False

    monkeypatch.setattr(accounts, "_verify", verify)
    guesses = [authenticate(identities, clock, "dr.osler", f"guess number {n}") for n in range(40)]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert all(isinstance(result, UnauthenticatedError) for result in results)
    assert len(against_the_account) == MOST_FAILURES


async def test_a_lock_is_for_one_account_alone(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str, reviewer: Principal
) -> None:
    other = await create_account(
        identities, clock, chance, "dr.snow", "Dr Snow", PASSWORD, [Role.REVIEWER], [ward]
    )
    await fail(identities, clock, MOST_FAILURES)
    assert await authenticate(identities, clock, "dr.snow", PASSWORD) == other


async def test_a_disabled_account_is_refused(
    identities: Identities, clock: SettableClock, reviewer: Principal
) -> None:
    await disable_account(identities, clock, reviewer.id)
    with pytest.raises(UnauthenticatedError, match=REFUSAL):
        await authenticate(identities, clock, "dr.osler", PASSWORD)
    with pytest.raises(NotFoundError):
        await disable_account(identities, clock, reviewer.id)
    with pytest.raises(NotFoundError):
        await disable_account(identities, clock, "anobody")


async def test_a_password_is_hashed_anew_when_the_parameters_grow(
    engine: AsyncEngine,
    identities: Identities,
    clock: SettableClock,
    reviewer: Principal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = await stored_hash(engine)
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    await fail(identities, clock, 1)
    assert await stored_hash(engine) == before
    await authenticate(identities, clock, "dr.osler", PASSWORD)
    assert extract_parameters(await stored_hash(engine)).memory_cost == 16
    assert await authenticate(identities, clock, "dr.osler", PASSWORD) == reviewer


async def test_a_password_typed_with_combining_characters_is_the_same(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str
) -> None:
    composed, decomposed = "caf\u00e9 au lait s'il", "cafe\u0301 au lait s'il"
    await create_account(identities, clock, chance, "rene", "Ren\u00e9", composed, [Role.REVIEWER], [ward])
    await authenticate(identities, clock, "rene", decomposed)


async def test_the_password_is_nowhere_in_the_row(engine: AsyncEngine, reviewer: Principal) -> None:
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT * FROM account"))).one()
    assert row.password_hash.startswith("$argon2id$")
    assert PASSWORD not in repr(row)


@pytest.mark.parametrize("password", ["", "short", "eleven char", "x" * 257])
async def test_an_unfit_password_is_refused(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str, password: str
) -> None:
    with pytest.raises(RefusedError, match=f"12 to 256 characters, came {len(password)}"):
        await create_account(identities, clock, chance, "dr", "Dr", password, [Role.REVIEWER], [ward])


async def test_the_login_as_password_is_refused(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str
) -> None:
    with pytest.raises(RefusedError, match="the password is the login"):
        await create_account(
            identities, clock, chance, "dr.william.osler", "Dr", "Dr.William.Osler", [Role.REVIEWER], [ward]
        )


@pytest.mark.parametrize("login", ["", "with space", "-dash", "x" * 65, "null\x00", "\u00fcber"])
async def test_an_unfit_login_is_refused(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str, login: str
) -> None:
    with pytest.raises(RefusedError, match="a login is"):
        await create_account(identities, clock, chance, login, "Dr", PASSWORD, [Role.REVIEWER], [ward])


async def test_a_login_is_taken_once_whatever_its_case(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str, reviewer: Principal
) -> None:
    with pytest.raises(ConflictError, match=r"login dr\.osler exists already"):
        await create_account(identities, clock, chance, "DR.Osler", "Dr", PASSWORD, [Role.REVIEWER], [ward])


@pytest.mark.parametrize(
    "roles",
    [
        [],
        [Role.INTEGRATION_CLIENT],
        [Role.REVIEWER, Role.AUDITOR],
        [Role.POLICY_AUTHOR, Role.POLICY_APPROVER],
    ],
)
async def test_unfit_roles_are_refused(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str, roles: list[Role]
) -> None:
    with pytest.raises(RefusedError):
        await create_account(identities, clock, chance, "dr", "Dr", PASSWORD, roles, [ward])
    assert await list_accounts(identities) == ()
