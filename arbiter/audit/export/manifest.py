"""What an export says of itself, and the two notes that sign it.

The manifest lists every member but itself and its note, each with size and SHA-256. The note `manifest.note` signs the
manifest, so that a folder into which the archive was unpacked can be checked. The note in the archive's comment signs
every byte before it, so that nothing of the file itself can be changed either. Both are signed notes of the log's key;
their first line names their purpose and their second line is no size, so neither can be read as a checkpoint, and a
checkpoint as neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from arbiter.audit.canonical import Json, canonical_bytes, parse_canonical
from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.entry import Entry, spell_instant
from arbiter.audit.export.layout import MANIFEST, MANIFEST_NOTE, is_member_name
from arbiter.audit.fields import exact_fields, field_of, texts_of
from arbiter.audit.note import (
    SignatureType,
    Signer,
    VerifierKey,
    decode_base64,
    encode_base64,
    open_note,
    parse_note,
    sign_note,
)
from arbiter.errors import VerificationError

FORMAT = "arbiter/export/v2"
CONTAINER_PURPOSE = "arbiter/export-container/v1"
MANIFEST_PURPOSE = "arbiter/export-manifest/v1"
MAX_MANIFEST_BYTES = 256 * 1024 * 1024

PROVES = (
    "Every entry shown stands in the log under the checkpoint, byte for byte, as the log's key signed it.",
    "Where whole cases are shown, no entry of a case is missing from its first to the last one shown.",
    "Every decrypted document shown is the one its entry committed to when it was written.",
    "Every certificate follows from the recorded facts, opinions and rule hits by the source carried here.",
)
PROVES_NOT = (
    "Nothing is said of entries after the last one shown of a case, nor of entries that were not selected.",
    "A checkpoint shows what was signed; that it was never signed otherwise, copies in other hands show.",
    "Without a verifier key from elsewhere, all this shows is that the file agrees with itself.",
    "Whether a key that you gave was retired since, and is in other hands now, no export can show.",
    "That a fact was true, an opinion right, or a clock correct, no log can show.",
    "Papers in PDF are for reading; the entries and documents beside them are what counts.",
)

_SIGNED = re.compile(r"([^\n]+)\n([^\n]+)\nsha256 ([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,18})\n")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an export: its name, size in bytes and SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for; empty means any. Instants are spelt as in entries."""

    cases: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    actor: str = ""
    since: str = ""
    until: str = ""
    payloads: bool = False
    paper: bool = False

    @property
    def picks(self) -> bool:
        """True when entries are picked out of their cases, so that a case's chain need not be whole."""
        return bool(self.actor or self.since or self.until)

    @property
    def is_everything(self) -> bool:
        """True when nothing narrows it."""
        return not (self.cases or self.sites or self.picks)

    def admits(self, entry: Entry) -> bool:
        """Tell whether an entry is selected; to which site a case belongs, no entry says."""
        at = spell_instant(entry.at)
        return (
            (not self.cases or entry.case in self.cases)
            and (not self.actor or entry.actor == self.actor)
            and (not self.since or at >= self.since)
            and (not self.until or at < self.until)
        )

    def document(self) -> dict[str, Json]:
        """Return its JSON form."""
        return {
            "cases": list(self.cases),
            "sites": list(self.sites),
            "actor": self.actor,
            "since": self.since,
            "until": self.until,
            "payloads": self.payloads,
            "paper": self.paper,
        }

    @classmethod
    def from_document(cls, value: object) -> Selection:
        """Return the selection that `document` wrote; raises `VerificationError` for anything else."""
        fields = exact_fields(value, set(cls().document()), "selection")
        return cls(
            cases=texts_of(fields, "cases", "manifest"),
            sites=texts_of(fields, "sites", "manifest"),
            actor=field_of(fields, "actor", str, "manifest"),
            since=field_of(fields, "since", str, "manifest"),
            until=field_of(fields, "until", str, "manifest"),
            payloads=field_of(fields, "payloads", bool, "manifest"),
            paper=field_of(fields, "paper", bool, "manifest"),
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export says of itself.

    `whole` means every entry under the checkpoint. `unopened` names cases whose documents were asked for and did not
    open, such as erased ones. `members` are all but the manifest and its note, sorted by name.
    """

    made_at: str
    made_by: str
    code_version: str
    selection: Selection
    checkpoint: Checkpoint
    whole: bool
    entries: int
    chains: int
    payloads: int
    unopened: tuple[str, ...]
    members: tuple[Member, ...]

    def encode(self) -> bytes:
        """Return the manifest's bytes."""
        return canonical_bytes(self.document())

    def document(self) -> dict[str, Any]:
        """Return the manifest's JSON form."""
        return {
            "format": FORMAT,
            "made_at": self.made_at,
            "made_by": self.made_by,
            "code_version": self.code_version,
            "selection": self.selection.document(),
            "checkpoint": {
                "origin": self.checkpoint.origin,
                "size": self.checkpoint.size,
                "root": encode_base64(self.checkpoint.root),
            },
            "whole": self.whole,
            "counts": {"entries": self.entries, "chains": self.chains, "payloads": self.payloads},
            "unopened": list(self.unopened),
            "proves": list(PROVES),
            "proves_not": list(PROVES_NOT),
            "members": [{"name": m.name, "size": m.size, "sha256": m.sha256} for m in self.members],
        }

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Return the manifest that `data` spells. Raises `VerificationError` for any other bytes."""
        fields = exact_fields(parse_canonical(data), _MANIFEST_FIELDS, "manifest")
        if fields["format"] != FORMAT:
            raise VerificationError(
                f"expected an export of format {FORMAT}, came another: check it with the verify.py that it carries"
            )
        counts = exact_fields(fields["counts"], {"entries", "chains", "payloads"}, "counts")
        manifest = cls(
            made_at=field_of(fields, "made_at", str, "manifest"),
            made_by=field_of(fields, "made_by", str, "manifest"),
            code_version=field_of(fields, "code_version", str, "manifest"),
            selection=Selection.from_document(fields["selection"]),
            checkpoint=_checkpoint(fields["checkpoint"]),
            whole=field_of(fields, "whole", bool, "manifest"),
            entries=field_of(counts, "entries", int, "manifest"),
            chains=field_of(counts, "chains", int, "manifest"),
            payloads=field_of(counts, "payloads", int, "manifest"),
            unopened=texts_of(fields, "unopened", "manifest"),
            members=tuple(_member(value) for value in field_of(fields, "members", list, "manifest")),
        )
        if manifest.encode() != data:
            raise VerificationError("expected a manifest that says what every export of this format says")
        _check_names([member.name for member in manifest.members])
        return manifest


def sign_container(origin: str, sha256: str, size: int, signer: Signer) -> bytes:
    """Return the note for the archive's comment: it signs the `size` bytes before the comment's length."""
    return sign_note(_text(CONTAINER_PURPOSE, origin, sha256, size), [signer])


def sign_manifest(origin: str, sha256: str, size: int, signer: Signer) -> bytes:
    """Return the note `manifest.note`."""
    return sign_note(_text(MANIFEST_PURPOSE, origin, sha256, size), [signer])


def check_container(note: bytes, sha256: str, size: int, verifiers: Iterable[VerifierKey]) -> VerifierKey:
    """Check the note of an archive against the digest of its bytes and return the log's key that signed it.

    Raises `VerificationError`.
    """
    return _check(note, CONTAINER_PURPOSE, sha256, size, verifiers)


def check_manifest(note: bytes, sha256: str, size: int, verifiers: Iterable[VerifierKey]) -> VerifierKey:
    """Check `manifest.note` against the manifest's digest and return the key that signed it.

    Raises `VerificationError`.
    """
    return _check(note, MANIFEST_PURPOSE, sha256, size, verifiers)


def _text(purpose: str, origin: str, sha256: str, size: int) -> str:
    return f"{purpose}\n{origin}\nsha256 {sha256}\nsize {size}\n"


def _check(
    note: bytes, purpose: str, sha256: str, size: int, verifiers: Iterable[VerifierKey]
) -> VerifierKey:
    known = tuple(verifiers)
    _check_signer(note, purpose, known)
    opened = open_note(note, known)
    match = _SIGNED.fullmatch(opened.text)
    if match is None or match[1] != purpose:
        raise VerificationError(f"expected a note whose purpose is {purpose}, came another")
    if opened.unknown or len(opened.verified) != 1:
        # A line that is ignored is a line that can be changed.
        raise VerificationError(f"{purpose}: expected one signature, by a known key")
    key = opened.verified[0].key
    if key.name != match[2]:
        raise VerificationError(f"{purpose}: signed by {key.name} for {match[2]}")
    if (match[3], int(match[4])) != (sha256, size):
        raise VerificationError(f"{purpose}: the bytes are not those that were signed")
    return key


def _check_signer(note: bytes, purpose: str, known: Sequence[VerifierKey]) -> None:
    """Refuse a note that nobody known signed, in words for whoever gave the keys."""
    ids = {(key.name, key.key_id) for key in known}
    lines = parse_note(note).signatures
    if any((line.name, line.key_id) in ids for line in lines):
        return
    came = ", ".join(f"{line.name}+{line.key_id.hex()}" for line in lines)
    expected = ", ".join(key.label for key in known if key.type is SignatureType.ED25519)
    raise VerificationError(
        f"{purpose}: no known key signed it: expected {expected or 'an Ed25519 key'}, came {came}, to which no statement "
        "in the export leads from there. If that is the same log's key, ask its house for the output of "
        "`arbiter keys export-public` and give that file with --keys"
    )


_MANIFEST_FIELDS = {
    "format",
    "made_at",
    "made_by",
    "code_version",
    "selection",
    "checkpoint",
    "whole",
    "counts",
    "unopened",
    "proves",
    "proves_not",
    "members",
}


def _check_names(names: Sequence[str]) -> None:
    if list(names) != sorted(set(names)):
        raise VerificationError("manifest: expected members sorted by name, each once")
    for name in names:
        if not is_member_name(name) or name in {MANIFEST, MANIFEST_NOTE}:
            raise VerificationError("manifest: a member has a name that no export gives")


def _checkpoint(value: Json) -> Checkpoint:
    fields = exact_fields(value, {"origin", "size", "root"}, "checkpoint")
    try:
        root = decode_base64(field_of(fields, "root", str, "manifest"))
        return Checkpoint(
            field_of(fields, "origin", str, "manifest"), field_of(fields, "size", int, "manifest"), root
        )
    except ValueError as error:
        raise VerificationError(f"manifest: {error}") from error


def _member(value: Json) -> Member:
    fields = exact_fields(value, {"name", "size", "sha256"}, "member")
    member = Member(
        field_of(fields, "name", str, "manifest"),
        field_of(fields, "size", int, "manifest"),
        field_of(fields, "sha256", str, "manifest"),
    )
    if member.size < 0 or _HEX.fullmatch(member.sha256) is None:
        raise VerificationError(f"manifest: member {member.name} has no size or hash")
    return member
