"""A new origin is begun by two administrators on a log that lost entries, and by nobody else and on no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arbiter.audit.verify import LogRefusedError
from arbiter.errors import (
    ArbiterError,
    ForbiddenError,
    RefusedError,
    UnauthenticatedError,
    VerificationError,
)
from arbiter.identity.accounts import disable_account
from arbiter.store import origins
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.log import recovering
from arbiter.workflow.log.recovering import recover, two_persons
from tests.databases import CUTTING_OFF, Copies
from tests.houses import PASSWORD, a_house
from tests.workflow.guarded import grow, not_opened, sealed
from tests.workflow.losses import (
    BOTH,
    ORIGIN,
    REASON,
    Lost,
    an_administrator,
    check_recovered,
    unchecked,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), *CUTTING_OFF]


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

    def exchange(*arguments: Any) -> None:
        origins.keep_former(*arguments)
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


async def test_a_statement_of_one_person_is_never_committed(lost: Lost) -> None:
    """What is written is verified first: a fault of the code before it cannot put an unfit statement into the log."""
    async with unchecked(lost.folder, lost.database) as house:
        first, _ = await two_persons(house, BOTH)
        with pytest.raises(VerificationError, match="two different persons"):
            await recover(house, (first, replace(first, name="somebody else")), REASON)
        assert await sealed(house) == lost.left
