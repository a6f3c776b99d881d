"""Checks an export of an Arbiter's audit log, alone: Python 3.11 or newer and the package `cryptography` suffice.

    python -I verify.py EXPORT.zip --keys LOG-KEYS    (what `arbiter keys export-public` wrote)
    python -I verify.py EXPORT.zip --key VERIFIER-KEY
    python -I verify.py FOLDER     --key VERIFIER-KEY (the archive, unpacked)

Take this script and the key from somewhere you trust. One key is enough, also if the log has had others since: the
export carries the statements by which those followed, each signed by the key before and by the new one. --key takes one,
or one a line, and may be repeated; --keys takes a file.

Exit status, and in words the last line:
    0  VERIFIED     everything agrees, under a key that you gave
    1  REFUSED      something was changed, is missing, or is not signed as it must be
    2  NOT CHECKED  the file cannot be read, or the command line does not fit
    6  NOT PROVEN   no key was given: the export agrees with itself, as a forger's would

The source it needs lies in the export, under `source/`. None of it runs before this script has checked, by itself,
that it is what was signed: for an archive every byte of it, for a folder the manifest and each file of that source.
What runs then is the bytes that were checked. Nothing else beside this script or below the folder is imported. Without
a key from elsewhere that source runs on the word of whoever made it: as you would run a program of theirs.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and sys.version_info < (3, 11):
    print(f"NOT CHECKED: expected Python 3.11 or newer, came {sys.version.split()[0]}", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__" and not sys.flags.safe_path:
    # Python looks for modules beside a script first: in an unpacked export that would run whatever somebody put there.
    del sys.path[0]

import argparse
import base64
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    print(
        "NOT CHECKED: the package cryptography is not installed here: pip install cryptography",
        file=sys.stderr,
    )
    sys.exit(2)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

CONTAINER = "arbiter/export-container/v1"
MANIFEST = "arbiter/export-manifest/v1"
SOURCE = "source/"
STATEMENTS = "keys/statements.jsonl"
KEYS_FILE = "arbiter/log-keys/v1"
ROTATION = "arbiter/key-rotation/v1"
RECOVERY = "arbiter/recovery/v1"
MOST_BYTES = 64 << 20
TAIL_BYTES = 65_535 + 22


class RefusedError(Exception):
    """The export is not as it was signed."""


MALFORMED = (
    RefusedError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What stands for a file that no export is."""


def public_key(key: str) -> bytes | None:
    """Return the Ed25519 key that a verifier key names, None for one of another type."""
    name, key_id, material = key.split("+", 2)
    try:
        public = base64.b64decode(material, validate=True)
    except ValueError:
        raise RefusedError(
            f"the key {name}+{key_id} is not whole: expected base64 behind the second plus"
        ) from None
    if hashlib.sha256(name.encode() + b"\n" + public).hexdigest()[:8] != key_id:
        raise RefusedError(
            f"the id {key_id} is not that of its key: a character of the key was changed or lost"
        )
    return public[1:] if public[:1] == b"\x01" and len(public) == 33 else None


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return a note's text and its signature lines, each as the name and what follows it."""
    text, _, lines = note.rpartition("\n\n")
    signatures = []
    for line in lines.removesuffix("\n").split("\n"):
        mark, name, payload = line.split(" ")
        if mark != "\u2014":
            raise RefusedError("a note's signature line is malformed")
        signatures.append((name, base64.b64decode(payload, validate=True)))
    return text + "\n", signatures


def is_signed(note: str, key: str) -> bool:
    """Tell whether an Ed25519 key has signed a note."""
    public = public_key(key)
    text, signatures = split_note(note)
    name, key_id, _ = key.split("+", 2)
    for owner, signed in signatures:
        if public is not None and (owner, signed[:4].hex()) == (name, key_id):
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signed[4:], text.encode())
            except InvalidSignature:
                raise RefusedError(f"the signature of {name}+{key_id} is bad") from None
            return True
    return False


