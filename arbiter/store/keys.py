"""The installation's secret keys: files under `<data>/keys`, readable by the service's own user and nobody else.

`log.key` holds the key that signs checkpoints, in the signed-note encoding that Go's `sumdb/note` reads too:
`PRIVATE+KEY+<name>+<key id, 8 hex digits>+<base64(0x01 || 32-byte Ed25519 seed)>`. `kek-<n>.key` are key-encryption
keys, of which the highest number wraps new case keys; `index.key` finds subjects by keyed HMAC. These are 32 random
bytes in base64. Each file ends in one newline. A backup of the database is unreadable without them, and they must
not lie in the same backup.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from arbiter.errors import ConfigurationError
from arbiter.ports import Chance

KEY_BYTES = 32
_FOLDER = "keys"
_ED25519 = b"\x01"
_KEK_FILE = re.compile(r"kek-([1-9][0-9]{0,5})\.key")
_LONGEST_FILE = 1024
_MAKE = "run `arbiter keys init`"
_RESTORE = "restore it from the copy that was made at installation (SECURITY.md, Keys)"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The opened keys: `keks` by id (`kek-1`, ...), 32 bytes each; `origin` names the log and its signing key."""

    origin: str
    log_seed: bytes = field(repr=False)
    keks: Mapping[str, bytes] = field(repr=False)
    current_kek: str
    index_key: bytes = field(repr=False)


def check_origin(origin: str) -> str:
    """Return `origin` if it can name a log (C2SP signed-note key name: no spaces, no plus); else raise."""
    if not origin or len(origin) > 255 or not origin.isprintable() or "+" in origin or " " in origin:
        raise ConfigurationError("a log's origin is 1 to 255 printable characters without space or plus")
    return origin


def init_keys(folder: Path, origin: str, chance: Chance) -> Keyring:
    """Make `<folder>/keys` with new keys for the log `origin`; all files appear at once or not at all.

    Raises ConfigurationError when the folder exists already: keys are never overwritten.
    """
    check_origin(origin)
    target = folder / _FOLDER
    if target.exists() or target.is_symlink():
        raise ConfigurationError(f"{target} exists already, and keys are never overwritten")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seed = chance.token(KEY_BYTES)
    kek = chance.token(KEY_BYTES)
    index_key = chance.token(KEY_BYTES)
    texts = {
        "log.key": _signer_text(origin, seed),
        "kek-1.key": _encode(kek),
        "index.key": _encode(index_key),
    }
    partial = folder / f".{_FOLDER}-{chance.token(8).hex()}"
    partial.mkdir(mode=0o700)
    try:
        for name, text in texts.items():
            _write(partial / name, text)
        _sync(partial)
        partial.rename(target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ConfigurationError(f"could not write {target}: {error.strerror}") from error
    _sync(folder)
    return read_keys(folder)


def read_keys(folder: Path) -> Keyring:
    """Read `<folder>/keys`; raise ConfigurationError for a key missing, malformed, of another user or open to others."""
    keys = folder / _FOLDER
    _check_folder(keys)
    origin, seed = _parse_signer(keys / "log.key", _read(keys / "log.key"))
    keks = {
        path.stem: _decode(path, _read(path))
        for path in sorted(keys.iterdir())
        if _KEK_FILE.fullmatch(path.name)
    }
    if not keks:
        raise ConfigurationError(f"{keys / 'kek-1.key'} is missing: {_advice(keys)}")
    index_key = _decode(keys / "index.key", _read(keys / "index.key"))
    current = max(keks, key=lambda kek_id: int(kek_id.removeprefix("kek-")))
    return Keyring(origin, seed, MappingProxyType(keks), current, index_key)


def _encode(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _decode(path: Path, text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{path} is malformed: expected base64") from None
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"{path} is malformed: expected {KEY_BYTES} bytes, came {len(key)}")
    return key


def _key_id(name: str, seed: bytes) -> str:
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).hexdigest()[:8]


def _signer_text(name: str, seed: bytes) -> str:
    return f"PRIVATE+KEY+{name}+{_key_id(name, seed)}+{_encode(_ED25519 + seed)}"


def _parse_signer(path: Path, text: str) -> tuple[str, bytes]:
    # The last field is base64 and may hold a plus itself.
    fields = text.split("+", 4)
    if len(fields) != 5 or fields[:2] != ["PRIVATE", "KEY"]:
        raise ConfigurationError(f"{path} is malformed: expected PRIVATE+KEY+name+id+key")
    name = check_origin(fields[2])
    try:
        typed = base64.b64decode(fields[4], validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{path} is malformed: expected base64") from None
    if len(typed) != 1 + KEY_BYTES or typed[:1] != _ED25519:
        raise ConfigurationError(f"{path} is malformed: expected an Ed25519 seed of {KEY_BYTES} bytes")
    seed = typed[1:]
    if fields[3] != _key_id(name, seed):
        raise ConfigurationError(f"{path} is damaged: its key id is not that of its name and key")
    return name, seed


def _check_folder(folder: Path) -> None:
    try:
        status = folder.lstat()
    except FileNotFoundError:
        raise ConfigurationError(f"{folder} is missing: {_MAKE}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigurationError(f"{folder} is not a folder")
    _check_private(folder, status, allowed=0o700)


def _check_private(path: Path, status: os.stat_result, *, allowed: int) -> None:
    if status.st_uid != os.geteuid():
        raise ConfigurationError(f"{path} belongs to user {status.st_uid}, expected {os.geteuid()}")
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~allowed:
        raise ConfigurationError(f"{path} has mode {mode:04o}, expected {allowed:04o} or less")


def _advice(folder: Path) -> str:
    """Return what to do about a key that its folder lacks: new keys are never made where there are any, or a folder for them."""
    if any(folder.glob("*.key")):
        return _RESTORE
    return f"{_RESTORE}; or, in a new installation, remove the folder without keys and {_MAKE}"


def _read(path: Path) -> str:
    # O_NOFOLLOW and fstat on the open file: what is checked is what is read. O_NONBLOCK: a pipe must not hang us.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ConfigurationError(f"{path} is missing: {_advice(path.parent)}") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"{path} is not a regular file")
        _check_private(path, status, allowed=0o600)
        content = os.read(descriptor, _LONGEST_FILE + 1)
    finally:
        os.close(descriptor)
    if len(content) > _LONGEST_FILE or not content.endswith(b"\n"):
        raise ConfigurationError(f"{path} is malformed: expected one line of at most {_LONGEST_FILE} bytes")
    try:
        return content[:-1].decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is malformed: expected text") from None


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode() + b"\n")
        file.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
