"""A key-encryption key in a token: SoftHSM's AES-GCM and ours agree, and cases move into it and out of it again."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pkcs11
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from arbiter.cli.doctor.key_checks import state_of_keys
from arbiter.clock import SystemChance
from arbiter.errors import ConfigurationError, ConflictError, UnavailableError, VerificationError
from arbiter.model import ActorId, CaseId
from arbiter.store.database import Database
from arbiter.store.keys import HardwareKek, Wish, init_keys, new_kek, new_secret, read_keys
from arbiter.store.keys.hardware import Place, token_session
from arbiter.store.keys.hardware_kek import make_hardware_kek, open_hardware_kek
from arbiter.store.vault import Vault
from arbiter.store.wrapping import count_all_wrapped
from arbiter.workflow.log import rotating_kek
from arbiter.workflow.log.rotating_kek import retire_kek, rotate_kek
from tests.houses import a_house
from tests.workflow.test_kek_rotation import a_case, assert_all_open, assert_replays, fill, quiet

ORIGIN = "log.hospital.example/arbiter"
WHO = ActorId("operator:carla")
NONCE = bytes(range(12))


@pytest.fixture(scope="module")
def twin(token: Place) -> tuple[HardwareKek, AESGCM]:
    """One key in the token and here: the only one of them that anybody knows."""
    raw = os.urandom(32)
    attribute = pkcs11.Attribute
    with token_session(token) as (_, session):
        session.create_object(
            {
                attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                attribute.KEY_TYPE: pkcs11.KeyType.AES,
                attribute.TOKEN: True,
                attribute.LABEL: "twin",
                attribute.VALUE: raw,
                attribute.ENCRYPT: True,
                attribute.DECRYPT: True,
            }
        )
    return HardwareKek("0" * 32, replace(token, object="twin")), AESGCM(raw)


@pytest.mark.parametrize("size", [1, 16, 32, 100])
def test_the_token_encrypts_as_the_library_does(twin: tuple[HardwareKek, AESGCM], size: int) -> None:
    there, here = twin
    data = os.urandom(size)
    sealed = here.encrypt(NONCE, data, b"place")
    assert there.encrypt(NONCE, data, b"place") == sealed
    assert there.decrypt(NONCE, sealed, b"place") == data
    assert here.decrypt(NONCE, there.encrypt(NONCE, data, b"place"), b"place") == data


@pytest.mark.parametrize("change", ["nonce", "text", "tag", "place", "short nonce", "no text", "short text"])
def test_what_was_changed_does_not_open_in_the_token(twin: tuple[HardwareKek, AESGCM], change: str) -> None:
    there, here = twin
    sealed = here.encrypt(NONCE, b"k" * 32, b"place")
    nonce, text, place = {
        "nonce": (bytes(12), sealed, b"place"),
        "text": (NONCE, bytes([sealed[0] ^ 1]) + sealed[1:], b"place"),
        "tag": (NONCE, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"place"),
        "place": (NONCE, sealed, b"elsewhere"),
        "short nonce": (NONCE[:-1], sealed, b"place"),
        "no text": (NONCE, b"", b"place"),
        "short text": (NONCE, sealed[:15], b"place"),
    }[change]
    with pytest.raises(InvalidTag):
        there.decrypt(nonce, text, place)
    assert there.decrypt(NONCE, sealed, b"place") == b"k" * 32, "and the token goes on"


# The package ends what was begun in the session once more when it collects it, and says that this failed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_session_that_ended_is_not_a_key_that_was_changed(twin: tuple[HardwareKek, AESGCM]) -> None:
    """As after a token was unplugged and came back: the case is whole, and must not be told of as damaged."""
    there, here = twin
    sealed = here.encrypt(NONCE, b"k" * 32, b"place")
    with token_session(there.place) as (_, session):
        session.close()
    assert there.decrypt(NONCE, sealed, b"place") == b"k" * 32
    with token_session(there.place) as (_, session):
        session.close()
    with pytest.raises(InvalidTag):
        there.decrypt(NONCE, sealed, b"elsewhere")


def made(token: Place, label: str = "") -> HardwareKek:
    line = make_hardware_kek(replace(token, object=label), "kek-9", SystemChance())
    return open_hardware_kek(line, Path("kek-9.key"))


def test_the_key_cannot_be_read_from_the_token(token: Place) -> None:
    kek = made(token)
    with token_session(token) as (_, session):
        key = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=kek.place.object)
        assert key[pkcs11.Attribute.EXTRACTABLE] is False
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            _ = key[pkcs11.Attribute.VALUE]


def test_a_key_in_the_token_is_never_overwritten(token: Place) -> None:
    assert made(token).place.object != made(token).place.object
    made(token, "kek once")
    with pytest.raises(ConfigurationError, match="never overwritten"):
        made(token, "kek once")


def test_a_token_that_is_away_is_not_a_key_that_was_changed(token: Place) -> None:
    """A case whose key cannot be had now is asked for again; it is not damaged."""
    away = HardwareKek("0" * 32, replace(token, object="absent"))
    with pytest.raises(UnavailableError, match="does not do what was asked"):
        away.encrypt(NONCE, b"k", b"")
    with pytest.raises(UnavailableError, match="does not do what was asked"):
        away.decrypt(NONCE, bytes(48), b"")
    with pytest.raises(ConfigurationError, match="is the token there"):
        away.probe()


@pytest.mark.parametrize(
    "line",
    [
        "PKCS11-KEK ",
        "PKCS11-KEK pkcs11:token=a;object=b?module-path=/m&pin-source=/p",
        f"PKCS11-KEK {'0' * 31} pkcs11:token=a;object=b?module-path=/m&pin-source=/p",
        f"PKCS11-KEK {'0' * 32} pkcs11:token=a?module-path=/m&pin-source=/p",
        f"PKCS11-KEK {'0' * 32} pkcs11:token=a;object=b?module-path=/m&pin-value=1234",
        f"PKCS11-KEK {'0' * 32} pkcs11:token=a;object=b?module-path=/m&pin-source=/p more",
    ],
)
def test_a_file_that_does_not_say_where_its_key_is_is_refused(tmp_path: Path, line: str) -> None:
    init_keys(tmp_path, ORIGIN, SystemChance())
    (tmp_path / "keys" / "kek-1.key").write_text(line + "\n")
    with pytest.raises(ConfigurationError, match=r"kek-1\.key is malformed|expected a URI|PKCS#11 URI lacks"):
        read_keys(tmp_path)


def test_a_wrapped_key_of_another_case_does_not_open_under_a_key_in_the_token(
    tmp_path: Path, token: Place
) -> None:
    keyring = init_keys(tmp_path, ORIGIN, SystemChance())
    vault = Vault(replace(keyring, keks={"kek-1": made(token)}), SystemChance())
    key = vault.new_key(CaseId("c_one"))
    assert vault.open_key(CaseId("c_one"), "kek-1", key.wrapped).key == key.key
    for case, wrapped in (("c_two", key.wrapped), ("c_one", key.wrapped[:-1]), ("c_one", b"")):
        with pytest.raises(VerificationError, match="does not open under kek-1"):
            vault.open_key(CaseId(case), "kek-1", wrapped)


async def test_cases_move_into_the_token_stay_there_and_come_out_when_somebody_says_so(
    tmp_path: Path, database: Database, token: Place
) -> None:
    async with a_house(tmp_path, database) as house:
        before = await a_case(house, "before")
        await fill(house, 5)
        done = await rotate_kek(house, WHO, quiet, wish=Wish(token.uri()))
        assert (done.kek_id, done.moved) == ("kek-2", 6)
        assert done.where.startswith(f"in the token {token.token}, as arbiter-kek-2")
        inside = await a_case(house, "inside")
        await retire_kek(house, WHO, "kek-1")
    assert not (tmp_path / "keys" / "kek-1.key").exists()
    async with a_house(tmp_path, database) as house:
        assert await count_all_wrapped(house.store) == {"kek-2": 7}
        for case in (before, inside):
            await assert_replays(house, case)
        await assert_all_open(house)
        # Nobody says where: it stays in hardware.
        done = await rotate_kek(house, WHO, quiet)
        assert done.where.startswith(f"in the token {token.token}, as arbiter-kek-3")
        done = await rotate_kek(house, WHO, quiet, wish=Wish(in_file=True))
        assert (done.kek_id, done.where) == ("kek-4", "in a file of the folder keys")
        assert await count_all_wrapped(house.store) == {"kek-4": 7}
    async with a_house(tmp_path, database) as house:
        for case in (before, inside):
            await assert_replays(house, case)


async def test_a_token_that_makes_no_key_changes_nothing(
    tmp_path: Path, database: Database, token: Place
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await fill(house, 3)
        made(token, "kek taken")
        for place in (replace(token, token="absent"), replace(token, object="kek taken")):
            with pytest.raises(ConfigurationError):
                await rotate_kek(house, WHO, quiet, wish=Wish(place.uri()))
        with pytest.raises(ConfigurationError, match="not in both"):
            await rotate_kek(house, WHO, quiet, wish=Wish(token.uri(), in_file=True))
        assert sorted(path.name for path in (tmp_path / "keys").glob("kek-*")) == ["kek-1.key"]
        assert await count_all_wrapped(house.store) == {"kek-1": 3}


async def test_a_rotation_that_began_with_a_file_is_not_finished_as_one_into_the_token(
    tmp_path: Path, database: Database, token: Place
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await fill(house, 3)
        await rotate_kek(house, WHO, quiet, key_only=True)
        with pytest.raises(ConflictError, match="kek-2 is not finished, and that key lies in a file"):
            await rotate_kek(house, WHO, quiet, wish=Wish(token.uri()))
        assert await count_all_wrapped(house.store) == {"kek-1": 3}
        assert (await rotate_kek(house, WHO, quiet)).moved == 3


async def test_a_house_whose_token_is_away_does_not_start(
    tmp_path: Path, database: Database, token: Place
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await rotate_kek(house, WHO, quiet, wish=Wish(token.uri()))
    path = tmp_path / "keys" / "kek-2.key"
    path.write_text(path.read_text().replace("object=arbiter-kek-2", "object=gone"))
    with pytest.raises(ConfigurationError, match="is the token there"):
        async with a_house(tmp_path, database, running=False):
            pass


def test_the_doctor_asks_each_token_that_a_start_would(tmp_path: Path, token: Place) -> None:
    keyring = init_keys(tmp_path, ORIGIN, SystemChance())
    kek = made(token)
    away = replace(kek, place=replace(kek.place, object="gone"))
    for held, state in ((kek, "ok"), (away, "fail")):
        found = state_of_keys(replace(keyring, keks={**keyring.keks, "kek-2": held}))
        assert [(f.check, f.state) for f in found if "hardware" in f.check] == [("hardware kek-2", state)]
    assert not [f for f in state_of_keys(keyring) if "hardware" in f.check]


def test_two_keys_in_tokens_are_told_apart_in_the_log(tmp_path: Path, token: Place) -> None:
    keyring = init_keys(tmp_path, ORIGIN, SystemChance())
    lines = {
        rotating_kek._line(replace(keyring, keks={"kek-1": kek}), "kek-1")
        for kek in (made(token), made(token), keyring.keks["kek-1"])
    }
    assert len(lines) == 3
    assert new_secret(SystemChance()) != new_kek("kek-1", None, SystemChance())