def check_note(note: str, purpose: str, digest: str, size: int, keys: list[str]) -> None:
    """Refuse unless the note is signed by one of the keys alone and says this of the bytes."""
    text, signatures = split_note(note)
    fields = text.split("\n")
    if (
        len(fields) != 5
        or len(signatures) != 1
        or fields[0] != purpose
        or fields[1] != signatures[0][0]
        or fields[2:4] != [f"sha256 {digest}", f"size {size}"]
    ):
        raise RefusedError(
            "the bytes are not those that were signed: the file was changed, or cut off under way"
        )
    if not any(is_signed(note, key) for key in keys):
        name, signed = signatures[0]
        expected = ", ".join(key.rpartition("+")[0] for key in keys if public_key(key))
        raise RefusedError(
            f"no known key signed it: expected {expected or 'an Ed25519 key'}, came {name}+{signed[:4].hex()}, to which no "
            "statement in the export leads from there. If that is the same log's key, ask its house for the output of "
            "`arbiter keys export-public` and give that file with --keys"
        )


def named(key: str) -> str:
    """Return the name that a verifier key begins with: that of its log."""
    return key.partition("+")[0]


def followed(keys: list[str], statements: Iterable[str]) -> list[str]:
    """Return the keys, and those to which statements lead: each signed by a key that is known and by the one it names."""
    found = list(keys)
    for note in statements:
        text = split_note(note)[0]
        if text.startswith(f"{ROTATION}\n"):
            said = [line.partition(" ")[::2] for line in text.splitlines()]
            origin, old, new = (
                next(value for word, value in said if word == w) for w in ("origin", "old", "new")
            )
            known = [key for key in found if key == old and {named(key), named(new)} == {origin}]
        else:
            stated = json.loads(text)
            new = next(iter(stated.get("keys", [])), "")
            known = [key for key in found if named(key) == stated["old"]]
            if stated["format"] != RECOVERY or named(new) != stated["new"]:
                continue
        if any(is_signed(note, key) for key in known) and is_signed(note, new) and new not in found:
            found.append(new)
    return found


def stated_in(content: bytes) -> list[str]:
    """Return the statements about keys that an export carries."""
    if len(content) > MOST_BYTES:
        raise RefusedError(f"{STATEMENTS}: expected at most {MOST_BYTES} bytes")
    return [json.loads(line)["content"] for line in content.splitlines()]


