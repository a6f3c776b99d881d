"""The whole table of moves: what is not in it is refused, so no transition lacks its entry by construction."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from arbiter.lifecycle.effects import (
    AskPanel,
    DropSafetyNet,
    Effect,
    NotifyDutyGroup,
    ScheduleSafetyNet,
    SealAndRelease,
    TellRequester,
)
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.events import (
    Acknowledge,
    Amend,
    Answer,
    Ask,
    BreakGlass,
    Cancel,
    CommitOpinion,
    CompleteErasure,
    Conclude,
    Contest,
    Convene,
    Correct,
    DeclareConflict,
    Defer,
    Erase,
    Event,
    Exclude,
    Expire,
    HandBack,
    Hold,
    LiftHold,
    Park,
    Read,
    ReadForAudit,
    RecordOutcome,
    Refer,
    Release,
    Renew,
    RequestFacts,
    Reroute,
    Retract,
    Reveal,
    Sign,
    Submit,
    Supersede,
    TakeUp,
    Witness,
)
from arbiter.lifecycle.states import ENDS, UNDER_REVIEW, WITH_HUMANS, Phase


@dataclass(frozen=True, slots=True)
class Move:
    """One row of the table: this event, from these phases, ends in one of those, with these entries and effects.

    `None` among the sources is the case that does not exist yet. Each of `entries` and `effects` names all that the
    move can say; a step says a subset, and at least one entry.
    """

    event: type[Event]
    sources: frozenset[Phase | None]
    targets: frozenset[Phase]
    entries: frozenset[EntryType]
    effects: frozenset[type[Effect]]


def _move(
    event: type[Event],
    sources: AbstractSet[Phase] | AbstractSet[Phase | None],
    targets: AbstractSet[Phase],
    entries: AbstractSet[EntryType],
    effects: AbstractSet[type[Effect]],
) -> Move:
    return Move(event, frozenset(sources), frozenset(targets), frozenset(entries), frozenset(effects))


P, E = Phase, EntryType
_OPEN = frozenset(Phase) - ENDS - {P.DECIDED}
_HELD = UNDER_REVIEW | ENDS
_TELLING = frozenset(Phase) - {P.ENTERED_IN_ERROR}
_CORRECTABLE = frozenset(Phase) - {P.CANCELLED, P.SUPERSEDED, P.ENTERED_IN_ERROR}

MOVES: tuple[Move, ...] = (
    _move(Submit, {None}, {P.RECEIVED}, {E.RECEIVED}, {ScheduleSafetyNet}),
    _move(
        Exclude, {P.RECEIVED}, {P.ESCALATED}, {E.ESCALATED}, {DropSafetyNet, NotifyDutyGroup, TellRequester}
    ),
    _move(Ask, {P.RECEIVED}, {P.DELIBERATING}, {E.ASKED}, {AskPanel}),
    _move(Reroute, {P.DELIBERATING}, {P.DELIBERATING}, {E.REROUTED}, set()),
    _move(Answer, {P.DELIBERATING}, {P.DELIBERATING}, {E.OPINION}, set()),
    _move(
        Conclude,
        {P.DELIBERATING},
        {P.DECIDED, P.ESCALATED, P.AWAITING_FACTS},
        {E.DECIDED, E.ESCALATED, E.FACTS_WANTED},
        {DropSafetyNet, SealAndRelease, NotifyDutyGroup, TellRequester},
    ),
    _move(
        Park,
        {P.RECEIVED, P.DELIBERATING},
        {P.ESCALATED},
        {E.ESCALATED},
        {DropSafetyNet, NotifyDutyGroup, TellRequester},
    ),
    _move(
        Amend,
        WITH_HUMANS | {P.DELIBERATING, P.AWAITING_FACTS},
        {P.RECEIVED},
        {E.AMENDED, E.CLAIM_ENDED},
        {ScheduleSafetyNet},
    ),
    _move(
        Expire,
        frozenset(Phase) - ENDS,
        {P.ESCALATED},
        {E.ESCALATED, E.OVERDUE, E.CLIMBED, E.UNATTENDED, E.CLAIM_ENDED, E.WITHDRAWN, E.FACTS_UNANSWERED},
        {DropSafetyNet, NotifyDutyGroup, TellRequester},
    ),
    _move(Acknowledge, {P.ESCALATED}, {P.ESCALATED}, {E.ACKNOWLEDGED}, {TellRequester}),
    _move(TakeUp, ENDS | {P.ESCALATED}, _HELD, {E.CLAIMED, E.CLAIM_ENDED}, set()),
    _move(Renew, _HELD, _HELD, {E.RENEWED}, set()),
    _move(HandBack, _HELD, ENDS | {P.ESCALATED}, {E.CLAIM_ENDED}, {NotifyDutyGroup}),
    _move(
        CommitOpinion,
        {P.CLAIMED},
        {P.OPINION_COMMITTED, P.ESCALATED},
        {E.COMMITTED, E.CLAIM_ENDED},
        {NotifyDutyGroup},
    ),
    _move(
        ReadForAudit,
        ENDS,
        ENDS | {P.ESCALATED},
        {E.AUDIT_READ, E.CONTESTED},
        {NotifyDutyGroup, TellRequester},
    ),
    _move(Reveal, {P.CLAIMED, P.OPINION_COMMITTED}, {P.REVEALED}, {E.REVEALED}, set()),
    _move(Refer, UNDER_REVIEW, {P.ESCALATED}, {E.CLAIM_ENDED, E.REFERRED}, {NotifyDutyGroup}),
    _move(Defer, UNDER_REVIEW, {P.ESCALATED}, {E.CLAIM_ENDED, E.DEFERRED}, set()),
    _move(
        RequestFacts, UNDER_REVIEW, {P.AWAITING_FACTS}, {E.CLAIM_ENDED, E.FACTS_REQUESTED}, {TellRequester}
    ),
    _move(DeclareConflict, _HELD, ENDS | {P.ESCALATED}, {E.CLAIM_ENDED, E.CONFLICT}, {NotifyDutyGroup}),
    _move(Convene, {P.REVEALED}, {P.REVEALED}, {E.CONVENED}, set()),
    _move(Sign, {P.REVEALED}, {P.DECIDED}, {E.SIGNED, E.DECIDED}, {SealAndRelease}),
    _move(Release, {P.DECIDED}, {P.RELEASED}, {E.RELEASED}, {TellRequester}),
    _move(Witness, {P.RELEASED}, {P.RELEASED}, {E.WITNESSED}, {TellRequester}),
    _move(Cancel, _OPEN, {P.CANCELLED}, {E.CANCELLED, E.CLAIM_ENDED}, {DropSafetyNet, TellRequester}),
    _move(Correct, {P.RELEASED}, {P.REVEALED}, {E.CLAIM_ENDED, E.CORRECTED}, {TellRequester}),
    _move(
        Contest, {P.RELEASED}, {P.ESCALATED}, {E.CONTESTED, E.CLAIM_ENDED}, {NotifyDutyGroup, TellRequester}
    ),
    _move(RecordOutcome, _TELLING, _TELLING, {E.OUTCOME}, set()),
    _move(
        Retract,
        _CORRECTABLE,
        {P.ENTERED_IN_ERROR},
        {E.RETRACTED, E.CLAIM_ENDED},
        {DropSafetyNet, TellRequester},
    ),
    _move(
        Supersede,
        _CORRECTABLE,
        {P.SUPERSEDED},
        {E.SUPERSEDED, E.CLAIM_ENDED},
        {DropSafetyNet, TellRequester},
    ),
    _move(Read, frozenset(Phase), frozenset(Phase), {E.READ}, set()),
    _move(BreakGlass, frozenset(Phase), frozenset(Phase), {E.GLASS_BROKEN}, {TellRequester}),
    _move(Hold, frozenset(Phase), frozenset(Phase), {E.HOLD_PLACED}, set()),
    _move(LiftHold, frozenset(Phase), frozenset(Phase), {E.HOLD_LIFTED}, set()),
    _move(Erase, ENDS, ENDS, {E.ERASED}, set()),
    _move(CompleteErasure, ENDS, ENDS, {E.ERASURE_COMPLETED}, set()),
)
