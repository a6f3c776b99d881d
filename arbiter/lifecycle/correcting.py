"""Taking back a decision that its signer, or an arbiter, finds wrong: whoever got it hears so at once, and it is signed anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.auditing import not_to_read
from arbiter.lifecycle.effects import TellRequester
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.events import Correct
from arbiter.lifecycle.readers import seen
from arbiter.lifecycle.states import CaseState, Claim, DecidedBy, Ladder, Phase
from arbiter.lifecycle.steps import Step

P, E = Phase, EntryType


def correct(state: CaseState, event: Correct, before: tuple[EntryType, ...], now: datetime) -> Step:
    """Take a reviewer's released decision back into the corrector's hands; `before` are the step's entries that come first.

    What is let lapse waits for a clinician like a contested decision: nothing is released again that nobody has signed again.

    Raises:
        IllegalMoveError: for a panel's decision, which is contested, and for who has a conflict or has referred the case.
    """
    if state.decided_by is not DecidedBy.REVIEWER:
        raise IllegalMoveError("what the panel decided is not corrected but contested")
    who = event.reviewer
    if who in state.conflicted or who in state.referrers:
        raise IllegalMoveError(f"reviewer {who} has a conflict of interest, or has referred this case")
    if event.until <= now:
        raise IllegalMoveError("a lease must end in the future")
    # An arbiter is neither of the readers: a reader who may arbitrate other cases corrects as the reader they were.
    as_arbiter = event.arbitrates and who not in state.readings and who not in state.arbiters
    taken = replace(
        seen(not_to_read(state, who), (who,)),
        phase=P.REVEALED,
        claim=Claim(who, event.until),
        due_at=now + state.timers.review,
        overdue=False,
        human_required=True,
        decided_by=None,
        unwitnessed=False,
        ladder=Ladder(state.ladder.waits),
        wants_arbiter=state.wants_arbiter or as_arbiter,
        arbiters=(*state.arbiters, who) if as_arbiter else state.arbiters,
        correcting=True,
    )
    return Step(taken, (*before, E.CORRECTED), (TellRequester(E.CORRECTED),))
