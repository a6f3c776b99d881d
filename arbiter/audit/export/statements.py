"""The statements that an export carries about the log's keys: rotations and recoveries, each as the log recorded it.

`keys/statements.jsonl` has a line a statement, in the log's order: the statement, the salt and the entry that commit to
each other, the entry's place, and its audit path under the newest checkpoint. That both keys signed makes a statement
believed; that the log holds it makes it one that the log's other readers can see too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from arbiter.audit.canonical import canonical_bytes, parse_canonical
from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.entry import Entry, commit
from arbiter.audit.fields import exact_fields, field_of, hashes_of
from arbiter.audit.merkle import leaf_hash, verify_inclusion
from arbiter.audit.note import decode_base64, encode_base64, parse_note
from arbiter.audit.proof import MAX_HASHES
from arbiter.audit.recovery import RECOVERED
from arbiter.audit.recovery import STATEMENT as RECOVERY
from arbiter.audit.rotation import RETIRED, ROTATED, Act, Rotation
from arbiter.audit.rotation import STATEMENT as ROTATION
from arbiter.errors import VerificationError

MAX_STATEMENTS_BYTES = 64 * 1024 * 1024

_DOCUMENTS = {ROTATED: ROTATION, RETIRED: ROTATION, RECOVERED: RECOVERY}
_ACTS = {ROTATED: Act.OVERLAP, RETIRED: Act.RETIRE}


@dataclass(frozen=True, slots=True)
class StatedInLog:
    """One statement, the entry that commits to it, and the way from that entry to the newest checkpoint's root."""

    index: int
    body: bytes
    hashes: tuple[bytes, ...]
    salt: bytes
    content: bytes

    @property
    def entry(self) -> Entry:
        """The entry; raises `VerificationError` where the bytes are none."""
        return Entry.from_bytes(self.body)

    @property
    def is_rotation(self) -> bool:
        """True for a rotation of the log's key, False for a recovery."""
        return self.entry.type in _ACTS

    def line(self) -> bytes:
        """Return its line, with the end."""
        fields = {
            "content": self.content.decode("utf-8"),
            "entry": self.body.decode("utf-8"),
            "hashes": [encode_base64(hash_) for hash_ in self.hashes],
            "index": self.index,
            "salt": encode_base64(self.salt),
        }
        return canonical_bytes(fields) + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> StatedInLog:
        """Return what a line without its end spells; nothing of it is verified. Raises `VerificationError`."""
        place = "statement about keys"
        fields = exact_fields(parse_canonical(line), {"content", "entry", "hashes", "index", "salt"}, place)
        content, entry, salt = (field_of(fields, name, str, place) for name in ("content", "entry", "salt"))
        index = field_of(fields, "index", int, place)
        if index < 0:
            raise VerificationError(f"{place}: expected an index from 0 on, came {index}")
        hashes = hashes_of(fields, "hashes", place, MAX_HASHES)
        return cls(index, entry.encode("utf-8"), hashes, decode_base64(salt), content.encode("utf-8"))

    def verify(self, checkpoint: Checkpoint) -> None:
        """Check that the log holds an entry of the right type that commits to this statement and nothing else."""
        place = f"the statement about keys of entry {self.index}"
        entry = self.entry
        name = _DOCUMENTS.get(entry.type)
        if name is None:
            raise VerificationError(f"{place}: an entry {entry.type} makes no statement about keys")
        try:
            committed = commit(name, self.salt, self.content)
        except ValueError as error:
            raise VerificationError(f"{place}: {error}") from error
        if dict(entry.commits) != {name: committed}:
            raise VerificationError(f"{place}: it is not the one that the entry commits to")
        if self.is_rotation:
            act = Rotation.parse(parse_note(self.content).text).act
            if act is not _ACTS[entry.type]:
                raise VerificationError(f"{place}: an entry {entry.type} cannot state {act}")
        try:
            verify_inclusion(leaf_hash(self.body), self.index, checkpoint.size, self.hashes, checkpoint.root)
        except VerificationError as error:
            raise VerificationError(f"{place}: the log does not hold it: {error}") from error


def makes_statement(entry: Entry) -> bool:
    """Tell whether an entry is of a type that states something about the log's keys."""
    return entry.type in _DOCUMENTS


def check_order(statements: Sequence[StatedInLog]) -> None:
    """Check that statements stand in the log's order, each once; raises `VerificationError`."""
    indices = [stated.index for stated in statements]
    if indices != sorted(set(indices)):
        raise VerificationError("the statements about keys are repeated or not in the log's order")


def recoveries_of(statements: Iterable[StatedInLog]) -> dict[int, tuple[bytes, bytes]]:
    """Return salt and content of each recovery by its entry's number in its chain, as `OriginTrail` takes them."""
    return {s.entry.seq: (s.salt, s.content) for s in statements if not s.is_rotation}
