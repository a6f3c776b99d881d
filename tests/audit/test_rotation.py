"""Key rotation as an outsider follows it who holds the first key: what is believed, and every way to be lied to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.checkpoint import Checkpoint, LogKey, open_checkpoint, sign_checkpoint
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import Ed25519NoteSigner, SignatureType, Signer, VerifierKey, open_note
from arbiter.audit.rotation import (
    NO_PREVIOUS,
    Act,
    Rotation,
    current_keys,
    follow_rotations,
    join_statements,
    next_rotation,
    split_statements,
)
from arbiter.errors import VerificationError

ORIGIN = "log.hospital.example/arbiter"


def pair(number: int, origin: str = ORIGIN) -> tuple[Ed25519NoteSigner, tuple[VerifierKey, ...]]:
    first = Ed25519NoteSigner(origin, bytes([number]) * 32)
    second = MlDsa44Key(origin, bytes([number]) * 32)
    return first, (VerifierKey.parse(first.verifier_key), VerifierKey.parse(second.verifier_key))


(ONE, ONES), (TWO, TWOS), (THREE, THREES) = (pair(number) for number in (1, 2, 3))


def step(
    chain: list[bytes],
    act: Act,
    size: int,
    old: tuple[Signer, tuple[VerifierKey, ...]],
    new: tuple[Signer, tuple[VerifierKey, ...]],
) -> None:
    chain.append(next_rotation(chain, act, size, old[1], new[1]).sign(old[0], new[0]))


def a_chain() -> list[bytes]:
    """Two whole rotations: one to two between 100 and 120, two to three between 500 and 510."""
    chain: list[bytes] = []
    step(chain, Act.OVERLAP, 100, (ONE, ONES), (TWO, TWOS))
    step(chain, Act.RETIRE, 120, (ONE, ONES), (TWO, TWOS))
    step(chain, Act.OVERLAP, 500, (TWO, TWOS), (THREE, THREES))
    step(chain, Act.RETIRE, 510, (TWO, TWOS), (THREE, THREES))
    return chain


CHAIN = a_chain()


def note_of(size: int, *signers: Signer) -> bytes:
    root = sha256(b"%d" % size if size else b"").digest()
    return sign_checkpoint(Checkpoint(ORIGIN, size, root), signers)


def ranges(keys: tuple[LogKey, ...]) -> list[tuple[int, int | None]]:
    return [(key.first_size, key.last_size) for key in keys if key.type is SignatureType.ED25519]


def test_who_holds_only_the_first_key_follows_to_the_last() -> None:
    keys = follow_rotations(ONES[:1], CHAIN)
    ed25519 = [key.public() for key in keys if key.type is SignatureType.ED25519]
    assert ed25519 == [ONES[0], TWOS[0], THREES[0]]
    assert ranges(keys) == [(0, 120), (100, 510), (500, None)]
    assert [key.public() for key in current_keys(keys)] == list(THREES)


def test_the_second_keys_are_followed_along() -> None:
    keys = follow_rotations(ONES, CHAIN)
    second = [key for key in keys if key.type is SignatureType.MLDSA44_COSIGNATURE]
    assert [(key.public(), key.first_size, key.last_size) for key in second] == [
        (ONES[1], 0, 120),
        (TWOS[1], 100, 510),
        (THREES[1], 500, None),
    ]


def test_before_any_rotation_the_first_keys_sign_without_end() -> None:
    assert ranges(follow_rotations(ONES, [])) == [(0, None)]


def test_an_older_log_gains_its_second_key_by_a_rotation() -> None:
    chain: list[bytes] = []
    step(chain, Act.OVERLAP, 7, (ONE, ONES[:1]), (TWO, TWOS))
    keys = follow_rotations(ONES[:1], chain)
    assert [(key.public(), key.first_size) for key in keys] == [(ONES[0], 0), (TWOS[0], 7), (TWOS[1], 7)]


@pytest.mark.parametrize(
    ("size", "signers"),
    [(0, [ONE]), (100, [ONE]), (110, [ONE, TWO]), (120, [ONE]), (121, [TWO]), (510, [TWO]), (511, [THREE])],
)
def test_checkpoints_of_every_age_go_on_verifying(size: int, signers: list[Signer]) -> None:
    keys = follow_rotations(ONES, CHAIN)
    assert open_checkpoint(note_of(size, *signers), keys).checkpoint.size == size


@pytest.mark.parametrize(
    ("size", "signers"),
    [(121, [ONE]), (10**6, [ONE]), (99, [TWO]), (511, [TWO]), (511, [ONE, TWO]), (499, [THREE]), (0, [TWO])],
)
def test_a_checkpoint_by_keys_outside_their_range_alone_is_refused(size: int, signers: list[Signer]) -> None:
    with pytest.raises(VerificationError, match=f"checkpoint of size {size}: signed only by key"):
        open_checkpoint(note_of(size, *signers), follow_rotations(ONES, CHAIN))


def test_a_retired_key_beside_the_present_one_counts_for_nothing() -> None:
    opened = open_checkpoint(note_of(600, ONE, THREE), follow_rotations(ONES, CHAIN))
    assert [signature.key.key_id for signature in opened.signatures] == [THREES[0].key_id]


def test_a_bad_signature_of_a_retired_key_still_refuses_the_note() -> None:
    good = note_of(600, THREE).decode()
    bad = note_of(601, ONE).decode().splitlines(keepends=True)[-1]
    with pytest.raises(VerificationError, match="bad signature"):
        open_checkpoint((good + bad).encode(), follow_rotations(ONES, CHAIN))


def test_a_statement_is_a_note_by_both_keys_that_names_what_it_is() -> None:
    opened = open_note(CHAIN[0], [ONES[0], TWOS[0]])
    assert {signature.key for signature in opened.verified} == {ONES[0], TWOS[0]}
    assert opened.text.startswith(
        f"arbiter/key-rotation/v1\norigin {ORIGIN}\nnumber 1\nprevious {NO_PREVIOUS}\n"
    )
    assert Rotation.parse(opened.text).text() == opened.text


def signed_by_the_old_key_alone() -> list[bytes]:
    rotation = next_rotation([], Act.OVERLAP, 100, ONES, TWOS)
    return [rotation.sign(ONE, ONE)]


def signed_by_the_new_key_alone() -> list[bytes]:
    rotation = next_rotation([], Act.OVERLAP, 100, ONES, TWOS)
    return [rotation.sign(TWO, TWO)]


def signed_by_a_stranger_in_the_old_keys_place() -> list[bytes]:
    return [next_rotation([], Act.OVERLAP, 100, ONES, TWOS).sign(THREE, TWO)]


def by_a_stranger_who_names_himself_the_old_key() -> list[bytes]:
    return [next_rotation([], Act.OVERLAP, 100, THREES, TWOS).sign(THREE, TWO)]


def for_another_origin() -> list[bytes]:
    other_old, other_olds = pair(1, "log.other.example/arbiter")
    other_new, other_news = pair(2, "log.other.example/arbiter")
    return [next_rotation([], Act.OVERLAP, 100, other_olds, other_news).sign(other_old, other_new)]


def for_another_origin_by_our_keys() -> list[bytes]:
    rotation = replace(next_rotation([], Act.OVERLAP, 100, ONES, TWOS), origin="log.other.example/arbiter")
    return [rotation.sign(ONE, TWO)]


def with_a_new_key_of_another_name() -> list[bytes]:
    new, news = pair(2, "log.other.example/arbiter")
    return [next_rotation([], Act.OVERLAP, 100, ONES, news).sign(ONE, new)]


def back_to_a_retired_key() -> list[bytes]:
    chain = CHAIN[:2]
    step(chain, Act.OVERLAP, 300, (TWO, TWOS), (ONE, ONES))
    return chain


def back_to_a_retired_second_key() -> list[bytes]:
    chain = CHAIN[:2]
    step(chain, Act.OVERLAP, 300, (TWO, TWOS), (THREE, (THREES[0], ONES[1])))
    return chain


def by_a_retired_key() -> list[bytes]:
    chain = CHAIN[:2]
    step(chain, Act.OVERLAP, 300, (ONE, ONES), (THREE, THREES))
    return chain


def the_first_statement_twice() -> list[bytes]:
    return [CHAIN[0], CHAIN[0]]


def the_first_rotation_left_out() -> list[bytes]:
    return CHAIN[2:]


def a_retirement_left_out() -> list[bytes]:
    return [CHAIN[0], CHAIN[2]]


def the_order_changed() -> list[bytes]:
    return [CHAIN[1], CHAIN[0]]


def a_second_rotation_inside_the_first() -> list[bytes]:
    chain = CHAIN[:1]
    step(chain, Act.OVERLAP, 110, (TWO, TWOS), (THREE, THREES))
    return chain


def a_retirement_without_a_rotation() -> list[bytes]:
    chain: list[bytes] = []
    step(chain, Act.RETIRE, 100, (ONE, ONES), (TWO, TWOS))
    return chain


def a_retirement_in_favour_of_a_third_key() -> list[bytes]:
    chain = CHAIN[:1]
    step(chain, Act.RETIRE, 120, (ONE, ONES), (THREE, THREES))
    return chain


def the_new_key_retired_instead() -> list[bytes]:
    chain = CHAIN[:1]
    step(chain, Act.RETIRE, 120, (TWO, TWOS), (ONE, ONES))
    return chain


def a_size_before_the_last() -> list[bytes]:
    chain = CHAIN[:1]
    step(chain, Act.RETIRE, 99, (ONE, ONES), (TWO, TWOS))
    return chain


def another_number() -> list[bytes]:
    return [replace(next_rotation([], Act.OVERLAP, 100, ONES, TWOS), number=2).sign(ONE, TWO)]


def another_predecessor() -> list[bytes]:
    chain = CHAIN[:1]
    rotation = replace(next_rotation(chain, Act.RETIRE, 120, ONES, TWOS), previous="1" * 64)
    return [*chain, rotation.sign(ONE, TWO)]


def of_another_version() -> list[bytes]:
    return [CHAIN[0].replace(b"key-rotation/v1", b"key-rotation/v2")]


def with_another_size() -> list[bytes]:
    return [CHAIN[0].replace(b"size 100", b"size 101")]


def with_a_line_more() -> list[bytes]:
    return [CHAIN[0].replace(b"size 100\n", b"size 100\nsize 100\n")]


def a_checkpoint_instead() -> list[bytes]:
    return [note_of(100, ONE, TWO)]


def nothing_at_all() -> list[bytes]:
    return [b""]


LIES: tuple[Callable[[], list[bytes]], ...] = (
    signed_by_the_old_key_alone,
    signed_by_the_new_key_alone,
    signed_by_a_stranger_in_the_old_keys_place,
    by_a_stranger_who_names_himself_the_old_key,
    for_another_origin,
    for_another_origin_by_our_keys,
    with_a_new_key_of_another_name,
    back_to_a_retired_key,
    back_to_a_retired_second_key,
    by_a_retired_key,
    the_first_statement_twice,
    the_first_rotation_left_out,
    a_retirement_left_out,
    the_order_changed,
    a_second_rotation_inside_the_first,
    a_retirement_without_a_rotation,
    a_retirement_in_favour_of_a_third_key,
    the_new_key_retired_instead,
    a_size_before_the_last,
    another_number,
    another_predecessor,
    of_another_version,
    with_another_size,
    with_a_line_more,
    a_checkpoint_instead,
    nothing_at_all,
)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_chain_that_does_not_follow_is_refused_and_the_place_is_named(
    lie: Callable[[], list[bytes]],
) -> None:
    chain = lie()
    with pytest.raises(
        VerificationError,
        match=rf"^key rotation {len(chain) if lie is not the_first_rotation_left_out and lie is not the_order_changed else 1}: ",
    ):
        follow_rotations(ONES, chain)


@given(st.integers(0, 3), st.data())
def test_any_changed_byte_of_a_statement_is_refused(which: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(CHAIN[which]) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(CHAIN[which])
    changed[place] ^= 1 << bit
    forged = [*CHAIN[:which], bytes(changed), *CHAIN[which + 1 :]]
    with pytest.raises(VerificationError):
        follow_rotations(ONES, forged)


@pytest.mark.parametrize(
    "first",
    [(), (ONES[1],), (ONES[0], TWOS[0]), (*ONES, TWOS[1])],
    ids=["none", "second alone", "two", "three"],
)
def test_trust_begins_with_one_key_of_each_kind(first: tuple[VerifierKey, ...]) -> None:
    with pytest.raises(VerificationError, match="expected an Ed25519 key"):
        follow_rotations(first, CHAIN)


def test_another_first_key_follows_nothing() -> None:
    with pytest.raises(VerificationError, match="key rotation 1: the old key is not the one"):
        follow_rotations(TWOS, CHAIN)


def test_statements_are_kept_in_one_text() -> None:
    text = join_statements(CHAIN)
    assert split_statements(text) == tuple(CHAIN)
    assert split_statements(b"") == ()
    assert split_statements(join_statements(CHAIN[:1])) == tuple(CHAIN[:1])
