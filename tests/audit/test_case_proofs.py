"""A case's proofs verify offline, and nothing in them can be changed, dropped, swapped or borrowed unnoticed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.canonical import canonical_bytes
from arbiter.audit.case_proofs import CaseProofs, ProvenEntry, verify_case_proofs
from arbiter.audit.entry import Entry
from arbiter.audit.merkle import leaf_hash, prove_inclusion
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey
from arbiter.audit.proof import verify_proof
from arbiter.errors import VerificationError
from tests.audit.logs import KEYS, ORIGIN, example_log, nodes_of, note_at

CASE = "case-0001"
SIZES = (2, 3, 4, 14, 255, 256, 257)


def proofs_of(size: int, case: str = CASE, skip: int = 0) -> CaseProofs:
    """Every entry of a case in the log of `size` entries, from its `skip`-th on."""
    log = example_log(size)
    nodes = nodes_of(log.leaves)
    mine = [i for i, body in enumerate(log.entries) if Entry.from_bytes(body).case == case]
    proven = tuple(ProvenEntry(i, log.entries[i], prove_inclusion(i, size, nodes)) for i in mine[skip:])
    return CaseProofs(case, log.notes[0], proven)


def changed(proofs: CaseProofs, change: Any) -> bytes:
    fields = json.loads(proofs.encode())
    change(fields)
    return canonical_bytes(fields)


@pytest.mark.parametrize("size", SIZES)
def test_all_entries_of_a_case_verify_under_one_checkpoint(size: int) -> None:
    proofs = proofs_of(size)
    verified = verify_case_proofs(proofs.encode(), KEYS)
    assert verified.case == CASE
    assert [index for index, _ in verified.entries] == list(range(1, size, 3))
    assert [entry.seq for _, entry in verified.entries] == list(range(len(proofs.entries)))
    assert verified.from_start
    assert verified.closed == (len(proofs.entries) > 4)
    assert verified.opened.checkpoint.size == size
    assert CaseProofs.parse(proofs.encode()) == proofs


def test_each_entry_stands_alone_as_a_tlog_proof() -> None:
    proofs = proofs_of(257)
    for proven in proofs.entries:
        assert (
            verify_proof(proven.proof(proofs.checkpoint), leaf_hash(proven.entry), KEYS).checkpoint.size
            == 257
        )


def test_a_page_that_begins_later_says_so() -> None:
    verified = verify_case_proofs(proofs_of(20, skip=2).encode(), KEYS)
    assert not verified.from_start
    assert verified.entries[0][1].seq == 2


def drop_middle(fields: dict[str, Any]) -> None:
    del fields["entries"][2]


def swap(fields: dict[str, Any]) -> None:
    fields["entries"][1], fields["entries"][2] = fields["entries"][2], fields["entries"][1]


def repeat(fields: dict[str, Any]) -> None:
    fields["entries"].insert(1, fields["entries"][0])


def another_index(fields: dict[str, Any]) -> None:
    fields["entries"][1]["index"] = str(int(fields["entries"][1]["index"]) + 1)


def another_proof(fields: dict[str, Any]) -> None:
    fields["entries"][1]["proof"] = fields["entries"][2]["proof"]


def shorter_proof(fields: dict[str, Any]) -> None:
    fields["entries"][1]["proof"].pop()


def longer_proof(fields: dict[str, Any]) -> None:
    fields["entries"][1]["proof"].append(fields["entries"][1]["proof"][0])


def another_case(fields: dict[str, Any]) -> None:
    fields["case"] = "case-0002"


def another_actor(fields: dict[str, Any]) -> None:
    fields["entries"][1]["entry"] = fields["entries"][1]["entry"].replace("member:news2", "member:news3")


def older_checkpoint(fields: dict[str, Any]) -> None:
    fields["checkpoint"] = note_at(example_log(20).leaves, 19).decode()


def forged_checkpoint(fields: dict[str, Any]) -> None:
    fields["checkpoint"] = fields["checkpoint"].replace("\n20\n", "\n21\n")


def no_entries(fields: dict[str, Any]) -> None:
    fields["entries"] = []


def another_field(fields: dict[str, Any]) -> None:
    fields["more"] = "x"


def another_format(fields: dict[str, Any]) -> None:
    fields["format"] = "arbiter/case-proofs/v2"


def number_as_index(fields: dict[str, Any]) -> None:
    fields["entries"][1]["index"] = 4


def padded_index(fields: dict[str, Any]) -> None:
    fields["entries"][1]["index"] = "04"


def index_beyond(fields: dict[str, Any]) -> None:
    fields["entries"][-1]["index"] = "20"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_middle, "seq 2 is missing"),
        (swap, "seq 1 is missing"),
        (repeat, "duplicate seq"),
        (another_index, "does not lead to the root"),
        (another_proof, "does not lead to the root"),
        (shorter_proof, "too short"),
        (longer_proof, "too long"),
        (another_case, "another case"),
        (another_actor, "does not lead to the root"),
        (older_checkpoint, "does not lead to the root|too long|too short"),
        (forged_checkpoint, "bad signature"),
        (no_entries, "at least one entry"),
        (another_field, "exactly the fields"),
        (another_format, "format"),
        (number_as_index, "string"),
        (padded_index, "index"),
        (index_beyond, "index|root"),
    ],
)
def test_changed_proofs_are_refused(change: Any, said: str) -> None:
    with pytest.raises(VerificationError, match=said):
        verify_case_proofs(changed(proofs_of(20), change), KEYS)


def test_another_logs_key_is_refused() -> None:
    other = VerifierKey.parse(Ed25519NoteSigner(ORIGIN, b"k" * 32).verifier_key)
    with pytest.raises(VerificationError, match="known key"):
        verify_case_proofs(proofs_of(20).encode(), (other,))


PLAIN = proofs_of(20).encode()


# Unknown signatures are ignored and base64 of the note's own key is checked: every byte counts.
@given(st.integers(0, len(PLAIN) - 1), st.integers(1, 255))
def test_any_byte_changed_is_refused(place: int, flip: int) -> None:
    broken = bytearray(PLAIN)
    broken[place] ^= flip
    with pytest.raises(VerificationError):
        verify_case_proofs(bytes(broken), KEYS)
