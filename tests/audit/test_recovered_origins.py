"""Checkpoints of the origins that a recovered log had: whose an outsider kept is believed, and which is a fork."""

from __future__ import annotations

from dataclasses import replace

import pytest

from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.entry import FIRST_PREV
from arbiter.audit.merkle import leaf_hash, root_of
from tests.audit.logs import ORIGIN, example_entry, example_log, note_at
from tests.audit.recoveries import (
    GOOD,
    LEFT,
    LOG,
    LOST,
    NEW,
    THIRD,
    Recovered,
    forked,
    of_new,
    of_other,
    twice,
)

# --- origins ---------------------------------------------------------------------------------------------------------


def test_a_new_origin_that_signs_no_new_entry_is_refused() -> None:
    notes = (*LOG.notes, of_new(LOG.leaves, LEFT))
    same = Recovered(LOG.entries[:LEFT], notes, {})
    assert same.refusal() == (
        f"stored checkpoint 2: origin {NEW.name} signs {LEFT} entries, and {ORIGIN} had signed {LEFT}"
    )


def test_an_origin_that_was_left_does_not_come_back() -> None:
    more = (*GOOD.entries, example_entry("again", 0, FIRST_PREV).to_bytes())
    leaves = [leaf_hash(entry) for entry in more]
    back = replace(GOOD, entries=more, notes=(*GOOD.notes, note_at(leaves, len(more))), kept=None)
    assert f"origin {ORIGIN} was left and comes back after {NEW.name}" in back.refusal()


def test_a_log_may_be_recovered_twice() -> None:
    assert [r.statement.new for r in twice().verify().recoveries] == [NEW.name, THIRD.name]


def test_of_two_recoveries_neither_may_be_missing() -> None:
    for seq in (0, 1):
        statements = {n: said for n, said in twice().statements.items() if n != seq}
        assert "is not there to be read" in replace(twice(), statements=statements).refusal()


def test_two_recoveries_statements_cannot_change_places() -> None:
    first, second = twice().statements[0], twice().statements[1]
    assert "commits to" in replace(twice(), statements={0: second, 1: first}).refusal()


# --- checkpoints that outsiders kept -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 8, LEFT, LEFT + 1, LOST - 1, LOST])
def test_an_old_checkpoint_that_the_recovery_covers_is_believed(size: int) -> None:
    assert replace(GOOD, kept=note_at(LOG.leaves, size)).verify().kept == Checkpoint(
        ORIGIN, size, root_of(LOG.leaves[:size])
    )


@pytest.mark.parametrize("size", [13, 16, LEFT])
def test_an_old_checkpoint_of_another_history_is_a_fork(size: int) -> None:
    forked = replace(GOOD, kept=of_other(size)).refusal()
    assert f"kept checkpoint of size {size} contradicts the log (a fork)" in forked


def test_an_old_checkpoint_of_the_lost_size_with_another_root_is_a_fork() -> None:
    forked = replace(GOOD, kept=of_other(LOST)).refusal()
    assert "more was lost than it says" in forked


def test_an_old_checkpoint_beyond_what_the_recovery_quotes_is_refused() -> None:
    more = example_log(LOST + 5)
    beyond = replace(GOOD, kept=note_at(more.leaves, LOST + 1)).refusal()
    assert f"which quotes one of {LOST}: more was lost than it says" in beyond


@pytest.mark.parametrize("size", [13, 16, LEFT])
def test_a_new_origins_checkpoint_over_old_entries_alone_must_have_their_root(size: int) -> None:
    assert "contradicts the log (a fork)" in replace(GOOD, kept=of_other(size, NEW)).refusal()


def test_a_checkpoint_of_a_third_origin_is_not_this_logs() -> None:
    kept = of_new(GOOD.leaves, LEFT + 4, THIRD)
    assert f"kept checkpoint is of origin {THIRD.name}" in replace(GOOD, kept=kept).refusal()


def test_a_cut_tail_of_the_new_origin_is_caught_by_its_kept_checkpoint() -> None:
    cut = replace(GOOD, entries=GOOD.entries[: LEFT + 1], notes=GOOD.notes[:-1])
    assert f"the log ends at size {LEFT + 1}, the kept checkpoint has size {LEFT + 4}" in cut.refusal()


# --- forks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [13, 16, LEFT])
def test_a_fork_is_quoted_and_believed(size: int) -> None:
    (recovery,) = forked(size).verify().recoveries
    assert "from an unknown one on (a fork)" in str(recovery)
    quoted = replace(forked(size), kept=of_other(size))
    assert quoted.verify().kept is not None


@pytest.mark.parametrize("size", [14, 15, 17, LEFT, LEFT + 1])
def test_another_checkpoint_of_the_other_history_is_still_a_fork(size: int) -> None:
    refused = replace(forked(16), kept=of_other(size)).refusal()
    assert "contradicts the log (a fork)" in refused or "more was lost than it says" in refused


def test_a_quoted_fork_that_no_entry_commits_to_explains_nothing() -> None:
    """Its statement lies beside the log, well signed, and the log does not hold it."""
    statements = {7: forked(16).statements[0]}
    plain = Recovered(LOG.entries[:LEFT], LOG.notes, statements, of_other(16))
    assert "contradicts the log (a fork)" in plain.refusal()


@pytest.mark.parametrize("size", [13, 16, LEFT])
def test_a_log_cut_below_a_quoted_fork_is_behind_where_no_entry_quotes_it(size: int) -> None:
    """The recovery and what it stood on are cut away; its statement alone must not explain the kept checkpoint."""
    statements = forked(size).statements
    cut = Recovered(LOG.entries[:8], LOG.notes[:1], statements, of_other(size))
    assert f"the log ends at size 8, the kept checkpoint has size {size}" in cut.refusal()
