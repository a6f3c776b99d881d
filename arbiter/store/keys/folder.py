"""The folder `<data>/keys`: which files it holds, how they are read, added and put under a passphrase.

`log.key` and, after rotations, `log-2.key` and so on sign checkpoints; `log.pub` are the public keys the log began with and
`rotations` the statements that name the later ones. `kek-<n>.key` are key-encryption keys, of which the highest
number wraps new case keys; `index.key` finds subjects by keyed HMAC. These are 32 random bytes in base64. `lock` holds
what encrypts all of them but the public ones. A backup of the database is unreadable without the folder, and they must
not lie in the same backup.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType

from arbiter.audit.note import SignatureType, VerifierKey
from arbiter.audit.rotation import join_statements, of_origin, split_statements
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.ports import Chance, Signer
from arbiter.store.keys.files import (
    MAKE,
    RESTORE,
    add_file,
    check_folder,
    read_private,
    replace_file,
    sync_folder,
)
from arbiter.store.keys.hardware_kek import HARDWARE_KEK, open_hardware_kek
from arbiter.store.keys.keyring import Kek, Keyring, newest_kek
from arbiter.store.keys.lock import COST, Cost, Lock, Passphrase, check_passphrase, is_sealed
from arbiter.store.keys.log_keys import (
    KEY_BYTES,
    NOT_ENCRYPTED,
    LogKeyPair,
    read_pair,
)

FOLDER = "keys"
LOCK = "lock"
NEW_LOCK = "lock.new"
FIRST = "log.pub"
ROTATIONS = "rotations"
INDEX = "index.key"
LONGEST_ROTATIONS = 4 * 1024 * 1024

FORMER = "former-origins"
"""The public keys of the origins that the log had before (`arbiter.store.origins`)."""

PUBLIC = frozenset({FIRST, ROTATIONS, FORMER})
_LOG_FILE = re.compile(r"log(?:-([2-9]|[1-9][0-9]{1,4}))?\.key")
_KEK_FILE = re.compile(r"kek-([1-9][0-9]{0,5})\.key")
_PENDING = ".pending"
NEXT = "log.key.next"
"""The keys of an origin that is being begun (`arbiter.store.origins`)."""

# A key file that is not in use yet, or no more: it is sealed for the place it has or had.
_BESIDE = re.compile(r"\.(?:pending|next|former-[0-9a-f]{8})$")


class KeyFolder:
    """An existing key folder, its lock opened where it has one. Nothing is cached but the lock."""

    def __init__(self, path: Path, lock: Lock | None, *, mixed: bool) -> None:
        self.path = path
        self.lock = lock
        # Between the two ends of putting a folder under a passphrase, plain files are read as well.
        self._mixed = mixed

    @classmethod
    def open(cls, data: Path, passphrase: Passphrase | None = None) -> KeyFolder:
        """Open `<data>/keys`; `passphrase` is asked only where the folder has a lock.

        Raises:
            ConfigurationError: when it is missing, open to others, or locked and the passphrase is not to be had or wrong.
        """
        path = data / FOLDER
        check_folder(path)
        for name in (LOCK, NEW_LOCK):
            file = path / name
            if file.exists() or file.is_symlink():
                text = read_private(file, RESTORE)
                if passphrase is None:
                    raise ConfigurationError(f"{path} is encrypted and no passphrase was given")
                lock = Lock.open(text, passphrase(), str(file))
                return cls(path, lock, mixed=name == NEW_LOCK)
        return cls(path, None, mixed=False)

    @property
    def encrypted(self) -> bool:
        """Whether every key file is encrypted: a folder half way into that is not."""
        return self.lock is not None and not self._mixed

    def read(self, name: str) -> str:
        """Return a key file's text, decrypted."""
        path = self.path / name
        text = read_private(path, self._advice())
        if is_sealed(text):
            if self.lock is None and any((self.path / lock).exists() for lock in (LOCK, NEW_LOCK)):
                raise ConfigurationError(
                    f"{path} is encrypted since this process was started: restart it with the passphrase"
                )
            if self.lock is None:
                raise ConfigurationError(f"{path} is encrypted and {self.path / LOCK} is missing: {RESTORE}")
            return self.lock.unseal(_plain(name), text, str(path))
        if self.encrypted:
            raise ConfigurationError(f"{path} is not encrypted, and the folder's other keys are: {RESTORE}")
        return text.removeprefix(NOT_ENCRYPTED + "\n")

    def add(self, name: str, text: str, *, pending: bool = False) -> None:
        """Write a new key file, encrypted where the folder is; a pending one is not in use until `promote`."""
        add_file(self.path / (name + _PENDING if pending else name), self._file_text(name, text))

    def promote(self, name: str) -> None:
        """Put a pending key file in its place."""
        (self.path / (name + _PENDING)).replace(self.path / name)
        sync_folder(self.path)

    def remove(self, name: str) -> None:
        """Remove a key file for good; one that is gone already is no fault."""
        (self.path / name).unlink(missing_ok=True)
        sync_folder(self.path)

    def names(self) -> tuple[str, ...]:
        """Return the names of the key files, the public ones and the lock left out."""
        return tuple(sorted(path.name for path in self.path.iterdir() if is_key(path.name)))

    def texts(self) -> dict[str, str]:
        """Return every key file's text, decrypted, and the public ones: what an escrow holds."""
        keyring = self.keyring()
        texts = {name: self.read(name) for name in self.names()}
        texts[FIRST] = "\n".join(key.encode() for key in keyring.first)
        if keyring.statements:
            texts[ROTATIONS] = join_statements(keyring.statements).decode()
        if (self.path / FORMER).exists():
            # Without them nothing that was sealed under a former origin verifies any more.
            texts[FORMER] = read_private(self.path / FORMER, RESTORE, LONGEST_ROTATIONS)
        return texts

    def put_public(self, first: Iterable[VerifierKey], statements: Iterable[bytes]) -> None:
        """Write the keys the log began with, and its rotations."""
        replace_file(self.path / FIRST, "\n".join(key.encode() for key in first))
        notes = tuple(statements)
        if notes:
            replace_file(self.path / ROTATIONS, join_statements(notes).decode().removesuffix("\n"))

    def next_signer(self) -> Signer | None:
        """Return the signer of the origin that is being begun, or None when none is."""
        if not (self.path / NEXT).exists():
            return None
        return read_pair(self.path / NEXT, 1, self.read(NEXT)).first

    def next_verifiers(self) -> tuple[VerifierKey, ...]:
        """Return the public keys of the origin that is being begun, none when none is."""
        if not (self.path / NEXT).exists():
            return ()
        return read_pair(self.path / NEXT, 1, self.read(NEXT)).verifiers

    def log_files(self) -> tuple[str, ...]:
        """Return the names of the log's key files that are in use."""
        return tuple(pair_file for pair_file in self.names() if _LOG_FILE.fullmatch(pair_file))

    def _pending_files(self) -> tuple[str, ...]:
        return tuple(
            name for name in self.names() if name.endswith(_PENDING) and _LOG_FILE.fullmatch(_plain(name))
        )

    def forget_former_origin(self) -> None:
        """Leave of the log's keys what belongs to the present origin alone."""
        keyring = self.keyring()
        held = {log_file(pair.number) for pair in keyring.pairs}
        if keyring.pending is not None:
            held.add(log_file(keyring.pending.number) + _PENDING)
        # A rotation that was begun under the former origin would be in the way of the next one.
        for name in (*self.log_files(), *self._pending_files()):
            if name not in held:
                self.remove(name)
        self.remove(ROTATIONS)
        self.put_public(keyring.first, keyring.statements)

    def find_kek(self, kek_id: str) -> Kek | None:
        """Return a key-encryption key by id, or None when the folder has none of it."""
        name = f"{kek_id}.key"
        if not _KEK_FILE.fullmatch(name) or not (self.path / name).exists():
            return None
        return _read_kek(self.path / name, self.read(name))

    def keyring(self) -> Keyring:
        """Read every key; raise ConfigurationError for one missing, malformed, of another user or open to others."""
        pairs = self._pairs("")
        pending = self._pairs(_PENDING)
        if not pairs and not (self.path / FIRST).exists():
            raise ConfigurationError(f"{self.path / 'log.key'} is missing: {self._advice()}")
        first = self._first(pairs)
        # Files of a former origin's may be left where another was begun and its beginning interrupted.
        pairs = tuple(pair for pair in pairs if pair.first.name == first[0].name)
        pending = tuple(pair for pair in pending if pair.first.name == first[0].name)
        keks = {
            path.stem: _read_kek(path, self.read(path.name))
            for path in sorted(self.path.iterdir())
            if _KEK_FILE.fullmatch(path.name)
        }
        if not keks:
            raise ConfigurationError(f"{self.path / 'kek-1.key'} is missing: {self._advice()}")
        keyring = Keyring(
            origin=first[0].name,
            pairs=pairs,
            keks=MappingProxyType(keks),
            current_kek=newest_kek(keks),
            index_key=_decode(self.path / INDEX, self.read(INDEX)),
            first=first,
            statements=of_origin(first[0].name, self._statements()),
            pending=pending[-1] if pending else None,
            folder=self,
        )
        self._check(keyring)
        return keyring

    def lock_up(self, passphrase: str, chance: Chance, cost: Cost = COST) -> None:
        """Put the folder under a new passphrase, or under its first; killed half way, the same call goes on.

        An encrypted folder changes one file at once. A plain one is encrypted file by file under `lock.new`; as long as
        that is there the files still plain are read too, and the passphrase is already the new one.
        """
        check_passphrase(passphrase)
        if self.encrypted:
            assert self.lock is not None
            replace_file(self.path / LOCK, self.lock.text(passphrase, cost))
            return
        if self.lock is None:
            self.lock, self._mixed = Lock.make(chance), True
        replace_file(self.path / NEW_LOCK, self.lock.text(passphrase, cost))
        for name in self.names():
            plain = _plain(name)
            if not is_sealed(read_private(self.path / name, RESTORE)):
                replace_file(self.path / name, self.lock.seal(plain, self.read(name)))
        (self.path / NEW_LOCK).replace(self.path / LOCK)
        sync_folder(self.path)
        self._mixed = False

    def _file_text(self, name: str, text: str) -> str:
        return f"{NOT_ENCRYPTED}\n{text}" if self.lock is None else self.lock.seal(_plain(name), text)

    def _pairs(self, suffix: str) -> tuple[LogKeyPair, ...]:
        found = []
        for path in self.path.iterdir():
            match = (
                _LOG_FILE.fullmatch(path.name.removesuffix(suffix)) if path.name.endswith(suffix) else None
            )
            if match is not None:
                number = int(match[1] or 1)
                found.append(read_pair(path, number, self.read(path.name)))
        return tuple(sorted(found, key=lambda pair: pair.number))

    def _first(self, pairs: tuple[LogKeyPair, ...]) -> tuple[VerifierKey, ...]:
        own = pairs[0].verifiers if pairs and pairs[0].number == 1 else None
        path = self.path / FIRST
        if not path.exists():
            # As 0.2.0 made it, and never rotated since.
            if own is None:
                raise ConfigurationError(f"{path} is missing: {RESTORE}")
            return own
        try:
            first = tuple(VerifierKey.parse(line) for line in read_private(path, RESTORE).split("\n"))
        except VerificationError as error:
            raise ConfigurationError(f"{path} is damaged: {error}") from error
        if own is not None and own[0].name != first[0].name:
            return own
        if own is not None and own != first:
            raise ConfigurationError(
                f"{path} does not hold the public keys of {self.path / 'log.key'}: {RESTORE}"
            )
        return first

    def _statements(self) -> tuple[bytes, ...]:
        path = self.path / ROTATIONS
        if not path.exists():
            return ()
        text = read_private(path, RESTORE, LONGEST_ROTATIONS)
        return split_statements((text + "\n").encode())

    def _check(self, keyring: Keyring) -> None:
        try:
            verifiers = keyring.verifiers
        except VerificationError as error:
            raise ConfigurationError(f"{self.path / ROTATIONS} does not check out: {error}") from error
        if not keyring.signing:
            generations = sum(key.type is SignatureType.ED25519 for key in verifiers)
            path = self.path / log_file(generations)
            if path.exists():
                raise ConfigurationError(f"{path} does not hold the log's present key: {RESTORE}")
            raise ConfigurationError(f"{path} is missing: {self._advice()}")

    def _advice(self) -> str:
        """Return what to do about a key that the folder lacks: new keys are never made where there are any, or a folder."""
        if any(self.path.glob("*.key")):
            return RESTORE
        return f"{RESTORE}; or, in a new installation, remove the folder without keys and {MAKE}"


def read_keys(data: Path, passphrase: Passphrase | None = None) -> Keyring:
    """Open and read `<data>/keys`; raises as `KeyFolder.open` and `KeyFolder.keyring`."""
    return KeyFolder.open(data, passphrase).keyring()


def log_file(number: int) -> str:
    """Return the name of the file with the log's keys of that generation; 1 is the first."""
    return "log.key" if number == 1 else f"log-{number}.key"


def _plain(name: str) -> str:
    return _BESIDE.sub("", name)


def is_key(name: str) -> bool:
    """Return whether a file of that name holds a secret key, in use or beside those in use."""
    plain = _plain(name)
    return plain == INDEX or bool(_LOG_FILE.fullmatch(plain) or _KEK_FILE.fullmatch(plain))


def _read_kek(path: Path, text: str) -> Kek:
    return open_hardware_kek(text, path) if text.startswith(HARDWARE_KEK) else _decode(path, text)


def _decode(path: Path, text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{path} is malformed: expected base64") from None
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"{path} is malformed: expected {KEY_BYTES} bytes, came {len(key)}")
    return key
