"""A key folder is made whole: with new keys, or with those of an earlier one; its files appear at once or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from arbiter.audit.note import VerifierKey
from arbiter.audit.rotation import split_statements
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.ports import Chance
from arbiter.store.keys.files import sync_folder, write_new
from arbiter.store.keys.folder import FIRST, FOLDER, FORMER, INDEX, LOCK, PUBLIC, ROTATIONS, KeyFolder, is_key
from arbiter.store.keys.keyring import Keyring
from arbiter.store.keys.lock import COST, Cost, Lock, check_passphrase
from arbiter.store.keys.log_keys import check_origin, new_pair_text, read_pair
from arbiter.store.keys.making import new_secret


def init_keys(
    data: Path,
    origin: str,
    chance: Chance,
    passphrase: str | None = None,
    *,
    log_text: str | None = None,
    cost: Cost = COST,
) -> Keyring:
    """Make `<data>/keys` with new keys for the log `origin`; all files appear at once or not at all.

    Without a passphrase the files are not encrypted, and say so. `log_text` is the log key file where the key lies in
    hardware. Raises ConfigurationError when the folder exists already: keys are never overwritten.
    """
    check_origin(origin)
    _refuse_existing(data)
    texts = {
        "log.key": log_text or new_pair_text(origin, chance),
        "kek-1.key": new_secret(chance),
        INDEX: new_secret(chance),
    }
    pair = read_pair(data / FOLDER / "log.key", 1, texts["log.key"])
    return _make_folder(data, texts, pair.verifiers, (), chance, passphrase, cost)


def restore_keys(
    data: Path, texts: Mapping[str, str], chance: Chance, passphrase: str | None = None, cost: Cost = COST
) -> Keyring:
    """Make `<data>/keys` from the texts of an earlier folder's files (`KeyFolder.texts`); raises as `init_keys`."""
    _refuse_existing(data)
    public = {FIRST: "", ROTATIONS: "", **texts}
    stray = [name for name in public if not is_key(name) and name not in PUBLIC]
    if stray or not public[FIRST]:
        raise ConfigurationError("what is to be restored is not a key folder's content")
    try:
        first = tuple(VerifierKey.parse(line) for line in public[FIRST].split("\n"))
    except VerificationError as error:
        raise ConfigurationError(f"{FIRST} is damaged: {error}") from error
    statements = split_statements(public[ROTATIONS].encode())
    keys = {name: text for name, text in texts.items() if is_key(name)}
    return _make_folder(data, keys, first, statements, chance, passphrase, cost, former=public.get(FORMER))


def _refuse_existing(data: Path) -> None:
    target = data / FOLDER
    if target.exists() or target.is_symlink():
        raise ConfigurationError(f"{target} exists already, and keys are never overwritten")


def _make_folder(
    data: Path,
    texts: Mapping[str, str],
    first: Iterable[VerifierKey],
    statements: Iterable[bytes],
    chance: Chance,
    passphrase: str | None,
    cost: Cost,
    *,
    former: str | None = None,
) -> Keyring:
    target = data / FOLDER
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = data / f".{FOLDER}-{chance.token(8).hex()}"
    partial.mkdir(mode=0o700)
    lock = None if passphrase is None else Lock.make(chance)
    making = KeyFolder(partial, lock, mixed=False)
    try:
        if lock is not None and passphrase is not None:
            write_new(partial / LOCK, lock.text(check_passphrase(passphrase), cost))
        for name, text in texts.items():
            making.add(name, text)
        making.put_public(first, statements)
        if former is not None:
            write_new(partial / FORMER, former)
        sync_folder(partial)
        partial.rename(target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ConfigurationError(f"could not write {target}: {error.strerror}") from error
    except ConfigurationError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(data)
    return KeyFolder(target, lock, mixed=False).keyring()
