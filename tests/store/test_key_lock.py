"""Key files under a passphrase: nothing opens without it, and no file opens in another's place."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from arbiter.clock import SystemChance
from arbiter.errors import ConfigurationError
from arbiter.store.keys import KeyFolder, init_keys, new_secret, passphrase_from, read_keys
from arbiter.store.keys.asking import ask_new_passphrase
from arbiter.store.keys.lock import COST, Cost
from tests.conftest import SeededChance
from tests.store.test_keys import seen

ORIGIN = "log.hospital.example/arbiter"
PASSPHRASE = "correct horse battery staple"
CHEAP = Cost(19 * 1024, 1, 1)
KEY_FILES = ("log.key", "kek-1.key", "index.key")


def given(passphrase: str = PASSPHRASE) -> Callable[[], str]:
    return lambda: passphrase


@pytest.fixture
def data(tmp_path: Path, chance: SeededChance) -> Path:
    init_keys(tmp_path, ORIGIN, chance, PASSPHRASE, cost=CHEAP)
    return tmp_path


def test_what_was_made_is_what_is_read(tmp_path: Path, chance: SeededChance) -> None:
    made = init_keys(tmp_path, ORIGIN, chance, PASSPHRASE)
    assert seen(read_keys(tmp_path, given())) == seen(made)
    lock = json.loads((tmp_path / "keys" / "lock").read_text())
    assert (lock["kdf"], lock["memory_kib"], lock["passes"], lock["lanes"]) == ("argon2id", 65536, 3, 4)
    assert Cost(65536, 3, 4) == COST


def test_no_file_holds_a_secret_in_the_clear(data: Path) -> None:
    keyring = read_keys(data, given())
    folder = b"".join(path.read_bytes() for path in (data / "keys").iterdir())
    for key in (keyring.index_key, *keyring.keks.values()):
        assert isinstance(key, bytes)
        assert key not in folder
        assert base64.b64encode(key) not in folder
    assert b"PRIVATE" not in folder


def test_the_lock_opens_with_another_implementation_of_argon2id(data: Path) -> None:
    """With argon2-cffi, from what the file says and nothing of ours: whoever has the passphrase needs no Arbiter."""
    lock = json.loads((data / "keys" / "lock").read_text())
    salt = base64.b64decode(lock["salt"])
    derived = hash_secret_raw(
        PASSPHRASE.encode(), salt, lock["passes"], lock["memory_kib"], lock["lanes"], 32, Type.ID
    )
    place = (
        f"{lock['format']}\nargon2id {lock['memory_kib']} {lock['passes']} {lock['lanes']}\n".encode() + salt
    )
    opened = AESGCM(derived).decrypt(base64.b64decode(lock["nonce"]), base64.b64decode(lock["key"]), place)
    file = json.loads((data / "keys" / "index.key").read_text())
    sealed = base64.b64decode(file["nonce"]), base64.b64decode(file["key"])
    text = AESGCM(opened).decrypt(*sealed, f"{file['format']}\nindex.key".encode())
    assert base64.b64decode(text) == read_keys(data, given()).index_key


@pytest.mark.parametrize("wrong", ["", "correct horse battery stapl", PASSPHRASE + " ", PASSPHRASE.upper()])
def test_a_wrong_passphrase_is_told_with_advice(data: Path, wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"passphrase is wrong.*recover-escrow"):
        read_keys(data, given(wrong))


def test_the_same_characters_from_another_keyboard_open_it(tmp_path: Path, chance: SeededChance) -> None:
    init_keys(tmp_path, ORIGIN, chance, "pa\u0308sse und straße", cost=CHEAP)
    read_keys(tmp_path, given("p\u00e4sse und straße"))


def test_without_a_passphrase_nothing_is_read(data: Path) -> None:
    with pytest.raises(ConfigurationError, match="encrypted"):
        read_keys(data)


@pytest.mark.parametrize("name", ["lock", *KEY_FILES])
def test_a_flipped_bit_anywhere_is_refused(data: Path, name: str) -> None:
    path = data / "keys" / name
    whole = json.loads(path.read_text())
    for field in ("salt", "nonce", "key") if name == "lock" else ("nonce", "key"):
        raw = bytearray(base64.b64decode(whole[field]))
        raw[len(raw) // 2] ^= 1
        path.write_text(json.dumps(whole | {field: base64.b64encode(raw).decode()}) + "\n")
        with pytest.raises(ConfigurationError, match="does not open"):
            read_keys(data, given())


@pytest.mark.parametrize("name", ["lock", *KEY_FILES])
@pytest.mark.parametrize("left", [0, 1, 30, -2])
def test_a_truncated_file_is_refused(data: Path, name: str, left: int) -> None:
    path = data / "keys" / name
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ConfigurationError):
        read_keys(data, given())


@pytest.mark.parametrize(
    "changes",
    [
        {"memory_kib": 1024},
        {"memory_kib": 64 * 1024 * 1024},
        {"passes": 0},
        {"passes": 10**9},
        {"lanes": 10**6},
        {"lanes": True},
        {"passes": "1"},
        {"kdf": "none"},
        {"format": "arbiter-lock/v2"},
        {"salt": 7},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_lock_with_unfit_parameters_is_refused_before_any_work(
    data: Path, changes: dict[str, object]
) -> None:
    path = data / "keys" / "lock"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes) + "\n")
    with pytest.raises(ConfigurationError, match="malformed"):
        read_keys(data, given())


def test_a_lock_with_other_parameters_does_not_open(data: Path) -> None:
    path = data / "keys" / "lock"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"passes": 2}) + "\n")
    with pytest.raises(ConfigurationError, match="does not open"):
        read_keys(data, given())


@pytest.mark.parametrize(("one", "other"), [("kek-1.key", "index.key"), ("kek-1.key", "kek-2.key")])
def test_swapped_files_are_refused(data: Path, one: str, other: str) -> None:
    folder = data / "keys"
    if not (folder / other).exists():
        KeyFolder.open(data, given()).add(other, new_secret(SystemChance()))
    (folder / one).rename(folder / "between")
    (folder / other).rename(folder / one)
    (folder / "between").rename(folder / other)
    with pytest.raises(ConfigurationError, match="holds another key file"):
        read_keys(data, given())


def test_a_swapped_file_with_its_name_changed_too_does_not_open(data: Path) -> None:
    moved = json.loads((data / "keys" / "index.key").read_text()) | {"name": "kek-1.key"}
    (data / "keys" / "kek-1.key").write_text(json.dumps(moved) + "\n")
    with pytest.raises(ConfigurationError, match="does not open"):
        read_keys(data, given())


def test_a_file_of_another_folder_under_the_same_passphrase_is_refused(data: Path, tmp_path: Path) -> None:
    init_keys(tmp_path / "other", ORIGIN, SystemChance(), PASSPHRASE, cost=CHEAP)
    shutil.copy(tmp_path / "other" / "keys" / "kek-1.key", data / "keys" / "kek-1.key")
    with pytest.raises(ConfigurationError, match="does not open"):
        read_keys(data, given())


def test_a_plain_file_slipped_into_an_encrypted_folder_is_refused(data: Path) -> None:
    path = data / "keys" / "kek-2.key"
    path.write_text(base64.b64encode(bytes(32)).decode() + "\n")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="is not encrypted"):
        read_keys(data, given())


@pytest.mark.parametrize("name", ["lock", *KEY_FILES])
def test_a_missing_file_is_named(data: Path, name: str) -> None:
    (data / "keys" / name).unlink()
    with pytest.raises(ConfigurationError, match=f"{name} is missing"):
        read_keys(data, given())


@pytest.mark.parametrize("passphrase", ["", "short", "x" * 1025])
def test_an_unfit_passphrase_makes_no_keys(tmp_path: Path, chance: SeededChance, passphrase: str) -> None:
    with pytest.raises(ConfigurationError, match="characters"):
        init_keys(tmp_path, ORIGIN, chance, passphrase, cost=CHEAP)
    assert list(tmp_path.iterdir()) == []


def a_passphrase_file(folder: Path, content: str = PASSPHRASE + "\n", mode: int = 0o600) -> Path:
    path = folder / "passphrase"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_the_service_reads_the_passphrase_from_a_private_file(data: Path) -> None:
    assert read_keys(data, passphrase_from(a_passphrase_file(data))).origin == ORIGIN


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_passphrase_file_open_to_others_is_refused(data: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match="has mode"):
        read_keys(data, passphrase_from(a_passphrase_file(data, mode=mode)))


@pytest.mark.parametrize("content", ["", "\n", "two\nlines\n", PASSPHRASE])
def test_a_malformed_passphrase_file_is_refused(data: Path, content: str) -> None:
    with pytest.raises(ConfigurationError, match="malformed"):
        read_keys(data, passphrase_from(a_passphrase_file(data, content)))


def test_a_missing_passphrase_file_is_named_with_advice(data: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"passphrase is missing: set ARBITER_KEYS_PASSPHRASE_FILE"):
        read_keys(data, passphrase_from(data / "passphrase"))


def test_nobody_at_a_terminal_is_told_what_to_set(data: Path) -> None:
    with pytest.raises(ConfigurationError, match="ARBITER_KEYS_PASSPHRASE_FILE"):
        read_keys(data, passphrase_from(None))
    with pytest.raises(ConfigurationError, match="--no-passphrase"):
        ask_new_passphrase(None)


def test_another_passphrase_changes_one_file_and_ends_the_old_one(data: Path) -> None:
    folder = data / "keys"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    keys = seen(read_keys(data, given()))
    KeyFolder.open(data, given()).lock_up("another passphrase", SystemChance(), CHEAP)
    assert {path.name for path in folder.iterdir() if path.read_bytes() != before[path.name]} == {"lock"}
    assert seen(read_keys(data, given("another passphrase"))) == keys
    with pytest.raises(ConfigurationError, match="passphrase is wrong"):
        read_keys(data, given())


class Killed(BaseException):
    """Stands for the process's end: nothing may clean up after it."""


