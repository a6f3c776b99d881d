"""A log whose key lies in a token goes on under a new origin whose key lies there too, unless two persons say otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arbiter.audit.note import VerifierKey
from arbiter.errors import ConfigurationError
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.store.keys import AS_BEFORE, HardwareSigner, Wish, read_keys
from arbiter.store.keys.hardware import Place, make_hardware_key
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.log import recovering as workflow
from arbiter.workflow.log.recovering import Recovered, recover, two_persons
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from tests.databases import CUTTING_OFF, Copies
from tests.houses import a_house
from tests.workflow.guarded import grow, sealed
from tests.workflow.losses import BOTH, ORIGIN, REASON, Lost, an_administrator, check_recovered, unchecked

pytestmark = [pytest.mark.asyncio(loop_scope="module"), *CUTTING_OFF]

WHO = ActorId("operator:carla")


async def lost_with(folder: Path, database: Database, copies: Copies, wish: Wish) -> tuple[Database, Lost]:
    """Return a log whose key lies where `wish` says, and that lost its newest entries."""
    async with a_house(folder, database, running=False) as house:
        await an_administrator(house, "anna")
        await an_administrator(house, "ben")
        await begin_rotation(house, WHO, wish)
    async with a_house(folder, database, running=False) as house:
        await grow(house)
        await finish_rotation(house, WHO)
    async with a_house(folder, database, running=False) as house:
        left = await grow(house)
    behind = copies.of(copies.take())
    async with a_house(folder, database, running=False) as house:
        size = await grow(house, 2)
        key = VerifierKey.parse(house.signer.verifier_key)
    return behind, Lost(folder, behind, left, size, b"", key)


async def recovering(house: House, wish: Wish = AS_BEFORE) -> Recovered:
    return await recover(house, await two_persons(house, BOTH), REASON, None, wish)


async def test_a_key_in_the_token_is_followed_by_one_in_the_token(
    database: Database, copies: Copies, tmp_path: Path, token: Place
) -> None:
    behind, lost = await lost_with(tmp_path, database, copies, Wish(token.uri()))
    async with unchecked(tmp_path, behind) as house:
        former = house.signer
        assert isinstance(former, HardwareSigner)
        done = await recovering(house)
    assert done.where.startswith(f"in the token {token.token}, as ")
    signer = read_keys(tmp_path).signer
    assert isinstance(signer, HardwareSigner)
    assert signer.place.object != former.place.object
    assert all("PRIVATE+KEY" not in line for line in first_lines(tmp_path))
    await check_recovered(lost)
    # And under the new origin a rotation finds a place of its own in the same token.
    async with a_house(tmp_path, behind, running=False) as house:
        await begin_rotation(house, WHO)
    async with a_house(tmp_path, behind, running=False) as house:
        await grow(house)
        await finish_rotation(house, WHO)
    async with a_house(tmp_path, behind, running=False) as house:
        assert isinstance(house.signer, HardwareSigner)
        assert await sealed(house) > lost.left
        await verify_log(house, (tmp_path / "checkpoint").read_bytes())


def first_lines(folder: Path) -> list[str]:
    """Return the line of the Ed25519 key in each of the log's key files in use."""
    files = [path for path in (folder / "keys").glob("log*.key") if path.is_file()]
    assert files
    return [path.read_text().splitlines()[1] for path in files]


async def test_two_persons_may_say_that_the_next_key_lies_in_a_file(
    database: Database, copies: Copies, tmp_path: Path, token: Place
) -> None:
    behind, lost = await lost_with(tmp_path, database, copies, Wish(token.uri()))
    async with unchecked(tmp_path, behind) as house:
        done = await recovering(house, Wish(in_file=True))
    assert done.where == "in a file of the folder keys"
    assert not isinstance(read_keys(tmp_path).signer, HardwareSigner)
    await check_recovered(lost)


async def test_a_key_in_a_file_is_followed_by_one_in_the_token_that_is_named(
    lost: Lost, token: Place
) -> None:
    async with unchecked(lost.folder, lost.database) as house:
        await recovering(house, Wish(replace(token, object="after the fire").uri()))
    signer = read_keys(lost.folder).signer
    assert isinstance(signer, HardwareSigner)
    assert (signer.name, signer.place.object) == (f"{ORIGIN}.2", "after the fire")
    await check_recovered(lost)


@pytest.mark.parametrize("wrong", ["token", "module", "label"])
async def test_a_token_that_makes_no_key_changes_nothing(lost: Lost, token: Place, wrong: str) -> None:
    place = {
        "token": replace(token, token="absent"),
        "module": replace(token, module="/nowhere/module.so"),
        "label": replace(token, object="taken"),
    }[wrong]
    if wrong == "label":
        make_hardware_key(ORIGIN, place)
    before, kept = lost.keys, lost.kept
    async with unchecked(lost.folder, lost.database) as house:
        with pytest.raises(ConfigurationError, match=r"does not do what was asked|never overwritten"):
            await recovering(house, Wish(place.uri()))
        with pytest.raises(ConfigurationError, match="not in both"):
            await recovering(house, Wish(place.uri(), in_file=True))
        assert await sealed(house) == lost.left
    assert (lost.keys, lost.kept) == (before, kept)


async def test_a_key_that_an_interrupted_recovery_made_in_a_file_is_not_used_for_one_in_the_token(
    lost: Lost, token: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(workflow, "keep_former", die)
        with pytest.raises(KilledError):
            await lost.recover()
    assert (lost.folder / "keys" / "log.key.next").exists()
    async with unchecked(lost.folder, lost.database) as house:
        done = await recovering(house, Wish(token.uri()))
    assert done.where.startswith("in the token")
    assert isinstance(read_keys(lost.folder).signer, HardwareSigner)
