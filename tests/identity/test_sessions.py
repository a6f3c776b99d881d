"""Browser sessions: they end by age, by idleness, by log-out and with their account; a foreign form is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from arbiter.errors import ForbiddenError, UnauthenticatedError
from arbiter.identity.accounts import create_account, disable_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sessions import (
    IDLE,
    LIFETIME,
    TOUCH_AFTER,
    Session,
    check_csrf,
    close_session,
    open_session,
    resume,
)
from arbiter.store.identities import Identities
from arbiter.store.sessions import Sessions
from tests.conftest import SeededChance, SettableClock

INSTANT = timedelta(microseconds=1)


@pytest.fixture
async def reviewer(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str
) -> Principal:
    return await create_account(
        identities, clock, chance, "dr.osler", "Dr Osler", "correct horse battery", [Role.REVIEWER], [ward]
    )


@pytest.fixture
async def opened(
    sessions: Sessions, clock: SettableClock, chance: SeededChance, reviewer: Principal
) -> tuple[Session, str]:
    return await open_session(sessions, clock, chance, reviewer)


async def count(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM session"))).scalar_one())


async def is_over(sessions: Sessions, clock: SettableClock, token: str) -> bool:
    try:
        await resume(sessions, clock, token)
    except UnauthenticatedError:
        return True
    return False


async def test_a_session_is_resumed_by_its_token(
    sessions: Sessions, clock: SettableClock, opened: tuple[Session, str], reviewer: Principal
) -> None:
    session, token = opened
    assert await resume(sessions, clock, token) == session
    assert session.principal == reviewer
    assert session.expires_at == clock.now() + LIFETIME


async def test_tokens_are_long_and_differ(opened: tuple[Session, str]) -> None:
    session, token = opened
    assert len(token) == len(session.csrf_token) == 43
    assert token != session.csrf_token
    assert session.csrf_token not in repr(session)


async def test_the_token_is_not_stored(engine: AsyncEngine, opened: tuple[Session, str]) -> None:
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT * FROM session"))).one()
    assert opened[1] not in repr(row)
    assert opened[1].encode() not in bytes(row.token_hash)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token.swapcase(),
        lambda token: token + "\n",
        lambda _: "",
        lambda _: "\x00" * 43,
        lambda _: "\ud800" * 43,
        lambda _: "A" * 43,
        lambda _: "A" * 1_000_000,
    ],
)
async def test_any_other_token_is_refused(
    sessions: Sessions, clock: SettableClock, opened: tuple[Session, str], change: Callable[[str], str]
) -> None:
    assert await is_over(sessions, clock, change(opened[1]))


async def test_the_stored_hash_is_no_token(
    engine: AsyncEngine, sessions: Sessions, clock: SettableClock, opened: tuple[Session, str]
) -> None:
    async with engine.connect() as connection:
        stored = bytes((await connection.execute(text("SELECT token_hash FROM session"))).scalar_one())
    assert await is_over(sessions, clock, stored.hex())
    assert await is_over(sessions, clock, stored.decode("latin-1"))


async def test_an_idle_session_ends_after_thirty_minutes(
    sessions: Sessions, clock: SettableClock, opened: tuple[Session, str]
) -> None:
    assert timedelta(minutes=30) == IDLE
    clock.advance(IDLE - INSTANT)
    await resume(sessions, clock, opened[1])
    clock.advance(IDLE)
    assert await is_over(sessions, clock, opened[1])


async def test_a_used_session_still_ends_after_twelve_hours(
    sessions: Sessions, clock: SettableClock, opened: tuple[Session, str]
) -> None:
    session, token = opened
    assert timedelta(hours=12) == LIFETIME
    while clock.now() + timedelta(minutes=20) < session.expires_at:
        clock.advance(timedelta(minutes=20))
        await resume(sessions, clock, token)
    clock.set(session.expires_at - INSTANT)
    await resume(sessions, clock, token)
    clock.set(session.expires_at)
    assert await is_over(sessions, clock, token)


async def test_use_is_written_down_once_a_minute_at_most(
    engine: AsyncEngine, sessions: Sessions, clock: SettableClock, opened: tuple[Session, str]
) -> None:
    begun = clock.now()

    async def seen() -> timedelta:
        async with engine.connect() as connection:
            seen_at: datetime = (await connection.execute(text("SELECT seen_at FROM session"))).scalar_one()
        return seen_at - begun

    clock.advance(TOUCH_AFTER - INSTANT)
    await resume(sessions, clock, opened[1])
    assert await seen() == timedelta(0)
    clock.advance(INSTANT)
    await resume(sessions, clock, opened[1])
    assert await seen() == TOUCH_AFTER


async def test_a_refused_session_does_not_come_back_by_asking(
    sessions: Sessions, clock: SettableClock, opened: tuple[Session, str]
) -> None:
    clock.advance(IDLE)
    for _ in range(3):
        assert await is_over(sessions, clock, opened[1])


async def test_a_closed_session_is_over(
    sessions: Sessions, clock: SettableClock, opened: tuple[Session, str]
) -> None:
    await close_session(sessions, opened[1])
    assert await is_over(sessions, clock, opened[1])
    await close_session(sessions, opened[1])


async def test_closing_one_session_leaves_the_other(
    sessions: Sessions, clock: SettableClock, chance: SeededChance, opened: tuple[Session, str]
) -> None:
    _, other = await open_session(sessions, clock, chance, opened[0].principal)
    await close_session(sessions, opened[1])
    await resume(sessions, clock, other)


async def test_all_sessions_end_with_their_account(
    engine: AsyncEngine,
    identities: Identities,
    sessions: Sessions,
    clock: SettableClock,
    chance: SeededChance,
    opened: tuple[Session, str],
) -> None:
    principal = opened[0].principal
    _, other = await open_session(sessions, clock, chance, principal)
    await disable_account(identities, clock, principal.id)
    assert await is_over(sessions, clock, opened[1])
    assert await is_over(sessions, clock, other)
    # Even one that a log-in at the same moment left behind.
    _, late = await open_session(sessions, clock, chance, principal)
    assert await is_over(sessions, clock, late)
    assert await count(engine) == 1


async def test_a_role_taken_away_is_gone_from_a_running_session(
    sessions: Sessions, clock: SettableClock, engine: AsyncEngine, opened: tuple[Session, str]
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE account SET roles = ARRAY['policy-author']"))
    session = await resume(sessions, clock, opened[1])
    assert session.principal.roles == {Role.POLICY_AUTHOR}


async def test_sessions_that_ended_are_swept_away(
    engine: AsyncEngine,
    sessions: Sessions,
    clock: SettableClock,
    chance: SeededChance,
    opened: tuple[Session, str],
) -> None:
    for _ in range(3):
        await open_session(sessions, clock, chance, opened[0].principal)
    assert await count(engine) == 4
    clock.advance(IDLE)
    await open_session(sessions, clock, chance, opened[0].principal)
    assert await count(engine) == 1


@pytest.mark.parametrize("presented", [None, "", "A" * 43, "\ud800", "\u00e9" * 43])
async def test_a_form_without_the_sessions_token_is_refused(
    opened: tuple[Session, str], presented: str | None
) -> None:
    with pytest.raises(ForbiddenError, match="form"):
        check_csrf(opened[0], presented)


async def test_a_form_of_another_session_is_refused(
    sessions: Sessions, clock: SettableClock, chance: SeededChance, opened: tuple[Session, str]
) -> None:
    other, _ = await open_session(sessions, clock, chance, opened[0].principal)
    with pytest.raises(ForbiddenError):
        check_csrf(opened[0], other.csrf_token)
    check_csrf(opened[0], opened[0].csrf_token)
    check_csrf(dataclasses.replace(opened[0]), opened[0].csrf_token)
