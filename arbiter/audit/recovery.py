"""A log that lost entries goes on under a new origin: the signed statement that says so, and its verification.

The tree goes on over the leaves that are left. The first entry beyond the old origin's last checkpoint is of type
`log.recovered` in the chain `RECOVERY_CHAIN`, which holds nothing else, and commits to one document, `statement`: a signed
note (C2SP signed-note) by the new origin's key and, where it is at hand, by the old one's. Its text is canonical JSON in one
line: `format` ("arbiter/recovery/v1"), `kind`, `old` and `new` (origins), `kept` (verbatim: the newest note known under
the old origin, from outside the database), `stored` (verbatim: the newest note in the database, absent where it had
none), `lost` (`end`, and `start` where it is known), `prefix` (for a fork of different sizes), `keys` (the verifier keys
that the new origin begins with, Ed25519's first: whoever holds the old origin's follows to them), `by` (two persons'
ids), `at`, `reason`, and `words` for people. A statement without `keys` vouches for no key: it names an origin alone.

Two kinds: `behind`, where the kept note covers more entries than the database has, and entries from the stored size on
are lost; `forked`, where the kept note contradicts the stored one (`arbiter.audit.contradiction`), and what it covered
beyond their common beginning is lost, from an entry on that nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from arbiter.audit.canonical import Json, canonical_bytes, parse_canonical
from arbiter.audit.checkpoint import Checkpoint, LogKey, open_checkpoint
from arbiter.audit.contradiction import PrefixProof, instant, verify_contradiction
from arbiter.audit.fields import exact_fields, field_of, texts_of
from arbiter.audit.note import OpenedNote, SignatureType, Signer, VerifierKey, open_note, sign_note
from arbiter.errors import VerificationError

RECOVERY_FORMAT = "arbiter/recovery/v1"
RECOVERY_CHAIN = "recovery"
"""A chain of its own: an entry of it is sealed in the transaction that writes it, so none ever waits before the next."""

RECOVERED = "log.recovered"
STATEMENT = "statement"

_TEXTS = ("kind", "old", "new", "kept", "at", "reason", "words")
_REQUIRED = {"format", "lost", "by", *_TEXTS}
_OPTIONAL = {"stored", "prefix", "keys"}


class Loss(StrEnum):
    """How a database fails its kept checkpoint."""

    BEHIND = "behind"
    FORKED = "forked"


@dataclass(frozen=True, slots=True)
class Statement:
    """What two persons say when they begin a new origin; nothing of it is verified until `verify_recovery`."""

    kind: Loss
    old: str
    new: str
    kept: bytes
    stored: bytes | None
    lost: tuple[int | None, int]
    by: tuple[str, ...]
    at: datetime
    reason: str
    words: str
    prefix: PrefixProof | None = None
    keys: tuple[VerifierKey, ...] = ()

    def sign(self, signers: Iterable[Signer]) -> bytes:
        """Return the statement as a note signed by each."""
        start, end = self.lost
        fields: dict[str, Json] = {
            "format": RECOVERY_FORMAT,
            "kind": self.kind.value,
            "old": self.old,
            "new": self.new,
            "kept": self.kept.decode("utf-8"),
            "lost": {"end": end} if start is None else {"start": start, "end": end},
            "by": list(self.by),
            "at": self.at.isoformat(timespec="microseconds"),
            "reason": self.reason,
            "words": self.words,
        }
        if self.stored is not None:
            fields["stored"] = self.stored.decode("utf-8")
        if self.prefix is not None:
            fields["prefix"] = self.prefix.to_json()
        if self.keys:
            fields["keys"] = [key.encode() for key in self.keys]
        return sign_note(canonical_bytes(fields).decode("utf-8") + "\n", signers)

    @classmethod
    def parse(cls, text: str) -> Statement:
        """Return the statement that a note's text spells; raises `VerificationError` if malformed."""
        value = parse_canonical(text.removesuffix("\n").encode("utf-8"))
        fields = exact_fields(value, _REQUIRED, "recovery", optional=_OPTIONAL)
        if fields["format"] != RECOVERY_FORMAT:
            raise VerificationError(f"expected a recovery of format {RECOVERY_FORMAT}, came another")
        texts = {name: field_of(fields, name, str, "recovery") for name in _TEXTS}
        try:
            kind = Loss(texts["kind"])
        except ValueError as error:
            raise VerificationError("recovery: expected a known kind of loss") from error
        return cls(
            kind=kind,
            old=texts["old"],
            new=texts["new"],
            kept=texts["kept"].encode("utf-8"),
            stored=field_of(fields, "stored", str, "recovery").encode("utf-8")
            if "stored" in fields
            else None,
            lost=_lost(fields["lost"]),
            by=texts_of(fields, "by", "recovery"),
            at=instant(texts["at"]),
            reason=texts["reason"],
            words=texts["words"],
            prefix=PrefixProof.from_json(fields["prefix"]) if "prefix" in fields else None,
            keys=tuple(map(VerifierKey.parse, texts_of(fields, "keys", "recovery")))
            if "keys" in fields
            else (),
        )