@pytest.mark.parametrize("after", range(12))
def test_a_plain_folder_put_under_a_passphrase_is_readable_whenever_it_is_killed(
    tmp_path: Path, chance: SeededChance, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    keys = seen(init_keys(tmp_path, ORIGIN, chance))
    rename = os.replace
    done: list[str | Path] = []

    def dies(source: str | Path, target: str | Path) -> None:
        if len(done) == after:
            raise Killed
        done.append(target)
        rename(source, target)

    monkeypatch.setattr(Path, "replace", dies)
    folder = KeyFolder.open(tmp_path, given())
    killed = False
    try:
        folder.lock_up(PASSPHRASE, SystemChance(), CHEAP)
    except Killed:
        killed = True
    monkeypatch.undo()
    assert killed == (after < 5), "the lock, three keys, and the lock's place"
    assert seen(read_keys(tmp_path, given())) == keys
    again = KeyFolder.open(tmp_path, given())
    again.lock_up(PASSPHRASE, SystemChance(), CHEAP)
    assert KeyFolder.open(tmp_path, given()).encrypted
    assert seen(read_keys(tmp_path, given())) == keys
    with pytest.raises(ConfigurationError):
        read_keys(tmp_path)


def test_keys_without_a_passphrase_say_so(tmp_path: Path, chance: SeededChance) -> None:
    init_keys(tmp_path, ORIGIN, chance)
    for name in KEY_FILES:
        assert (
            (tmp_path / "keys" / name).read_text().startswith("# not encrypted: made with --no-passphrase\n")
        )


def test_a_process_from_before_the_passphrase_is_told_to_restart(
    tmp_path: Path, chance: SeededChance
) -> None:
    init_keys(tmp_path, ORIGIN, chance)
    running = KeyFolder.open(tmp_path)
    command = KeyFolder.open(tmp_path)
    command.lock_up(PASSPHRASE, chance, CHEAP)
    command.add("kek-2.key", new_secret(chance))
    with pytest.raises(ConfigurationError, match="restart it with the passphrase"):
        running.find_kek("kek-2")
