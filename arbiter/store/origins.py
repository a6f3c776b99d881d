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

from arbiter.audit.note import VerifierKey
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.ports import Chance, Signer
from arbiter.store.keys import KeyFolder, check_origin, new_pair_text
from arbiter.store.keys.files import replace_file, sync_folder
from arbiter.store.keys.folder import FORMER, NEXT

_FOLDER = "keys"


def former_verifiers(data: Path) -> tuple[VerifierKey, ...]:
    """Return the public keys of the origins that this log had before, oldest first."""
    path = data / _FOLDER / FORMER
    try:
        lines = path.read_text("utf-8").splitlines()
        return tuple(VerifierKey.parse(line) for line in lines)
    except FileNotFoundError:
        return ()
    except (UnicodeDecodeError, VerificationError) as error:
        raise ConfigurationError(f"{path} is malformed: expected a verifier key a line") from error


def prepare_next(folder: KeyFolder, origin: str, chance: Chance) -> Signer:
    """Make the keys of the next origin, on disk when this returns; those that are there for it already are taken."""
    check_origin(origin)
    begun = folder.next_signer()
    if begun is not None and begun.name == origin:
        return begun
    # One of another name was never used: what it signed would have been committed, and finished instead.
    folder.remove(NEXT)
    folder.add(NEXT, new_pair_text(origin, chance))
    signer = folder.next_signer()
    assert signer is not None
    return signer


def keep_former(data: Path, keys: Iterable[VerifierKey]) -> None:
    """Add public keys to those of former origins, on disk when this returns; those that are there stay once."""
    held = dict.fromkeys([*former_verifiers(data), *keys])
    replace_file(data / _FOLDER / FORMER, "\n".join(key.encode() for key in held))


def switch_to_next(folder: KeyFolder, former: VerifierKey) -> None:
    """Put the next keys in the place of the present ones, which stay under other names.

    Stopped between its steps, it can be done again: once the new key is in its place, what is of another name is ignored.
    """
    for name in folder.log_files():
        with suppress(FileExistsError):
            os.link(folder.path / name, folder.path / f"{name}.former-{former.key_id.hex()}")
    (folder.path / NEXT).replace(folder.path / "log.key")
    sync_folder(folder.path)
    folder.forget_former_origin()
