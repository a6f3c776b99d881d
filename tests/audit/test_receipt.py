"""Receipts: verified from bytes and keys alone; a receipt that claims more than the log proves is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit import receipt as receipts
from arbiter.audit.entry import Entry
from arbiter.audit.merkle import prove_inclusion
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey
from arbiter.audit.proof import TlogProof
from arbiter.audit.receipt import Opening, Receipt, verify_receipt
from arbiter.errors import VerificationError
from tests.audit.logs import FACTS, KEYS, OPINION, ORIGIN, example_log, nodes_of, salt

LOG = example_log(70)
INDEX = 14
OPENINGS = (Opening("facts", salt("facts"), FACTS), Opening("opinion", salt("opinion"), OPINION))
RECEIPT = Receipt(
    LOG.entries[INDEX],
    TlogProof(INDEX, prove_inclusion(INDEX, 70, nodes_of(LOG.leaves)), LOG.notes[0]),
    OPENINGS,
)


def test_a_receipt_proves_entry_checkpoint_and_contents() -> None:
    verified = verify_receipt(RECEIPT.encode(), KEYS)
    assert verified.entry == Entry.from_bytes(LOG.entries[INDEX])
    assert (verified.index, verified.checkpoint.size, verified.checkpoint.origin) == (INDEX, 70, ORIGIN)
    assert verified.content("facts") == FACTS
    assert verified.content("opinion") == OPINION
    assert verified.unopened == ()


def test_a_receipt_is_canonical_json_of_the_documented_fields() -> None:
    data = RECEIPT.encode()
    document = json.loads(data)
    assert rfc8785.dumps(document) == data
    assert sorted(document) == ["entry", "format", "openings", "proof"]
    assert document["format"] == "arbiter/receipt/v1"
    assert document["entry"].encode() == LOG.entries[INDEX]
    assert Receipt.parse(data) == RECEIPT


def test_what_is_not_opened_is_named() -> None:
    verified = verify_receipt(replace(RECEIPT, openings=OPENINGS[1:]).encode(), KEYS)
    assert verified.unopened == ("facts",)
    assert verified.content("facts") is None


@given(st.data())
def test_a_flipped_bit_anywhere_in_the_receipt_is_refused(data: st.DataObject) -> None:
    changed = bytearray(RECEIPT.encode())
    place = data.draw(st.integers(0, len(changed) * 8 - 1))
    changed[place // 8] ^= 1 << place % 8
    with pytest.raises(VerificationError):
        verify_receipt(bytes(changed), KEYS)


@given(st.data())
def test_a_cut_receipt_is_refused(data: st.DataObject) -> None:
    whole = RECEIPT.encode()
    with pytest.raises(VerificationError):
        verify_receipt(whole[: data.draw(st.integers(0, len(whole) - 1))], KEYS)


@pytest.mark.parametrize(
    ("openings", "reason"),
    [
        ((replace(OPENINGS[0], content=FACTS + b" "),), "opening facts does not open"),
        ((replace(OPENINGS[0], salt=salt("other")),), "opening facts does not open"),
        ((replace(OPENINGS[0], salt=b"short"),), "opening facts: a salt has 32 bytes"),
        ((replace(OPENINGS[1], name="facts"),), "opening facts does not open"),
        ((Opening("rationale", salt("facts"), FACTS),), "opening rationale: the entry commits to nothing"),
    ],
)
def test_an_opening_that_the_entry_does_not_commit_to_is_refused(
    openings: tuple[Opening, ...], reason: str
) -> None:
    with pytest.raises(VerificationError, match=reason):
        verify_receipt(replace(RECEIPT, openings=openings).encode(), KEYS)


@pytest.mark.parametrize("index", [0, INDEX - 1, INDEX + 1, 70])
def test_a_receipt_for_another_place_is_refused(index: int) -> None:
    moved = replace(RECEIPT, proof=replace(RECEIPT.proof, index=index))
    with pytest.raises(VerificationError, match="inclusion proof"):
        verify_receipt(moved.encode(), KEYS)


def test_a_receipt_of_another_entry_is_refused() -> None:
    with pytest.raises(VerificationError, match="inclusion proof"):
        verify_receipt(replace(RECEIPT, entry=LOG.entries[INDEX + 1]).encode(), KEYS)


def test_a_receipt_under_a_strangers_key_is_refused() -> None:
    stranger = VerifierKey.parse(Ed25519NoteSigner(ORIGIN, b"s" * 32).verifier_key)
    with pytest.raises(VerificationError, match="known key"):
        verify_receipt(RECEIPT.encode(), [stranger])


def document() -> dict[str, Any]:
    """Return the receipt's JSON to tamper with."""
    parsed: dict[str, Any] = json.loads(RECEIPT.encode())
    return parsed


@pytest.mark.parametrize(
    "change",
    [
        {"format": "arbiter/receipt/v2"},
        {"format": 1},
        {"extra": "x"},
        {"entry": ["x"]},
        {"entry": ""},
        {"proof": 1},
        {"proof": ""},
        {"openings": {}},
        {"openings": ["x"]},
        {"openings": [{"name": "facts"}]},
        {"openings": [{"name": "facts", "salt": "!!", "content": ""}]},
        {"openings": [{"name": "facts", "salt": "YQ", "content": ""}]},
        {"openings": [{"name": "facts", "salt": 1, "content": ""}]},
        {"openings": [{"name": "facts", "salt": "", "content": "", "more": ""}]},
    ],
)
def test_a_receipt_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        verify_receipt(rfc8785.dumps({**document(), **change}), KEYS)


@pytest.mark.parametrize("order", [(1, 0), (0, 0)])
def test_unsorted_or_repeated_openings_are_refused(order: tuple[int, int]) -> None:
    shuffled = document()
    listed = shuffled["openings"]
    shuffled["openings"] = [listed[i] for i in order]
    with pytest.raises(VerificationError, match="sorted by name"):
        verify_receipt(rfc8785.dumps(shuffled), KEYS)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b"{}", RECEIPT.encode() + b"\n", RECEIPT.encode().replace(b":", b": ", 1)]
)
def test_bytes_that_are_no_receipt_are_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        verify_receipt(data, KEYS)


def test_a_giant_receipt_is_refused_before_it_is_read() -> None:
    with pytest.raises(VerificationError, match="at most"):
        verify_receipt(b" " * (receipts.MAX_RECEIPT_BYTES + 1), KEYS)
