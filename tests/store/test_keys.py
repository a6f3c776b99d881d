"""Key files: made once, read only when nobody else could have read or changed them."""

from __future__ import annotations

import base64
import dataclasses
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from arbiter.audit.note import SignatureType
from arbiter.errors import ConfigurationError
from arbiter.store.keys import KeyFolder, Keyring, init_keys, new_secret, read_keys
from tests.conftest import SeededChance

ORIGIN = "log.hospital.example/arbiter"


@pytest.fixture
def data(tmp_path: Path, chance: SeededChance) -> Path:
    init_keys(tmp_path, ORIGIN, chance)
    return tmp_path


def seen(keyring: Keyring) -> tuple[object, ...]:
    """What two readings of one folder must have in common."""
    signers = [pair.verifiers for pair in keyring.pairs]
    return keyring.origin, signers, dict(keyring.keks), keyring.current_kek, keyring.index_key, keyring.first


def test_what_was_made_is_what_is_read(tmp_path: Path, chance: SeededChance) -> None:
    made = init_keys(tmp_path, ORIGIN, chance)
    assert seen(read_keys(tmp_path)) == seen(made)
    assert made.origin == ORIGIN
    assert made.current_kek == "kek-1"
    keys = [made.index_key, *(key for key in made.keks.values() if isinstance(key, bytes))]
    assert [len(key) for key in keys] == [32, 32]
    assert len(set(keys)) == 2
    assert [key.type for key in made.verifiers] == [
        SignatureType.ED25519,
        SignatureType.MLDSA44_COSIGNATURE,
    ]


def test_only_the_owner_may_enter_or_read(data: Path) -> None:
    assert stat.S_IMODE((data / "keys").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data / "keys").iterdir()}
    assert modes == dict.fromkeys(("log.key", "log.pub", "kek-1.key", "index.key"), 0o600)


def test_modes_hold_under_a_careless_umask(tmp_path: Path, chance: SeededChance) -> None:
    before = os.umask(0)
    try:
        init_keys(tmp_path / "new", ORIGIN, chance)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    read_keys(tmp_path / "new")


def test_keys_are_never_overwritten(data: Path, chance: SeededChance) -> None:
    before = seen(read_keys(data))
    with pytest.raises(ConfigurationError, match="never overwritten"):
        init_keys(data, "another.example/log", chance)
    assert seen(read_keys(data)) == before


def test_nothing_half_made_is_left_when_the_folder_cannot_be_put_in_place(
    tmp_path: Path, chance: SeededChance
) -> None:
    (tmp_path / "keys").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="never overwritten"):
        init_keys(tmp_path, ORIGIN, chance)
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_the_repr_shows_no_key(data: Path) -> None:
    keyring = read_keys(data)
    shown = repr(keyring)
    seeds = [
        base64.b64decode(line.split("+", 4)[4])[1:]
        for line in (data / "keys" / "log.key").read_text().splitlines()[1:]
    ]
    assert len(seeds) == 2
    for key in (*seeds, keyring.index_key, *keyring.keks.values()):
        assert isinstance(key, bytes)
        assert len(key) == 32
        assert repr(key) not in shown
        assert base64.b64encode(key).decode() not in shown


def test_nothing_of_the_keyring_gives_the_log_seed_away(data: Path) -> None:
    keyring = read_keys(data)
    lines = (data / "keys" / "log.key").read_text().splitlines()[1:]
    for line in lines:
        seed = base64.b64decode(line.split("+", 4)[4])[1:]
        fields = [getattr(keyring, field.name) for field in dataclasses.fields(keyring)]
        assert seed not in fields
        assert not any(seed in vars(pair.first).values() for pair in keyring.pairs)