@dataclass(frozen=True, slots=True)
class Recovery:
    """Evidence that a log was recovered: the statement, both checkpoints it quotes, and whether the old key signed too.

    `index` is the leaf at which the new origin begins: the size of the stored checkpoint.
    """

    statement: Statement
    kept: Checkpoint
    stored: Checkpoint | None
    signed_by_old: bool

    @property
    def index(self) -> int:
        """The leaf of the entry that says so."""
        return 0 if self.stored is None else self.stored.size

    def __str__(self) -> str:
        """Say it in words."""
        said = self.statement
        start, end = said.lost
        lost = (
            f"entries {start} to {end - 1} of {said.old}"
            if start is not None
            else (f"entries of {said.old} before {end}, from an unknown one on (a fork),")
        )
        return f"{lost} were lost; {said.new} begins at entry {self.index}"


def verify_recovery(note: bytes, verifiers: Iterable[VerifierKey]) -> Recovery:
    """Check a statement's signatures, the checkpoints it quotes and what it says of them; return the evidence.

    `verifiers` must hold keys of both origins. Raises `VerificationError` naming what does not hold.
    """
    keys = tuple(verifiers)
    opened = open_note(note, keys)
    said = Statement.parse(opened.text)
    signing = {s.key for s in opened.verified if s.key.type is SignatureType.ED25519}
    if said.new == said.old:
        raise VerificationError(f"recovery: old and new origin are both {said.old}")
    if said.keys and (said.keys[0] not in signing or any(key.name != said.new for key in said.keys)):
        raise VerificationError(
            f"recovery: the first key that it names for {said.new} did not sign it, or one is of another name"
        )
    if len(said.by) != 2 or said.by[0] == said.by[1]:
        raise VerificationError("recovery: expected two different persons")
    kept = _quoted(said.kept, said, keys, "kept")
    stored = None if said.stored is None else _quoted(said.stored, said, keys, "stored")
    # A retired key signs nothing more: not that its log was lost either.
    recovery = Recovery(said, kept, stored, _signed(opened, said.old, kept.size))
    if not _signed(opened, said.new, recovery.index + 1):
        raise VerificationError(f"recovery: no known key of the new origin {said.new} signed it")
    _check_loss(recovery, keys)
    return recovery


def _signed(opened: OpenedNote, origin: str, size: int) -> bool:
    """Tell whether a key signed that may sign checkpoints of that origin and size."""
    return any(
        s.key.name == origin
        and s.key.type is SignatureType.ED25519
        and not (isinstance(s.key, LogKey) and not s.key.may_sign(size))
        for s in opened.verified
    )


def _quoted(note: bytes, said: Statement, keys: tuple[VerifierKey, ...], which: str) -> Checkpoint:
    try:
        checkpoint = open_checkpoint(note, keys).checkpoint
    except VerificationError as error:
        raise VerificationError(f"recovery: the {which} note it quotes: {error}") from error
    if checkpoint.origin != said.old:
        raise VerificationError(
            f"recovery: the {which} note it quotes is of origin {checkpoint.origin}, expected {said.old}"
        )
    return checkpoint


def _check_loss(recovery: Recovery, keys: tuple[VerifierKey, ...]) -> None:
    said, kept, index = recovery.statement, recovery.kept, recovery.index
    match said.kind:
        case Loss.BEHIND:
            if kept.size <= index or said.prefix is not None:
                raise VerificationError(
                    f"recovery: the database was not behind, it had {index} entries and {kept.size} were kept"
                )
            expected: tuple[int | None, int] = (index, kept.size)
        case Loss.FORKED:
            if said.stored is None or kept.size > index:
                raise VerificationError(
                    "recovery: a fork needs a stored checkpoint not smaller than the kept one"
                )
            verify_contradiction(said.kept, said.stored, keys, said.prefix)
            expected = (None, kept.size)
    if said.lost != expected:
        raise VerificationError("recovery: the lost range is not the one that its notes prove")


def _lost(value: Json) -> tuple[int | None, int]:
    place = "recovery: the lost range"
    fields = exact_fields(value, {"end"}, place, optional={"start"})
    start = field_of(fields, "start", int, place) if "start" in fields else None
    return start, field_of(fields, "end", int, place)
