"""Hospital systems: the token is the proof, nothing else is, and a disabled client is out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from arbiter.errors import ConflictError, NotFoundError, RefusedError, UnauthenticatedError
from arbiter.identity.clients import authenticate_client, disable_client, list_clients, register_client
from arbiter.identity.roles import ROLES, Permission, Role
from arbiter.identity.sites import add_site
from arbiter.store.identities import CLIENT_MEMORY, Identities
from tests.conftest import SeededChance, SettableClock

EHR = [Role.INTEGRATION_CLIENT]


@pytest.fixture
async def token(identities: Identities, clock: SettableClock, chance: SeededChance, ward: str) -> str:
    return (await register_client(identities, clock, chance, "Ward system", EHR, [ward]))[1]


def client_id_of(token: str) -> str:
    return token.split("_")[1]


async def test_a_token_proves_its_client(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str
) -> None:
    registered, token = await register_client(identities, clock, chance, "Ward system", EHR, [ward])
    assert await authenticate_client(identities, clock, token) == registered
    assert registered.kind == "client"
    assert registered.permissions == ROLES[Role.INTEGRATION_CLIENT]
    assert registered.sites == {ward}


async def test_scopes_narrow_what_the_roles_allow(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str
) -> None:
    scopes = [Permission.CASES_SUBMIT, Permission.CASES_READ]
    _, token = await register_client(identities, clock, chance, "Ward system", EHR, [ward], scopes)
    assert (await authenticate_client(identities, clock, token)).permissions == set(scopes)


async def test_a_scope_beyond_the_roles_is_refused(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str
) -> None:
    for scope in ("admin:clients", "review:work", "everything", ""):
        with pytest.raises(RefusedError, match="expected scopes that the client"):
            await register_client(identities, clock, chance, "Ward system", EHR, [ward], [scope])
    assert await list_clients(identities) == ()


@pytest.mark.parametrize(
    "roles", [[], [Role.REVIEWER], [Role.POLICY_APPROVER], [Role.AUDITOR, Role.ADMINISTRATOR]]
)
async def test_a_machine_in_a_persons_role_is_refused(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str, roles: list[Role]
) -> None:
    with pytest.raises(RefusedError):
        await register_client(identities, clock, chance, "Ward system", roles, [ward])


@pytest.mark.parametrize("sites", [[], ["nowhere"], ["ward", "nowhere"], ["*"]])
async def test_a_client_of_no_known_site_is_refused(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str, sites: list[str]
) -> None:
    with pytest.raises(RefusedError, match="site"):
        await register_client(identities, clock, chance, "Ward system", EHR, sites)


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "two\nlines", "null\x00"])
async def test_an_unfit_name_is_refused(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str, name: str
) -> None:
    with pytest.raises(RefusedError, match="name"):
        await register_client(identities, clock, chance, name, EHR, [ward])


async def test_only_a_hash_of_the_secret_is_stored(engine: AsyncEngine, token: str) -> None:
    secret = token.split("_", 2)[2]
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT * FROM client"))).one()
    assert bytes(row.secret_hash) == hashlib.sha256(secret.encode()).digest()
    assert secret not in repr(row)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token[:-1] + ("A" if token[-2] != "A" else "B"),
        lambda token: token.upper(),
        lambda token: " " + token,
        lambda token: token + "\n",
        lambda token: token.replace("arb_", "arb-"),
        lambda token: token.replace("arb_", ""),
        lambda token: f"arb_{client_id_of(token)}_",
        lambda token: f"arb_{client_id_of(token)}_{'A' * 43}",
        lambda token: f"arb_c{'a' * 16}_{token.split('_', 2)[2]}",
        lambda token: f"arb_{client_id_of(token)}' OR '1'='1_{token.split('_', 2)[2]}",
        lambda _: "",
        lambda _: "\x00",
        lambda _: "\ud800" * 65,
        lambda _: "arb_" * 100_000,
    ],
)
async def test_anything_but_the_token_is_refused(
    identities: Identities, clock: SettableClock, token: str, change: Callable[[str], str]
) -> None:
    await authenticate_client(identities, clock, token)
    if change(token) == token:
        pytest.skip("the change is none for this token")
    with pytest.raises(UnauthenticatedError) as caught:
        await authenticate_client(identities, clock, change(token))
    assert token.split("_", 2)[2] not in str(caught.value)


async def test_the_secret_of_one_client_does_not_open_another(
    identities: Identities, clock: SettableClock, chance: SeededChance, ward: str, token: str
) -> None:
    _, other = await register_client(identities, clock, chance, "Other system", EHR, [ward])
    crossed = f"arb_{client_id_of(other)}_{token.split('_', 2)[2]}"
    with pytest.raises(UnauthenticatedError):
        await authenticate_client(identities, clock, crossed)


async def test_a_disabled_client_is_refused_at_once(
    identities: Identities, clock: SettableClock, token: str
) -> None:
    await authenticate_client(identities, clock, token)
    await disable_client(identities, clock, client_id_of(token))
    with pytest.raises(UnauthenticatedError):
        await authenticate_client(identities, clock, token)


async def test_a_client_disabled_elsewhere_is_refused_within_two_seconds(
    engine: AsyncEngine, identities: Identities, clock: SettableClock, token: str
) -> None:
    await authenticate_client(identities, clock, token)
    await disable_client(Identities(engine), clock, client_id_of(token))
    clock.advance(timedelta(seconds=2))
    assert timedelta(seconds=2) == CLIENT_MEMORY
    with pytest.raises(UnauthenticatedError):
        await authenticate_client(identities, clock, token)


async def test_a_client_disabled_elsewhere_is_refused_when_the_clock_runs_backwards(
    engine: AsyncEngine, identities: Identities, clock: SettableClock, token: str
) -> None:
    await authenticate_client(identities, clock, token)
    await disable_client(Identities(engine), clock, client_id_of(token))
    clock.advance(timedelta(hours=-1))
    with pytest.raises(UnauthenticatedError):
        await authenticate_client(identities, clock, token)


async def test_a_wrong_secret_is_refused_while_the_client_is_remembered(
    identities: Identities, clock: SettableClock, token: str
) -> None:
    await authenticate_client(identities, clock, token)
    with pytest.raises(UnauthenticatedError):
        await authenticate_client(identities, clock, f"arb_{client_id_of(token)}_{'A' * 43}")


async def test_a_request_costs_one_query_and_the_next_none(
    engine: AsyncEngine, identities: Identities, clock: SettableClock, token: str
) -> None:
    statements: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for _ in range(5):
        await authenticate_client(identities, clock, token)
    assert len(statements) == 1
    clock.advance(CLIENT_MEMORY)
    await authenticate_client(identities, clock, token)
    assert len(statements) == 2


async def test_strangers_do_not_fill_the_memory(
    identities: Identities, clock: SettableClock, token: str
) -> None:
    for number in range(20):
        stranger = f"arb_c{'abcdefghijklmnopqrst'[number] * 16}_{'A' * 43}"
        with pytest.raises(UnauthenticatedError):
            await authenticate_client(identities, clock, stranger)
    assert identities._remembered == {}


async def test_a_client_that_is_not_active_cannot_be_disabled(
    identities: Identities, clock: SettableClock, token: str
) -> None:
    with pytest.raises(NotFoundError):
        await disable_client(identities, clock, "cnobody")
    await disable_client(identities, clock, client_id_of(token))
    with pytest.raises(NotFoundError):
        await disable_client(identities, clock, client_id_of(token))


async def test_disabled_clients_stay_listed(identities: Identities, clock: SettableClock, token: str) -> None:
    await disable_client(identities, clock, client_id_of(token))
    (row,) = await list_clients(identities)
    assert row.disabled_at == clock.now()
    assert "secret_hash" not in repr(row)


@pytest.mark.parametrize("site_id", ["", "Ward", "-ward", "ward-", "a b", "x" * 65, "wärd", "ward\n"])
async def test_an_unfit_site_id_is_refused(identities: Identities, site_id: str) -> None:
    with pytest.raises(RefusedError, match="site's id"):
        await add_site(identities, site_id, "Ward 7")


async def test_a_site_is_added_once(identities: Identities, ward: str) -> None:
    with pytest.raises(ConflictError, match="site ward exists already"):
        await add_site(identities, ward, "Ward 8")
    assert await identities.sites() == (("other", "Other hospital"), ("ward", "Ward 7"))
