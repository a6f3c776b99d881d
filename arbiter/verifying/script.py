"""Checks an export of an Arbiter's audit log, alone: Python 3.11 or newer and the package `cryptography` suffice.

    python verify.py EXPORT.zip --key VERIFIER-KEY
    python verify.py FOLDER     --key VERIFIER-KEY    (the archive, unpacked)

The source it needs lies in the export, under `source/`. None of it runs before this script has checked, by itself,
that it is what was signed: for an archive every byte of it, for a folder the manifest and each file of that source.
What runs then is the bytes that were checked. Nothing else beside this script or below the folder is imported.

Take this script and the key from somewhere you trust. Without a key from elsewhere the export can only be shown to
agree with itself, and its source runs on the word of whoever made it: as you would run a program of theirs.
Exit status: 0 verified, 1 refused, 2 not readable.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # Python looks for modules beside a script first: in an unpacked export that would run whatever somebody put there.
    del sys.path[0]

import base64
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import json
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

CONTAINER = "arbiter/export-container/v1"
MANIFEST = "arbiter/export-manifest/v1"
SOURCE = "source/"
TAIL_BYTES = 65_535 + 22


class RefusedError(Exception):
    """The export is not as it was signed."""


MALFORMED = (
    RefusedError,
    ValueError,
    LookupError,
    TypeError,
    RuntimeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What stands for a file that no export is."""


def check_note(note: bytes, purpose: str, digest: str, size: int, keys: list[str]) -> None:
    """Refuse unless the note is signed by one of the keys and says this of the bytes."""
    text, _, line = note.decode("utf-8").rpartition("\n\n")
    fields = (text + "\n").split("\n")
    mark, name, payload = line.removesuffix("\n").split(" ")
    if (
        mark != "\u2014"
        or len(fields) != 5
        or fields[0] != purpose
        or fields[2:4] != [f"sha256 {digest}", f"size {size}"]
    ):
        raise RefusedError("the bytes are not those that were signed")
    signed = base64.b64decode(payload, validate=True)
    for key in keys:
        if key.count("+") < 2:
            raise RefusedError(
                "expected verifier keys of the form name+hex+base64, came another text after --key"
            )
        owner, key_id, material = key.split("+", 2)
        public = base64.b64decode(material, validate=True)
        right_id = hashlib.sha256(owner.encode() + b"\n" + public).hexdigest()[:8]
        if (owner, key_id, public[:1]) == (name, signed[:4].hex(), b"\x01") and right_id == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(public[1:]).verify(signed[4:], (text + "\n").encode())
            except InvalidSignature:
                raise RefusedError(f"the signature of {name} is bad") from None
            return
    raise RefusedError(f"no known key of {name} signed it")


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
            raise RefusedError("the archive does not end in a signed comment")
        signed = size - len(note) - 2
        file.seek(0)
        digest, left = hashlib.sha256(), signed
        while left and (chunk := file.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
        if keys:
            check_note(note, CONTAINER, digest.hexdigest(), signed, keys)
        # Opened once: another file that takes this one's place meanwhile is not read from.
        archive = zipfile.ZipFile(file)
        if not keys:
            keys = archive.read("keys.txt").decode().split()
            check_note(note, CONTAINER, digest.hexdigest(), signed, keys)
        names = [name for name in archive.namelist() if name.startswith(SOURCE)]
        return {name.removeprefix(SOURCE): archive.read(name) for name in names}


def check_folder(folder: Path, keys: list[str]) -> dict[str, bytes]:
    """Return the source in a folder. Refuse one whose manifest or source is not as signed."""
    content = (folder / "manifest.json").read_bytes()
    keys = keys or (folder / "keys.txt").read_text("utf-8").split()
    digest = hashlib.sha256(content).hexdigest()
    check_note((folder / "manifest.note").read_bytes(), MANIFEST, digest, len(content), keys)
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


def keys_in(arguments: list[str]) -> list[str]:
    """Return the keys given on the command line, each `--key` one or, as a log publishes them, one a line."""
    given = [value for flag, value in itertools.pairwise(arguments) if flag == "--key"]
    given += [value.removeprefix("--key=") for value in arguments if value.startswith("--key=")]
    # An empty one stays: it must not read as if none had been given.
    return [key for value in given for key in value.split() or [""]]


def export_in(arguments: list[str]) -> Path:
    """Return the export given on the command line; without one it is the folder this script lies in."""
    values = [value for flag, value in zip(["", *arguments], arguments, strict=False) if flag != "--key"]
    return Path(next((value for value in values if not value.startswith("-")), Path(__file__).parent))


def run(arguments: list[str]) -> int:
    """Check the source that the export carries, then let it check everything else."""
    path, keys = export_in(arguments), keys_in(arguments)
    as_json = "--json" in arguments
    try:
        files = (check_folder if path.is_dir() else check_archive)(path, keys)
    except MALFORMED as error:
        said = str(error) if isinstance(error, RefusedError) else "the export is malformed"
        findings = {"verified": False, "findings": [said]}
        print(json.dumps(findings, indent=1) if as_json else f"REFUSED:\n- {said}")
        return 1
    except OSError as error:
        print(f"cannot be checked: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    sys.meta_path.insert(0, Carried(path, files))
    from arbiter.verifying.report import main  # noqa: PLC0415 - only now is it known to be what was signed

    return main(arguments, path)


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        sys.exit(0)
    sys.exit(run(sys.argv[1:]))