class Carried(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports the export's source from bytes that were checked; `files` by name below `source/`."""

    def __init__(self, place: Path, files: dict[str, bytes]) -> None:
        self._place = place
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where a module is, or None for one that the export does not carry."""
        del path, target
        name = self._name(fullname)
        if name not in self._files:
            return None
        spec = importlib.util.spec_from_loader(fullname, self, origin=str(self._place / SOURCE / name))
        if spec is not None:
            spec.has_location = True
        return spec

    def is_package(self, fullname: str) -> bool:
        """Tell whether a module has others below it."""
        return self._name(fullname).endswith("/__init__.py")

    def get_source(self, fullname: str) -> str:
        """Return a module's source."""
        return self._files[self._name(fullname)].decode("utf-8")

    def _name(self, fullname: str) -> str:
        place = fullname.replace(".", "/")
        package = f"{place}/__init__.py"
        return package if package in self._files else f"{place}.py"


def check_archive(path: Path, keys: list[str]) -> dict[str, bytes]:
    """Return the source in an archive. Refuse one of which any byte is not as signed."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - TAIL_BYTES))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06") + 20
        note = tail[at + 2 :]
        if at < 20 or not note or int.from_bytes(tail[at : at + 2], "little") != len(note):
            raise RefusedError(
                "expected an export, a ZIP that ends in a signed comment; came another file, or a part of one"
            )
        signed = size - len(note) - 2
        file.seek(0)
        digest, left = hashlib.sha256(), signed
        while left and (chunk := file.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
        text = note.decode("utf-8")
        direct = any(is_signed(text, key) for key in keys)
        if direct:
            check_note(text, CONTAINER, digest.hexdigest(), signed, keys)
        # Opened once: another file that takes this one's place meanwhile is not read from.
        archive = zipfile.ZipFile(file)
        if not direct:
            with archive.open(STATEMENTS if keys else "keys.txt") as member:
                read = member.read(MOST_BYTES + 1)
            known = followed(keys, stated_in(read)) if keys else read.decode().split()
            check_note(text, CONTAINER, digest.hexdigest(), signed, known)
        names = [name for name in archive.namelist() if name.startswith(SOURCE)]
        return {name.removeprefix(SOURCE): archive.read(name) for name in names}


def check_folder(folder: Path, keys: list[str]) -> dict[str, bytes]:
    """Return the source in a folder. Refuse one whose manifest or source is not as signed."""
    content = (folder / "manifest.json").read_bytes()
    if keys:
        keys = followed(keys, stated_in((folder / STATEMENTS).read_bytes()))
    else:
        keys = (folder / "keys.txt").read_text("utf-8").split()
    digest = hashlib.sha256(content).hexdigest()
    note = (folder / "manifest.note").read_bytes().decode("utf-8")
    check_note(note, MANIFEST, digest, len(content), keys)
    listed = {member["name"]: member["sha256"] for member in json.loads(content)["members"]}
    files = {}
    for path in (folder / SOURCE).rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise RefusedError(f"{name}: neither a file nor a folder")
        if path.is_file():
            files[name.removeprefix(SOURCE)] = read = path.read_bytes()
            if hashlib.sha256(read).hexdigest() != listed.get(name):
                raise RefusedError(f"{name}: not as the manifest lists it")
    return files


def keys_given(texts: list[str], files: list[Path]) -> list[str]:
    """Return the keys of the command line, and those to which statements in the given files lead."""
    found = [key for text in texts for key in keys_in(text, "--key")]
    statements: list[str] = []
    for path in files:
        text = path.read_text("utf-8", "replace")
        head, _, rest = text.partition("\n\n")
        if head.startswith(f"{KEYS_FILE}\n"):
            lines = [line for line in head.splitlines()[1:] if not line.startswith("#")]
            found += [key for line in lines for key in keys_in(line.removeprefix("first "), f"--keys {path}")]
            statements += [f"{ROTATION}\n{part.rstrip()}\n" for part in rest.split(f"{ROTATION}\n")[1:]]
        else:
            found += keys_in(text, f"--keys {path}")
    return followed(found, statements)


def keys_in(text: str, place: str) -> list[str]:
    """Return the keys in a text, one a line; an empty one must not read as if none had been asked for."""
    keys = text.split() or [""]
    for key in keys:
        if key.count("+") < 2:
            raise RefusedError(
                f"expected verifier keys of the form name+hex+base64 after {place.partition(' ')[0]}, came another text; a "
                "file of them goes after --keys"
            )
        public_key(key)
    return keys


def run(arguments: list[str]) -> int:
    """Check the source that the export carries, then let it check everything else."""
    parser = argparse.ArgumentParser(
        prog="verify.py",
        allow_abbrev=False,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "export",
        nargs="?",
        type=Path,
        default=Path(__file__).parent,
        help="The archive, or the folder it was unpacked into; without it, where this script lies.",
    )
    parser.add_argument(
        "--key", action="append", default=[], help="The log's verifier keys: one, or one a line."
    )
    parser.add_argument("--keys", action="append", default=[], type=Path, help="A file of them.")
    parser.add_argument("--json", action="store_true", help="Say it for programs.")
    given = parser.parse_args(arguments)
    path: Path = given.export
    try:
        keys = keys_given(given.key, given.keys)
        files = (check_folder if path.is_dir() else check_archive)(path, keys)
    except MALFORMED as error:
        said = (
            str(error)
            if isinstance(error, RefusedError)
            else f"the export is malformed ({type(error).__name__})"
        )
        findings = {"verified": False, "verdict": "refused", "findings": [said]}
        told = f"REFUSED:\n- {said}\nREFUSED: believe nothing of this export"
        print(json.dumps(findings, indent=1) if given.json else told)
        return 1
    except OSError as error:
        print(f"NOT CHECKED: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    sys.meta_path.insert(0, Carried(path, files))
    from arbiter.verifying.command import main  # noqa: PLC0415 - only now is it known to be what was signed

    return main(arguments, path)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
