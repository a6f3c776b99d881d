"""The key files of a log that changes its origin: the next key beside the present one, and the former ones' public keys.

The only code that touches them. In `<data>/keys`: `log.key.next` is the key of an origin that is being begun;
`former-origins` holds the verifier keys of those that were left, one a line, oldest first. A former private key stays
beside them as `log.key.former-<key id>`, for whoever looks after keys to take away.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from arbiter.audit.note import Ed25519NoteSigner, VerifierKey
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.ports import Chance, Signer
from arbiter.store.keys import KEY_BYTES, _parse_signer, _read, _signer_text, _sync, _write, check_origin

_FOLDER = "keys"
_PRESENT = "log.key"
_NEXT = "log.key.next"
_FORMER = "former-origins"


def former_verifiers(data: Path) -> tuple[VerifierKey, ...]:
    """Return the public keys of the origins that this log had before, oldest first."""
    path = data / _FOLDER / _FORMER
    try:
        lines = path.read_text("utf-8").splitlines()
        return tuple(VerifierKey.parse(line) for line in lines)
    except FileNotFoundError:
        return ()
    except (UnicodeDecodeError, VerificationError) as error:
        raise ConfigurationError(f"{path} is malformed: expected a verifier key a line") from error


def next_signer(data: Path) -> Signer | None:
    """Return the signer of the origin that is being begun, or None when none is."""
    path = data / _FOLDER / _NEXT
    if not path.exists():
        return None
    return Ed25519NoteSigner(*_parse_signer(path, _read(path)))


def prepare_next(data: Path, origin: str, chance: Chance) -> Signer:
    """Make the key of the next origin, on disk when this returns; one that is there for it already is taken."""
    check_origin(origin)
    begun = next_signer(data)
    if begun is not None and begun.name == origin:
        return begun
    folder = data / _FOLDER
    # One of another name was never used: what it signed would have been committed, and finished instead.
    fresh = folder / f".{_NEXT}-{chance.token(8).hex()}"
    _write(fresh, _signer_text(origin, chance.token(KEY_BYTES)))
    fresh.replace(folder / _NEXT)
    _sync(folder)
    signer = next_signer(data)
    assert signer is not None
    return signer


def keep_former(data: Path, keys: Iterable[VerifierKey]) -> None:
    """Add public keys to those of former origins, on disk when this returns; those that are there stay once."""
    folder = data / _FOLDER
    held = dict.fromkeys([*former_verifiers(data), *keys])
    fresh = folder / f".{_FORMER}.new"
    fresh.unlink(missing_ok=True)
    _write(fresh, "\n".join(key.encode() for key in held))
    fresh.replace(folder / _FORMER)
    _sync(folder)


def switch_to_next(data: Path, former: VerifierKey) -> None:
    """Put the next key in the place of the present one, which stays under another name.

    Stopped between its two steps, it can be done again.
    """
    folder = data / _FOLDER
    with suppress(FileExistsError):
        os.link(folder / _PRESENT, folder / f"{_PRESENT}.former-{former.key_id.hex()}")
    (folder / _NEXT).replace(folder / _PRESENT)
    _sync(folder)
