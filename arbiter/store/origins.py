"""The key files of a log that changes its origin: the next key beside the present one, and the former ones' public keys.

The only code that touches them. In `<data>/keys`: `log.key.next` is the key of an origin that is being begun;
`former-origins` holds the public keys of those that were left, oldest first, each as an auditor keeps them
(`arbiter.audit.public_keys`): with the statements by which they followed each other, so that a retired key still signs
nothing beyond its end. A former private key stays beside them as `log.key.former-<key id>`, for whoever looks after
keys to take away.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from arbiter.audit.note import VerifierKey
from arbiter.audit.public_keys import FORMAT, read_public_keys, write_public_keys
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.ports import Chance, Signer
from arbiter.store.keys import KeyFolder, check_origin, lies_at, new_log_keys
from arbiter.store.keys.files import replace_file, sync_folder
from arbiter.store.keys.folder import FORMER, NEXT
from arbiter.store.keys.hardware import Place

_FOLDER = "keys"
_TEXTS = re.compile(rb"(?m)^(?=" + re.escape(FORMAT).encode() + rb"$)")


@dataclass(frozen=True, slots=True)
class FormerOrigins:
    """The origins that a log had before: the text of each one's public keys, by name, oldest first.

    `bare` are verifier keys as 0.3.0 kept them, a line each: what sizes they may sign was not written down.
    """

    texts: Mapping[str, bytes] = field(default_factory=dict)
    bare: tuple[VerifierKey, ...] = ()

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """Every key of them, with the sizes it may sign."""
        followed = (key for text in self.texts.values() for key in read_public_keys(text))
        return (*self.bare, *followed)

    @classmethod
    def parse(cls, content: bytes) -> FormerOrigins:
        """Return what the file holds; raises `VerificationError` for keys that do not follow from each other."""
        head, *texts = _TEXTS.split(content)
        bare = tuple(VerifierKey.parse(line) for line in head.decode("utf-8").splitlines())
        named = {read_public_keys(text)[0].name: text for text in texts}
        if len(named) != len(texts) or any(key.name in named for key in bare):
            raise VerificationError("an origin comes twice")
        return cls(named, bare)

    def text(self) -> str:
        """Return the file's content."""
        head = "".join(f"{key.encode()}\n" for key in self.bare)
        return head + b"".join(self.texts.values()).decode("utf-8")

    def left(self, first: Sequence[VerifierKey], statements: Sequence[bytes]) -> FormerOrigins:
        """Return them with one origin more, or with what is known now of one that is among them."""
        name = first[0].name
        texts = {origin: text for origin, text in self.texts.items() if origin != name}
        texts[name] = write_public_keys(first, statements)
        return FormerOrigins(texts, tuple(key for key in self.bare if key.name != name))


def former_origins(data: Path) -> FormerOrigins:
    """Return the public keys of the origins that this log had before."""
    path = data / _FOLDER / FORMER
    try:
        return FormerOrigins.parse(path.read_bytes())
    except FileNotFoundError:
        return FormerOrigins()
    except (UnicodeDecodeError, VerificationError) as error:
        raise ConfigurationError(
            f"{path} is malformed: expected the public keys of former origins ({error})"
        ) from error


def former_verifiers(data: Path) -> tuple[VerifierKey, ...]:
    """Return every key of the origins that this log had before, oldest first, each with the sizes it may sign."""
    return former_origins(data).verifiers


def prepare_next(folder: KeyFolder, origin: str, chance: Chance, place: Place | None = None) -> Signer:
    """Make the keys of the next origin, on disk when this returns; those that are there for it already are taken.

    The Ed25519 key is made in the token that `place` names, else in a file.

    Raises:
        ConfigurationError: when the token cannot make one, and nothing is written.
    """
    check_origin(origin)
    begun = folder.next_signer()
    if begun is not None and begun.name == origin and lies_at(begun, place):
        return begun
    text = new_log_keys(origin, place, chance)
    # One of another name or place was never used: what it signed would have been committed, and finished instead.
    folder.remove(NEXT)
    folder.add(NEXT, text)
    signer = folder.next_signer()
    assert signer is not None
    return signer


def keep_former(data: Path, first: Sequence[VerifierKey], statements: Sequence[bytes]) -> None:
    """Add an origin to the former ones, on disk when this returns: the keys that it began with, and its rotations.

    Raises:
        VerificationError: when the statements do not follow from the keys, and nothing is written.
    """
    held = former_origins(data).left(first, statements)
    replace_file(data / _FOLDER / FORMER, held.text().removesuffix("\n"))


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
