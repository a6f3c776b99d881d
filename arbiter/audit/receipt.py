"""Arbiter's receipt: one entry, the proof that the log holds it, and the contents opened to the receipt's holder.

A receipt is canonical JSON: `format` ("arbiter/receipt/v1"), `entry` (the entry's bytes as text), `proof` (a C2SP
tlog-proof as text) and `openings`, a list sorted by name of `{name, salt, content}` with salt and content in base64.
An entry may commit to more than the receipt opens; what is opened is checked against the entry, so it is
authenticated by the log's signature.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from arbiter.audit.canonical import Json, canonical_bytes, parse_canonical
from arbiter.audit.checkpoint import Checkpoint, OpenedCheckpoint
from arbiter.audit.entry import Entry, commit
from arbiter.audit.fields import exact_fields, field_of
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.note import VerifierKey, decode_base64, encode_base64
from arbiter.audit.proof import TlogProof, verify_proof
from arbiter.errors import VerificationError

RECEIPT_FORMAT = "arbiter/receipt/v1"
MAX_RECEIPT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Opening:
    """A commitment's name with the salt and content that open it."""

    name: str
    salt: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt of which nothing has been verified: the entry's bytes, the proof, and openings sorted by name."""

    entry: bytes
    proof: TlogProof
    openings: tuple[Opening, ...]

    def __post_init__(self) -> None:
        names = [opening.name for opening in self.openings]
        if names != sorted(set(names)):
            raise ValueError("openings must be sorted by name and unique")

    def encode(self) -> bytes:
        """Return the receipt's canonical JSON."""
        return canonical_bytes(
            {
                "format": RECEIPT_FORMAT,
                "entry": self.entry.decode("utf-8"),
                "proof": self.proof.encode().decode("utf-8"),
                "openings": [
                    {"name": o.name, "salt": encode_base64(o.salt), "content": encode_base64(o.content)}
                    for o in self.openings
                ],
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Receipt:
        """Return the receipt that `data` spells; raises `VerificationError` if malformed or over the size limit."""
        if len(data) > MAX_RECEIPT_BYTES:
            raise VerificationError(
                f"expected a receipt of at most {MAX_RECEIPT_BYTES} bytes, came {len(data)}"
            )
        fields = exact_fields(parse_canonical(data), {"format", "entry", "proof", "openings"}, "receipt")
        if fields["format"] != RECEIPT_FORMAT:
            raise VerificationError(f"expected a receipt of format {RECEIPT_FORMAT}, came another")
        openings = field_of(fields, "openings", list, "receipt")
        try:
            return cls(
                field_of(fields, "entry", str, "receipt").encode("utf-8"),
                TlogProof.parse(field_of(fields, "proof", str, "receipt").encode("utf-8")),
                tuple(_opening(opening, f"opening {i}") for i, opening in enumerate(openings)),
            )
        except ValueError as error:
            raise VerificationError(f"receipt: {error}") from error


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """What a receipt proves: the entry at `index` of the log, the checkpoint it stands under, the opened contents.

    `unopened` names the entry's commitments whose contents the receipt does not show.
    """

    entry: Entry
    index: int
    opened: OpenedCheckpoint
    contents: tuple[tuple[str, bytes], ...]
    unopened: tuple[str, ...]

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint the entry stands under."""
        return self.opened.checkpoint

    def content(self, name: str) -> bytes | None:
        """Return the opened content of that name, or None."""
        return dict(self.contents).get(name)


def verify_receipt(data: bytes, verifiers: Iterable[VerifierKey]) -> VerifiedReceipt:
    """Check a receipt offline, from its bytes and the verifier keys alone, and return what it proves.

    Checks the entry's form, its inclusion, the log's signature and each opening against the entry's commitment.
    Raises `VerificationError` naming what fails.
    """
    receipt = Receipt.parse(data)
    entry = Entry.from_bytes(receipt.entry)
    opened = verify_proof(receipt.proof, leaf_hash(receipt.entry), verifiers)
    commitments = dict(entry.commits)
    for opening in receipt.openings:
        commitment = commitments.pop(opening.name, None)
        if commitment is None:
            raise VerificationError(f"opening {opening.name}: the entry commits to nothing of that name")
        if commitment != _commitment(opening):
            raise VerificationError(f"opening {opening.name} does not open the entry's commitment")
    contents = tuple((opening.name, opening.content) for opening in receipt.openings)
    return VerifiedReceipt(entry, receipt.proof.index, opened, contents, tuple(commitments))


def _commitment(opening: Opening) -> str:
    try:
        return commit(opening.name, opening.salt, opening.content)
    except ValueError as error:
        raise VerificationError(f"opening {opening.name}: {error}") from error


def _opening(value: Json, place: str) -> Opening:
    fields = exact_fields(value, {"name", "salt", "content"}, place)
    name, salt, content = (field_of(fields, field, str, place) for field in ("name", "salt", "content"))
    return Opening(name, decode_base64(salt), decode_base64(content))
