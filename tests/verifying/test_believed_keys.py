"""Which keys an outsider believes who trusts one: every way in which statements lead on, and every way to be lied to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from arbiter.audit.checkpoint import Checkpoint, LogKey
from arbiter.audit.entry import FIRST_PREV, Entry, commit
from arbiter.audit.export.believing import Trust, believed_keys
from arbiter.audit.export.statements import StatedInLog, check_order, makes_statement
from arbiter.audit.merkle import leaf_hash, node_hash, root_of
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey
from arbiter.audit.public_keys import KeyHistory, read_history, write_public_keys
from arbiter.audit.recovery import RECOVERED, RECOVERY_CHAIN
from arbiter.audit.recovery import STATEMENT as RECOVERY
from arbiter.audit.rotation import RETIRED, ROTATED, Act, next_rotation
from arbiter.audit.rotation import STATEMENT as ROTATION
from arbiter.errors import VerificationError
from arbiter.verifying import script
from tests.audit.recoveries import AT, SAID, SALT
from tests.audit.test_rotation import (
    CHAIN,
    LIES,
    ONE,
    ONES,
    ORIGIN,
    THREE,
    THREES,
    TWO,
    TWOS,
    back_to_a_retired_key,
    by_a_stranger_who_names_himself_the_old_key,
    for_another_origin,
    pair,
    signed_by_the_new_key_alone,
    signed_by_the_old_key_alone,
)

NEXT, NEXTS = pair(4, f"{ORIGIN}.2")
OTHER, OTHERS = pair(5, f"{ORIGIN}.2")
NO_KEYS: tuple[VerifierKey, ...] = ()


def stated(content: bytes, index: int = 0) -> StatedInLog:
    """A statement as an export carries it, without its audit path."""
    recovery = b"arbiter/recovery/v1" in content
    what = RECOVERED if recovery else RETIRED if b"\nact retire\n" in content else ROTATED
    entry = Entry(
        type=what,
        case=RECOVERY_CHAIN if recovery else "house",
        seq=0,
        prev=FIRST_PREV,
        at=AT,
        actor="anna",
        trace="",
        versions=(),
        commits=((name := RECOVERY if recovery else ROTATION, commit(name, SALT, content)),),
    )
    return StatedInLog(index, entry.to_bytes(), (), SALT, content)


def statements(*contents: bytes) -> list[StatedInLog]:
    return [stated(content, index) for index, content in enumerate(contents)]


def recovery(
    signers: Sequence[Ed25519NoteSigner],
    keys: tuple[VerifierKey, ...] = NEXTS,
    old: str = ORIGIN,
    new: str = f"{ORIGIN}.2",
) -> bytes:
    return replace(SAID, old=old, new=new, keys=keys).sign(signers)


def believed(
    trusted: Sequence[VerifierKey], *contents: bytes, histories: tuple[KeyHistory, ...] = ()
) -> dict[VerifierKey, tuple[int, int | None] | None]:
    """The believed keys with the sizes they may sign, None for those that are bound to none."""
    keys = believed_keys(Trust(tuple(trusted), histories), NO_KEYS, statements(*contents))
    return {
        VerifierKey(key.name, key.type, key.public_key): (key.first_size, key.last_size)
        if isinstance(key, LogKey)
        else None
        for key in keys
    }


def followed(trusted: Sequence[VerifierKey], *contents: bytes) -> set[str]:
    """The same as the script finds it by itself."""
    return set(script.followed([key.encode() for key in trusted], [content.decode() for content in contents]))


# --- rotations ------------------------------------------------------------------------------------------------------


def test_whoever_trusts_the_first_key_alone_believes_all_that_followed() -> None:
    found = believed(ONES[:1], *CHAIN)
    assert found == {
        ONES[0]: (0, 120),
        ONES[1]: (0, 120),
        TWOS[0]: (100, 510),
        TWOS[1]: (100, 510),
        THREES[0]: (500, None),
        THREES[1]: (500, None),
    }
    assert followed(ONES[:1], *CHAIN) == {key.encode() for key in (ONES[0], TWOS[0], THREES[0])}


@pytest.mark.parametrize("trusted", [TWOS[:1], THREES[:1], THREES])
def test_a_later_key_leads_to_those_before_it_as_far_as_they_might_sign(
    trusted: tuple[VerifierKey, ...],
) -> None:
    assert believed(trusted, *CHAIN) == believed(ONES[:1], *CHAIN)
    # And never to a program that an old key has signed.
    assert ONES[0].encode() not in followed(trusted, *CHAIN)


def test_a_stranger_believes_no_key_but_their_own() -> None:
    stranger = pair(9)[1]
    assert believed(stranger, *CHAIN) == dict.fromkeys(stranger)
    assert followed(stranger, *CHAIN) == {key.encode() for key in stranger}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_chain_that_does_not_follow_makes_nothing_believed(lie: Callable[[], list[bytes]]) -> None:
    contents = lie()
    if lie in {for_another_origin, by_a_stranger_who_names_himself_the_old_key}:
        # Two keys that vouch for each other: nothing leads there.
        assert set(believed(ONES, *contents)) == set(ONES)
        return
    with pytest.raises(VerificationError):
        believed(ONES, *contents)


@pytest.mark.parametrize(
    "lie",
    [
        lie
        for lie in LIES
        if lie.__name__.startswith(
            ("signed_by", "by_a_stranger", "for_another", "with_a_new_key", "the_new_key")
        )
    ],
    ids=lambda lie: lie.__name__,
)
def test_the_script_runs_nothing_on_the_word_of_a_forged_rotation(lie: Callable[[], list[bytes]]) -> None:
    known = {key.encode() for key in ONES[:1]}
    before = len(lie()) - 1
    assert followed(ONES[:1], *lie()) - known <= followed(ONES[:1], *lie()[:before])


def test_a_changed_statement_is_refused_by_the_script_too() -> None:
    changed = CHAIN[0].replace(b"size 100", b"size 101")
    with pytest.raises(script.RefusedError, match="bad"):
        followed(ONES, changed)


def test_a_key_file_that_knows_of_a_retirement_binds_the_retired_key() -> None:
    """An export whose maker left out that its key was retired: who has the file knows better."""
    history = KeyHistory(ONES, tuple(CHAIN))
    assert believed((), histories=(history,))[ONES[0]] == (0, 120)
    assert believed((), *CHAIN[:1], histories=(history,))[ONES[0]] == (0, 120)


def test_an_older_key_file_is_followed_on_by_what_the_export_states() -> None:
    for known in range(len(CHAIN) + 1):
        history = read_history(write_public_keys(ONES, CHAIN[:known]))
        assert believed((), *CHAIN, histories=(history,)) == believed(ONES, *CHAIN)


def test_two_records_of_one_logs_keys_that_differ_are_refused() -> None:
    other = [next_rotation([], Act.OVERLAP, 100, ONES, THREES).sign(ONE, THREE)]
    history = KeyHistory(ONES, tuple(CHAIN))
    with pytest.raises(VerificationError, match=r"key rotation 1 .* is another here"):
        believed((), *other, histories=(history,))


def test_a_key_file_that_begins_with_another_key_is_refused() -> None:
    with pytest.raises(VerificationError, match=r"key rotation|begun with one key"):
        believed((), *CHAIN, histories=(KeyHistory(TWOS, ()),))


def test_a_second_key_that_the_log_does_not_state_is_refused() -> None:
    stranger = VerifierKey.parse(MlDsa44Key(ORIGIN, b"9" * 32).verifier_key)
    with pytest.raises(VerificationError, match="none of the ML-DSA-44 keys"):
        believed((ONES[0], stranger), *CHAIN)


def test_where_nothing_is_stated_every_key_given_is_believed_and_no_ed25519_key_that_is_carried() -> None:
    keys = believed_keys(Trust((ONES[0], THREES[0])), (*TWOS,), [])
    assert set(keys) == {ONES[0], THREES[0], TWOS[1]}
    assert set(believed_keys(Trust((ONES[0], ONES[1])), (*TWOS,), [])) == set(ONES)


# --- recoveries -----------------------------------------------------------------------------------------------------


def test_whoever_trusts_the_old_origins_key_believes_the_keys_of_the_new_one() -> None:
    note = recovery([ONE, NEXT])
    assert believed(ONES[:1], note) == {ONES[0]: (0, None), NEXTS[0]: (0, None), NEXTS[1]: (0, None)}
    assert followed(ONES[:1], note) == {ONES[0].encode(), NEXTS[0].encode()}


def test_keys_are_followed_through_rotations_of_both_origins() -> None:
    later, laters = pair(6, f"{ORIGIN}.2")
    rotated = next_rotation([], Act.OVERLAP, 700, NEXTS, laters).sign(NEXT, later)
    contents = (*CHAIN, recovery([THREE, NEXT]), rotated)
    assert believed(ONES[:1], *contents)[laters[0]] == (700, None)
    assert laters[0].encode() in followed(ONES[:1], *contents)


def test_the_new_origins_key_does_not_speak_for_the_old_one() -> None:
    assert ONES[0] not in believed(NEXTS, recovery([ONE, NEXT]))
    assert followed(NEXTS, recovery([ONE, NEXT])) == {key.encode() for key in NEXTS}


@pytest.mark.parametrize(
    "note",
    [
        recovery([ONE, NEXT], ()),
        recovery([ONE]),
        recovery([NEXT]),
        recovery([ONE, NEXT], OTHERS),
        recovery([TWO, NEXT]),
        recovery([ONE, NEXT], new=f"{ORIGIN}.3"),
        recovery([ONE, NEXT], old="log.elsewhere.example"),
    ],
    ids=["no keys", "old alone", "new alone", "other keys", "by a stranger", "other new", "other old"],
)
def test_a_recovery_that_does_not_lead_on_leads_nowhere(note: bytes) -> None:
    known = {key.encode() for key in ONES[:1]}
    assert followed(ONES[:1], note) == known
    try:
        found = believed(ONES[:1], note)
    except VerificationError:
        return
    assert set(found) == set(ONES[:1])


def test_a_retired_key_begins_no_origin() -> None:
    """Whoever stole it after its end can sign nothing that those believe who know of the end."""
    assert NEXTS[0] not in believed(ONES[:1], *CHAIN, recovery([ONE, NEXT]))
    assert NEXTS[0] in believed(ONES[:1], *CHAIN, recovery([THREE, NEXT]))


def test_a_replaced_key_begins_no_origin_for_whoever_trusts_its_successor_alone() -> None:
    """Its thief shows the rotation and leaves out the retirement: the old key looks as if it still signed."""
    overlapping = CHAIN[:1]
    assert ONES[0] in believed(TWOS[:1], *overlapping, recovery([ONE, NEXT]))
    assert NEXTS[0] not in believed(TWOS[:1], *overlapping, recovery([ONE, NEXT]))
    for trusted, by in ((TWOS, TWO), (ONES, ONE), (ONES, TWO)):
        assert NEXTS[0] in believed(trusted[:1], *overlapping, recovery([by, NEXT]))
        assert followed(trusted[:1], *overlapping, recovery([by, NEXT])) >= {NEXTS[0].encode()}
    assert NEXTS[0].encode() not in followed(TWOS[:1], *overlapping, recovery([ONE, NEXT]))


def test_two_recoveries_that_name_different_keys_for_one_origin_are_refused() -> None:
    with pytest.raises(VerificationError, match="different keys"):
        believed(ONES, recovery([ONE, NEXT]), recovery([OTHER], OTHERS))


def test_a_recovery_that_the_new_origins_key_did_not_sign_is_refused_where_that_is_believed() -> None:
    with pytest.raises(VerificationError, match="no known key"):
        believed((*ONES, *NEXTS), recovery([ONE]))


# --- in the log -----------------------------------------------------------------------------------------------------

STATED = stated(CHAIN[0], 1)
LEAVES = [leaf_hash(b"another"), leaf_hash(STATED.body), leaf_hash(b"a third")]
HELD = replace(STATED, hashes=(LEAVES[0], LEAVES[2]))
TREE = Checkpoint(ORIGIN, 3, root_of(LEAVES))


def test_a_statement_stands_in_the_log_with_the_entry_that_commits_to_it() -> None:
    assert TREE.root == node_hash(node_hash(LEAVES[0], LEAVES[1]), LEAVES[2])
    HELD.verify(TREE)
    assert makes_statement(HELD.entry)


def other_entry(**changed: object) -> bytes:
    return replace(STATED.entry, **changed).to_bytes()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"hashes": ()}, "does not hold it"),
        ({"hashes": (LEAVES[2], LEAVES[0])}, "does not hold it"),
        ({"index": 0}, "does not hold it"),
        ({"index": 3}, "does not hold it"),
        ({"salt": b"s" * 32}, "not the one that the entry commits to"),
        ({"salt": b""}, "a salt has"),
        ({"content": CHAIN[1]}, "not the one that the entry commits to"),
        ({"body": other_entry(type="house.tried")}, "makes no statement"),
        ({"body": other_entry(type=RETIRED)}, "cannot state overlap"),
        ({"body": other_entry(type=RECOVERED)}, "not the one that the entry commits to"),
        ({"body": other_entry(commits=())}, "not the one that the entry commits to"),
        ({"body": other_entry(actor="ben")}, "does not hold it"),
        ({"body": b"no entry"}, "expected"),
    ],
)
def test_a_statement_that_the_log_does_not_hold_is_refused(changed: dict[str, object], told: str) -> None:
    with pytest.raises(VerificationError, match=told):
        replace(HELD, **changed).verify(TREE)  # type: ignore[arg-type]


def test_statements_reordered_or_repeated_are_refused() -> None:
    first, second = statements(*CHAIN[:2])
    check_order([first, second])
    for wrong in ([second, first], [first, first]):
        with pytest.raises(VerificationError, match="order"):
            check_order(wrong)
    with pytest.raises(VerificationError, match="key rotation 1"):
        believed(ONES, *reversed(CHAIN))


def test_what_one_key_alone_signed_is_no_rotation_whoever_it_was() -> None:
    for lie in (signed_by_the_old_key_alone, signed_by_the_new_key_alone, back_to_a_retired_key):
        with pytest.raises(VerificationError):
            believed(ONES[:1], *lie())
