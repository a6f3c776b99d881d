"""Where the passphrase comes from: a file that only the service's user can read, or whoever sits at the terminal."""

from __future__ import annotations

import getpass
import sys
from functools import cache
from pathlib import Path

from arbiter.errors import ConfigurationError
from arbiter.store.keys.files import read_private
from arbiter.store.keys.lock import Passphrase, check_passphrase

SETTING = "ARBITER_KEYS_PASSPHRASE_FILE"
_ADVICE = f"set {SETTING} to a file of mode 0600 that holds it on one line"


def passphrase_from(path: Path | None) -> Passphrase:
    """Return what asks for the passphrase, once: the file where one is named, else the terminal where there is one.

    Never the environment's value nor the command line: both are seen by others on the machine.
    """

    @cache
    def ask() -> str:
        if path is not None:
            return read_passphrase_file(path)
        if not sys.stdin.isatty():
            raise ConfigurationError(
                f"the keys are encrypted and nobody can be asked for the passphrase: {_ADVICE}"
            )
        return getpass.getpass("passphrase of the keys: ")

    return ask


def read_passphrase_file(path: Path) -> str:
    """Return the passphrase that a private file holds on its one line."""
    text = read_private(path, _ADVICE)
    if "\n" in text or not text:
        raise ConfigurationError(f"{path} is malformed: expected the passphrase on one line")
    return text


def ask_new_passphrase(path: Path | None) -> str:
    """Return a new passphrase that is fit to be one: from the file, or typed twice alike.

    Raises:
        ConfigurationError: when it is too short, not typed alike, or nobody can be asked.
    """
    if path is not None:
        return check_passphrase(read_passphrase_file(path))
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"a passphrase is needed for the keys: give --passphrase-file, or {_ADVICE}; "
            "--no-passphrase leaves the keys unencrypted"
        )
    first = check_passphrase(getpass.getpass("new passphrase for the keys (12 characters or more): "))
    if getpass.getpass("the same again: ") != first:
        raise ConfigurationError("the two passphrases are not the same; nothing was changed")
    return first
