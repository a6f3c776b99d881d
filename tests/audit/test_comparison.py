"""Two checkpoints agree where one log holds both; a fork is pronounced only with proof, and bad tiles prove nothing."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from arbiter.audit.additions import CASES_REMEMBERED, AddedEntries
from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.comparison import (
    ContradictionError,
    compare_checkpoints,
    compare_under,
    comparison_parts,
    parts_under,
)
from arbiter.audit.merkle import EMPTY_ROOT, Frontier, NodeLookup, leaf_hash, root_of
from arbiter.errors import VerificationError
from tests.audit.logs import ORIGIN, example_entries, nodes_of
from tests.audit.naive import mth

SIZE = 300
EDGES = (0, 1, 2, 255, 256, 257, 299, 300)
LEAVES = tuple(map(leaf_hash, example_entries(SIZE)))
sizes = st.integers(0, SIZE)


@cache
def forked(at: int) -> tuple[bytes, ...]:
    """The log as it would be had another entry come at one place."""
    return (*LEAVES[:at], leaf_hash(b"another"), *LEAVES[at + 1 :])


@cache
def head(size: int, at: int | None = None, origin: str = ORIGIN) -> Checkpoint:
    leaves = LEAVES if at is None else forked(at)
    return Checkpoint(origin, size, root_of(leaves[:size]))


NODES = nodes_of(LEAVES)


def only(parts: frozenset[tuple[int, int]], nodes: NodeLookup) -> NodeLookup:
    """Nodes that were announced, as a database loads them; any other is a mistake."""
    held = {part: nodes(*part) for part in parts}
    return lambda level, index: held[level, index]


@pytest.mark.parametrize("old", EDGES)
@pytest.mark.parametrize("new", EDGES)
def test_a_log_contains_what_it_was(old: int, new: int) -> None:
    if old <= new:
        compare_checkpoints(head(old), head(new), only(comparison_parts(head(old), head(new)), NODES))
    else:
        with pytest.raises(ValueError, match="older"):
            compare_checkpoints(head(old), head(new), NODES)


@given(sizes, sizes, sizes)
def test_both_are_held_against_a_third(old: int, new: int, newest: int) -> None:
    old, new, newest = sorted((old, new, newest))
    wanted = parts_under(head(old), head(new), head(newest))
    compare_under(head(old), head(new), head(newest), only(wanted, NODES))


@given(sizes, sizes, st.data())
def test_a_fork_before_the_older_end_is_proved(old: int, new: int, data: st.DataObject) -> None:
    old, new = sorted((old, new))
    assume(old > 0)
    at = data.draw(st.integers(0, old - 1))
    with pytest.raises(ContradictionError):
        compare_checkpoints(head(old, at), head(new), NODES)


@given(sizes, sizes, st.integers(0, SIZE - 1))
def test_a_fork_after_the_older_end_is_none_between_these_two(old: int, new: int, at: int) -> None:
    old, new = sorted((old, new))
    assume(old <= at)
    compare_checkpoints(head(old, at), head(new), NODES)


def test_the_contradiction_names_both_roots() -> None:
    with pytest.raises(ContradictionError) as error:
        compare_checkpoints(head(256, 3), head(300), NODES)
    # The root that the newer one's first entries have, by the RFC's own recursion.
    assert mth(LEAVES[:256]).hex() in str(error.value)
    assert mth(forked(3)[:256]).hex() in str(error.value)


@given(st.integers(1, SIZE), st.integers(1, SIZE), st.integers(0, SIZE - 1))
def test_tiles_of_another_tree_prove_no_fork(old: int, new: int, at: int) -> None:
    """Whoever serves other tiles can stop the comparison, and accuse nobody."""
    old, new = sorted((old, new))
    assume(old < new)
    assume(at < new)
    with pytest.raises(VerificationError) as error:
        compare_checkpoints(head(old), head(new), nodes_of(forked(at)))
    assert not isinstance(error.value, ContradictionError)


@given(st.integers(1, SIZE), st.integers(1, SIZE), st.data())
def test_a_single_wrong_node_never_passes_and_accuses_nobody(old: int, new: int, data: st.DataObject) -> None:
    old, new = sorted((old, new))
    assume(old < new)
    parts = comparison_parts(head(old), head(new))
    wrong = data.draw(st.sampled_from(sorted(parts)))

    def tampered(level: int, index: int) -> bytes:
        node = NODES(level, index)
        return bytes(32) if (level, index) == wrong else node

    with pytest.raises(VerificationError) as error:
        compare_checkpoints(head(old), head(new), tampered)
    assert not isinstance(error.value, ContradictionError)


def test_a_server_that_mixes_two_trees_is_not_believed() -> None:
    """Nodes of the older tree below and of the newer above: each root could be had, and no proof joins them."""
    old, new = head(256, 3), head(300)
    fork = nodes_of(forked(3))

    def mixed(level: int, index: int) -> bytes:
        return (fork if level == 8 and index == 0 else NODES)(level, index)

    with pytest.raises(VerificationError):
        compare_checkpoints(old, new, mixed)


def test_another_origin_is_another_log() -> None:
    with pytest.raises(VerificationError, match="two logs"):
        compare_checkpoints(head(5, origin="other.example/log"), head(7), NODES)
    with pytest.raises(VerificationError, match="two logs"):
        compare_under(head(5), head(7), head(300, origin="other.example/log"), NODES)


def test_a_log_that_ends_before_a_signed_checkpoint_is_behind() -> None:
    with pytest.raises(VerificationError, match="behind what was sealed"):
        compare_under(head(5), head(300), head(299), NODES)


# --- what was added ---------------------------------------------------------------------------------------------------


@given(sizes, sizes, st.integers(1, 97))
def test_what_was_added_is_counted(old: int, new: int, batch: int) -> None:
    old, new = sorted((old, new))
    added = AddedEntries(head(old), Frontier.load(old, NODES), ("case.released",))
    entries = example_entries(SIZE)[old:new]
    for start in range(0, len(entries), batch):
        added.feed(entries[start : start + batch])
    told = added.finish(head(new))
    assert told.entries == sum(count for _, count in told.by_type) == new - old
    released = sum(b'"type":"case.released"' in body for body in entries)
    assert dict(told.by_type).get("case.released", 0) == released
    assert len(dict(told.cases)["case.released"]) == released


def test_of_many_cases_only_the_first_are_remembered() -> None:
    entries = example_entries(CASES_REMEMBERED + 5, CASES_REMEMBERED + 5)
    added = AddedEntries(Checkpoint(ORIGIN, 0, EMPTY_ROOT), Frontier(), ("opinion.recorded",))
    added.feed(entries)
    told = added.finish(Checkpoint(ORIGIN, len(entries), root_of(tuple(map(leaf_hash, entries)))))
    assert dict(told.by_type) == {"opinion.recorded": CASES_REMEMBERED + 5}
    assert len(dict(told.cases)["opinion.recorded"]) == CASES_REMEMBERED


def counting(old: int) -> AddedEntries:
    return AddedEntries(head(old), Frontier.load(old, NODES))


@pytest.mark.parametrize("old", [0, 1, 255, 256, 257])
def test_entries_dropped_repeated_or_swapped_are_not_what_was_signed(old: int) -> None:
    entries = list(example_entries(SIZE)[old:])
    for wrong in (
        entries[:-1],
        [*entries, entries[-1]],
        [*entries[:3], *entries[4:]],
        [entries[1], entries[0], *entries[2:]],
        [entries[0].replace(b"news2", b"news3"), *entries[1:]],
    ):
        added = counting(old)
        added.feed(wrong)
        with pytest.raises(VerificationError, match="are not those"):
            added.finish(head(SIZE))


def test_bytes_that_are_no_entry_are_refused() -> None:
    with pytest.raises(VerificationError):
        counting(5).feed([b"{}"])


def test_a_tree_of_another_root_is_no_beginning() -> None:
    with pytest.raises(VerificationError, match="does not have the root"):
        AddedEntries(head(5), Frontier.load(5, nodes_of(forked(2))))