def test_the_log_key_reads_as_go_documents_it(tmp_path: Path) -> None:
    """The example of golang.org/x/mod/sumdb/note: its signer key and the verifier key that belongs to it."""
    signer = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    verifier = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    init_keys(tmp_path, ORIGIN, SeededChance())
    (tmp_path / "keys" / "log.key").write_text(signer + "\n")
    (tmp_path / "keys" / "log.pub").unlink()
    keyring = read_keys(tmp_path)
    assert keyring.origin == "PeterNeumann"
    assert keyring.signer.verifier_key == verifier


def test_a_folder_as_0_2_0_made_it_is_read(tmp_path: Path) -> None:
    """Three files of one line, no public ones: what the released version wrote."""
    folder = tmp_path / "keys"
    folder.mkdir(0o700)
    signer = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    texts = {"log.key": signer, "kek-1.key": base64.b64encode(b"k" * 32).decode()}
    texts["index.key"] = base64.b64encode(b"i" * 32).decode()
    for name, text in texts.items():
        (folder / name).write_text(text + "\n")
        (folder / name).chmod(0o600)
    keyring = read_keys(tmp_path)
    assert keyring.origin == "PeterNeumann"
    assert dict(keyring.keks) == {"kek-1": b"k" * 32}
    assert keyring.index_key == b"i" * 32
    assert [key.type for key in keyring.verifiers] == [SignatureType.ED25519]


def test_a_second_key_encryption_key_becomes_the_current_one(data: Path) -> None:
    for number in (2, 10):
        path = data / "keys" / f"kek-{number}.key"
        path.write_text(base64.b64encode(bytes([number]) * 32).decode() + "\n")
        path.chmod(0o600)
    keyring = read_keys(data)
    assert keyring.current_kek == "kek-10"
    assert set(keyring.keks) == {"kek-1", "kek-2", "kek-10"}


@pytest.mark.parametrize("name", ["log.key", "kek-1.key", "index.key"])
def test_a_missing_key_stops_with_advice(data: Path, name: str) -> None:
    (data / "keys" / name).unlink()
    with pytest.raises(
        ConfigurationError, match=r"is missing: restore it from the copy .*SECURITY\.md"
    ) as told:
        read_keys(data)
    assert "keys init" not in str(told.value), "which refuses where keys are"
    assert name in str(told.value)


def test_a_folder_without_keys_stops_with_advice_that_can_be_followed(
    data: Path, chance: SeededChance
) -> None:
    for path in (data / "keys").iterdir():
        path.unlink()
    with pytest.raises(ConfigurationError, match=r"remove the folder .* and run `arbiter keys init`"):
        read_keys(data)
    (data / "keys").rmdir()
    assert seen(init_keys(data, ORIGIN, chance)) == seen(read_keys(data))


def test_a_missing_folder_stops_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"is missing: run `arbiter keys init`"):
        read_keys(tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o700, 0o602, 0o4600])
@pytest.mark.parametrize("name", ["log.key", "kek-1.key", "index.key"])
def test_a_key_file_open_to_others_is_refused(data: Path, name: str, mode: int) -> None:
    (data / "keys" / name).chmod(mode)
    with pytest.raises(ConfigurationError, match="has mode"):
        read_keys(data)


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_key_folder_open_to_others_is_refused(data: Path, mode: int) -> None:
    (data / "keys").chmod(mode)
    with pytest.raises(ConfigurationError, match="has mode"):
        read_keys(data)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["keys", "keys/log.key", "keys/kek-1.key"])
def test_a_key_of_another_user_is_refused(data: Path, name: str) -> None:
    os.chown(data / name, 12345, 12345)
    with pytest.raises(ConfigurationError, match="belongs to user 12345"):
        read_keys(data)


def swap_for_symlink(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def swap_for_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def swap_for_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o600)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def without_newline(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def swollen(path: Path) -> None:
    path.write_bytes(b"A" * 5000 + b"\n")


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) + b"\n")


def with_a_second_line(path: Path) -> None:
    path.write_bytes(path.read_bytes() * 2)


def with_spaces(path: Path) -> None:
    path.write_bytes(b" " + path.read_bytes())


