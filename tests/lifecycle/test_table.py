"""The table names all there is, what is not in it is refused, and no entry or end is left without what it owes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.effects import (
    AskPanel,
    DropSafetyNet,
    NotifyDutyGroup,
    ScheduleSafetyNet,
    SealAndRelease,
    TellRequester,
)
from arbiter.lifecycle.entries import CLOSING, DOCUMENTS, EntryType
from arbiter.lifecycle.events import (
    BreakGlass,
    CompleteErasure,
    DeclareConflict,
    Event,
    HandBack,
    Hold,
    LiftHold,
    Read,
    ReadForAudit,
    RecordOutcome,
    Renew,
    TakeUp,
)
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import ENDS, Phase
from arbiter.lifecycle.table import MOVES
from tests.lifecycle.cases import IN_PHASE, SAMPLE, START


def test_the_table_names_every_event_and_every_phase_entry_and_effect() -> None:
    assert {move.event for move in MOVES} == set(SAMPLE)
    assert len(MOVES) == len(SAMPLE)
    assert set().union(*(move.targets for move in MOVES)) == set(Phase)
    assert set().union(*(move.entries for move in MOVES)) == set(EntryType)
    assert set().union(*(move.effects for move in MOVES)) == {
        AskPanel, ScheduleSafetyNet, DropSafetyNet, NotifyDutyGroup, TellRequester, SealAndRelease,
    }  # fmt: skip
    assert set(IN_PHASE) == {None, *Phase}


LOOKING_ON = {Read, BreakGlass, Hold, LiftHold, CompleteErasure, RecordOutcome}
"""What moves nothing."""

AUDITING = {TakeUp, Renew, HandBack, ReadForAudit, DeclareConflict}
"""What is done with a case that is released and stays so."""

ILLEGAL = [(phase, SAMPLE[move.event]) for move in MOVES for phase in IN_PHASE if phase not in move.sources]


@pytest.mark.parametrize(("phase", "event"), ILLEGAL, ids=lambda value: str(value).partition("(")[0])
def test_what_is_not_in_the_table_is_refused(phase: Phase | None, event: Event) -> None:
    with pytest.raises(IllegalMoveError):
        step(IN_PHASE[phase], event, START + timedelta(days=1))


def test_every_way_out_of_a_case_carries_the_count_of_its_entries() -> None:
    for move in MOVES:
        for end in move.targets & ENDS:
            assert move.event in LOOKING_ON | AUDITING or move.entries & CLOSING, (
                f"{move.event.__name__} ends in {end} uncounted"
            )


def test_entries_that_tell_of_content_commit_to_it() -> None:
    silent = {entry for entry in EntryType if not DOCUMENTS.get(entry)}
    assert silent == {
        EntryType.ASKED, EntryType.OVERDUE, EntryType.CLAIMED, EntryType.RENEWED, EntryType.CLAIM_ENDED,
        EntryType.REVEALED, EntryType.RELEASED, EntryType.CLIMBED, EntryType.ACKNOWLEDGED, EntryType.UNATTENDED, EntryType.SUPERSEDED, EntryType.READ,
        EntryType.ERASED, EntryType.ERASURE_COMPLETED,
        EntryType.WITNESSED, EntryType.FACTS_UNANSWERED,
    }  # fmt: skip