ATTACKS = (
    swap_for_symlink,
    swap_for_pipe,
    swap_for_folder,
    cut,
    without_newline,
    emptied,
    swollen,
    binary,
    with_a_second_line,
    with_spaces,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
@pytest.mark.parametrize("name", ["log.key", "kek-1.key", "index.key"])
def test_a_tampered_key_file_is_refused(data: Path, name: str, attack: Callable[[Path], None]) -> None:
    attack(data / "keys" / name)
    with pytest.raises(ConfigurationError):
        read_keys(data)


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
@pytest.mark.parametrize("name", ["kek-1.key", "index.key"])
def test_a_key_of_the_wrong_size_is_refused(data: Path, name: str, size: int) -> None:
    (data / "keys" / name).write_text(base64.b64encode(bytes(size)).decode() + "\n")
    with pytest.raises(ConfigurationError, match=f"expected 32 bytes, came {size}"):
        read_keys(data)


def test_a_log_key_under_another_name_is_refused(data: Path) -> None:
    path = data / "keys" / "log.key"
    path.write_text(path.read_text().replace(ORIGIN, "log.attacker.example/arbiter", 1))
    with pytest.raises(ConfigurationError, match="key id"):
        read_keys(data)


def test_a_log_key_of_another_type_is_refused(data: Path) -> None:
    path = data / "keys" / "log.key"
    first = path.read_text().splitlines()[1]
    fields = first.split("+", 4)
    fields[4] = base64.b64encode(b"\x06" + base64.b64decode(fields[4])[1:]).decode()
    path.write_text("+".join(fields) + "\n")
    with pytest.raises(ConfigurationError, match="expected an Ed25519 seed"):
        read_keys(data)


def test_the_message_about_a_malformed_key_does_not_show_it(data: Path) -> None:
    path = data / "keys" / "kek-1.key"
    text = path.read_text().strip()
    path.write_text(text[:-4] + "!!!!\n")
    with pytest.raises(ConfigurationError) as caught:
        read_keys(data)
    assert text.splitlines()[1][:8] not in str(caught.value)


@pytest.mark.parametrize(
    "origin", ["", "with space", "with+plus", "two\nlines", "tab\t", "x" * 256, "no\x00null"]
)
def test_an_origin_that_cannot_name_a_log_is_refused(
    tmp_path: Path, chance: SeededChance, origin: str
) -> None:
    with pytest.raises(ConfigurationError, match="origin"):
        init_keys(tmp_path, origin, chance)
    assert list(tmp_path.iterdir()) == []


def test_a_keyring_is_frozen(data: Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read_keys(data).current_kek = "kek-9"  # type: ignore[misc]


def test_of_two_that_add_one_key_at_once_only_the_first_does(
    data: Path, chance: SeededChance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first has wrapped meanwhile would be lost with its key."""
    slow, fast = KeyFolder.open(data), KeyFolder.open(data)
    written = slow._file_text

    def overtaken(name: str, text: str) -> str:
        fast.add("kek-2.key", first)
        return written(name, text)

    first = new_secret(chance)
    monkeypatch.setattr(slow, "_file_text", overtaken)
    with pytest.raises(ConfigurationError, match="never overwritten"):
        slow.add("kek-2.key", new_secret(chance))
    assert fast.read("kek-2.key") == first


def test_many_that_add_one_key_at_once_leave_one_whole_key(data: Path, chance: SeededChance) -> None:
    secrets = [new_secret(chance) for _ in range(16)]
    start = threading.Barrier(len(secrets))
    added: list[str] = []

    def add(secret: str) -> None:
        start.wait()
        try:
            KeyFolder.open(data).add("kek-2.key", secret)
        except ConfigurationError:
            return
        added.append(secret)

    threads = [threading.Thread(target=add, args=(secret,)) for secret in secrets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert added == [KeyFolder.open(data).read("kek-2.key")]
