"""The one pure reducer: every move a case can make, and what the log and the world must hear of it.

`step(state, event, now)` returns the next state, the entries the log must carry and the effects the workflow must
perform. `MOVES` is the whole table; `step` refuses what is not in it, so no transition lacks its entry by construction.
The state holds no patient data: options, facts and reasons live in sealed documents that entries commit to.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias, assert_never

from arbiter.errors import IllegalMoveError
from arbiter.model import ActorId, CaseId, MemberId, MemberStatus, RiskClass, VerdictKind
from arbiter.question import Timers


class Phase(StrEnum):
    """Where a case stands."""

    RECEIVED = "received"
    DELIBERATING = "deliberating"
    AWAITING_FACTS = "awaiting-facts"
    ESCALATED = "escalated"
    CLAIMED = "claimed"
    OPINION_COMMITTED = "opinion-committed"
    REVEALED = "revealed"
    DECIDED = "decided"
    RELEASED = "released"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    ENTERED_IN_ERROR = "entered-in-error"


ENDS = frozenset({Phase.RELEASED, Phase.CANCELLED, Phase.SUPERSEDED, Phase.ENTERED_IN_ERROR})
"""Nothing more has to happen here. A released case can still be contested, retracted or superseded."""

UNDER_REVIEW = frozenset({Phase.CLAIMED, Phase.OPINION_COMMITTED, Phase.REVEALED})
WITH_HUMANS = UNDER_REVIEW | {Phase.ESCALATED}


class DecidedBy(StrEnum):
    """Who decided."""

    PANEL = "panel"
    REVIEWER = "reviewer"


@dataclass(frozen=True, slots=True)
class Claim:
    """A reviewer's lease on a case, ended by `until` unless renewed."""

    reviewer: ActorId
    until: datetime


@dataclass(frozen=True, slots=True)
class CaseState:
    """All that the next move depends on.

    `due_at` ends the present wait (the panel's, the facts', the review's or the release's); `answered` holds one status
    a seat for the present facts. `human_required` is set once a clinician has been involved or asked for: from then
    on no panel decides this case alone. `overdue` marks an escalation whose review time has passed.
    """

    phase: Phase
    risk_class: RiskClass
    timers: Timers
    due_at: datetime | None
    facts_version: int
    seats: tuple[MemberId, ...]
    answered: tuple[tuple[MemberId, MemberStatus], ...]
    human_required: bool
    shows_panel_first: bool
    overdue: bool
    claim: Claim | None
    decided_by: DecidedBy | None
    successor: CaseId | None

    @property
    def wake_at(self) -> datetime | None:
        """The instant at which `Expire` becomes legal, or None when the case waits for nobody."""
        if self.phase in UNDER_REVIEW and self.claim is not None:
            return self.claim.until
        if self.phase is Phase.ESCALATED and self.overdue:
            return None
        return self.due_at

    @property
    def unanswered(self) -> tuple[MemberId, ...]:
        """The seats asked about the present facts that have not answered."""
        heard = {member for member, _ in self.answered}
        return tuple(member for member in self.seats if member not in heard)


# --- events ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submit:
    """A hospital system hands in a case."""

    risk_class: RiskClass
    timers: Timers


@dataclass(frozen=True, slots=True)
class Exclude:
    """An exclusion holds or cannot be ruled out: no member is asked."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The panel is asked about the present facts."""

    seats: tuple[MemberId, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One member answered, or was found unable to, about the facts of that version."""

    member: MemberId
    status: MemberStatus
    facts_version: int


@dataclass(frozen=True, slots=True)
class Conclude:
    """Adjudication has spoken."""

    verdict: VerdictKind
    shows_panel_first: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """Work on the case failed more often than it may; a human takes it."""


@dataclass(frozen=True, slots=True)
class Amend:
    """The hospital system sends facts that replace the present ones; everyone is asked anew."""


@dataclass(frozen=True, slots=True)
class Expire:
    """The present wait is over."""


@dataclass(frozen=True, slots=True)
class TakeUp:
    """A reviewer claims an escalated case until then."""

    reviewer: ActorId
    until: datetime


@dataclass(frozen=True, slots=True)
class Renew:
    """The reviewer's lease is extended."""

    reviewer: ActorId
    until: datetime


@dataclass(frozen=True, slots=True)
class HandBack:
    """The reviewer gives the case back to the duty group."""

    reviewer: ActorId


@dataclass(frozen=True, slots=True)
class CommitOpinion:
    """The reviewer's own opinion is fixed before anything of the panel is shown."""

    reviewer: ActorId


@dataclass(frozen=True, slots=True)
class Reveal:
    """The panel's opinions are shown to the reviewer."""

    reviewer: ActorId


@dataclass(frozen=True, slots=True)
class Sign:
    """The reviewer decides and signs."""

    reviewer: ActorId


@dataclass(frozen=True, slots=True)
class Release:
    """A committed checkpoint covers the decision, so it may be seen."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """The requester no longer needs a decision."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Somebody entitled to disputes a released decision; a clinician must look (GDPR article 22)."""


@dataclass(frozen=True, slots=True)
class Retract:
    """The case was entered in error."""


@dataclass(frozen=True, slots=True)
class Supersede:
    """Another case takes this one's place."""

    successor: CaseId


@dataclass(frozen=True, slots=True)
class Read:
    """Somebody reads the case's content; nothing moves, and the log says so."""


Event: TypeAlias = (
    Submit | Exclude | Ask | Answer | Conclude | Park | Amend | Expire | TakeUp | Renew | HandBack
    | CommitOpinion | Reveal | Sign | Release | Cancel | Contest | Retract | Supersede | Read
)  # fmt: skip


# --- what a step says --------------------------------------------------------------------------------------------


class EntryType(StrEnum):
    """What the log says about a move."""

    RECEIVED = "case.received"
    ASKED = "panel.asked"
    OPINION = "opinion.recorded"
    FACTS_WANTED = "facts.wanted"
    AMENDED = "facts.amended"
    ESCALATED = "case.escalated"
    OVERDUE = "escalation.overdue"
    CLAIMED = "case.claimed"
    RENEWED = "claim.renewed"
    CLAIM_ENDED = "claim.ended"
    COMMITTED = "review.committed"
    REVEALED = "panel.revealed"
    SIGNED = "decision.signed"
    DECIDED = "case.decided"
    WITHDRAWN = "decision.withdrawn"
    RELEASED = "case.released"
    CANCELLED = "case.cancelled"
    CONTESTED = "case.contested"
    RETRACTED = "case.retracted"
    SUPERSEDED = "case.superseded"
    READ = "content.read"


CLOSING = frozenset({EntryType.RELEASED, EntryType.CANCELLED, EntryType.RETRACTED, EntryType.SUPERSEDED})
"""Entries that carry the case's count of entries."""

DOCUMENTS: dict[EntryType, frozenset[str]] = {
    EntryType.RECEIVED: frozenset({"request", "facts"}),
    EntryType.OPINION: frozenset({"opinion"}),
    EntryType.FACTS_WANTED: frozenset({"certificate"}),
    EntryType.AMENDED: frozenset({"facts"}),
    EntryType.ESCALATED: frozenset({"certificate"}),
    EntryType.COMMITTED: frozenset({"review"}),
    EntryType.SIGNED: frozenset({"signature"}),
    EntryType.DECIDED: frozenset({"certificate"}),
    EntryType.WITHDRAWN: frozenset({"certificate"}),
    EntryType.CANCELLED: frozenset({"reason"}),
    EntryType.CONTESTED: frozenset({"reason"}),
    EntryType.RETRACTED: frozenset({"reason"}),
}
"""The sealed documents each entry must commit to; a step saved without them is refused."""

OPTIONAL_DOCUMENTS: dict[EntryType, frozenset[str]] = {EntryType.OPINION: frozenset({"exchange"})}
"""The sealed documents an entry commits to where there are any: what a member behind HTTP was sent and what came back."""


@dataclass(frozen=True, slots=True)
class AskPanel:
    """Ask these members, blind, about the facts of that version; answers count until then."""

    members: tuple[MemberId, ...]
    facts_version: int
    until: datetime


@dataclass(frozen=True, slots=True)
class ScheduleSafetyNet:
    """Leave a job that takes the case up again should this process die."""


@dataclass(frozen=True, slots=True)
class DropSafetyNet:
    """The job is no longer needed."""


@dataclass(frozen=True, slots=True)
class NotifyDutyGroup:
    """Tell the duty group, without patient data, that a case waits."""


@dataclass(frozen=True, slots=True)
class TellRequester:
    """Tell whoever asked that the case moved."""


@dataclass(frozen=True, slots=True)
class SealAndRelease:
    """Seal the log; what a checkpoint then covers is released."""


Effect: TypeAlias = (
    AskPanel | ScheduleSafetyNet | DropSafetyNet | NotifyDutyGroup | TellRequester | SealAndRelease
)


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one move."""

    state: CaseState
    entries: tuple[EntryType, ...]
    effects: tuple[Effect, ...]


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
_CORRECTABLE = frozenset(Phase) - {P.CANCELLED, P.SUPERSEDED, P.ENTERED_IN_ERROR}

MOVES: tuple[Move, ...] = (
    _move(Submit, {None}, {P.RECEIVED}, {E.RECEIVED}, {ScheduleSafetyNet}),
    _move(
        Exclude, {P.RECEIVED}, {P.ESCALATED}, {E.ESCALATED}, {DropSafetyNet, NotifyDutyGroup, TellRequester}
    ),
    _move(Ask, {P.RECEIVED}, {P.DELIBERATING}, {E.ASKED}, {AskPanel}),
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
        {E.ESCALATED, E.OVERDUE, E.CLAIM_ENDED, E.WITHDRAWN},
        {DropSafetyNet, NotifyDutyGroup, TellRequester},
    ),
    _move(TakeUp, {P.ESCALATED}, {P.CLAIMED}, {E.CLAIMED}, set()),
    _move(Renew, UNDER_REVIEW, UNDER_REVIEW, {E.RENEWED}, set()),
    _move(HandBack, UNDER_REVIEW, {P.ESCALATED}, {E.CLAIM_ENDED}, {NotifyDutyGroup}),
    _move(CommitOpinion, {P.CLAIMED}, {P.OPINION_COMMITTED}, {E.COMMITTED}, set()),
    _move(Reveal, {P.CLAIMED, P.OPINION_COMMITTED}, {P.REVEALED}, {E.REVEALED}, set()),
    _move(Sign, {P.REVEALED}, {P.DECIDED}, {E.SIGNED, E.DECIDED}, {SealAndRelease}),
    _move(Release, {P.DECIDED}, {P.RELEASED}, {E.RELEASED}, {TellRequester}),
    _move(Cancel, _OPEN, {P.CANCELLED}, {E.CANCELLED, E.CLAIM_ENDED}, {DropSafetyNet, TellRequester}),
    _move(Contest, {P.RELEASED}, {P.ESCALATED}, {E.CONTESTED}, {NotifyDutyGroup, TellRequester}),
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
)

_BY_EVENT = {move.event: move for move in MOVES}
_CONCLUDE_WITHIN = 2
"""Panel times after which a case without a verdict goes to a human, whatever became of its members."""


def step(state: CaseState | None, event: Event, now: datetime) -> Step:
    """Make one move.

    Args:
        state: the case as it stands, None before it exists.
        event: what happened.
        now: aware UTC; read once by the use case.

    Raises:
        IllegalMoveError: when the table has no such move, the mover holds no claim, a wait is not over, or an answer
            comes twice, unasked or about other facts.
    """
    move = _BY_EVENT[type(event)]
    phase = None if state is None else state.phase
    if phase not in move.sources:
        raise IllegalMoveError(f"{_name(event)} is not possible when a case is {phase or 'not there yet'}")
    outcome = _enter(event, now) if state is None else _advance(state, event, now)
    # INVARIANT: whatever the handlers do, nothing outside the table leaves this function.
    assert outcome.state.phase in move.targets, (event, outcome.state.phase)
    assert outcome.entries, event
    assert set(outcome.entries) <= move.entries, (event, outcome.entries)
    assert {type(effect) for effect in outcome.effects} <= move.effects, (event, outcome.effects)
    return outcome


def _enter(event: Event, now: datetime) -> Step:
    assert isinstance(event, Submit)
    state = CaseState(
        phase=P.RECEIVED,
        risk_class=event.risk_class,
        timers=event.timers,
        due_at=now + _CONCLUDE_WITHIN * event.timers.panel,
        facts_version=1,
        seats=(),
        answered=(),
        human_required=False,
        shows_panel_first=False,
        overdue=False,
        claim=None,
        decided_by=None,
        successor=None,
    )
    return Step(state, (E.RECEIVED,), (ScheduleSafetyNet(),))


def _advance(  # noqa: C901, PLR0911, PLR0912 - one arm an event
    state: CaseState, event: Event, now: datetime
) -> Step:
    match event:
        case Submit():
            raise IllegalMoveError("a case is submitted once")
        case Exclude() | Park():
            return _escalate(state, now, (DropSafetyNet(),))
        case Ask():
            return _ask(state, event, now)
        case Answer():
            return _answer(state, event)
        case Conclude():
            return _conclude(state, event, now)
        case Amend():
            return _amend(state, now)
        case Expire():
            return _expire(state, now)
        case TakeUp() | Renew() | HandBack() | CommitOpinion() | Reveal() | Sign():
            return _review(state, event, now)
        case Release():
            return Step(replace(state, phase=P.RELEASED, due_at=None), (E.RELEASED,), (TellRequester(),))
        case Cancel():
            return _close(state, P.CANCELLED, E.CANCELLED)
        case Contest():
            contested = replace(
                _with_humans(state, now), human_required=True, decided_by=None, shows_panel_first=False
            )
            return Step(contested, (E.CONTESTED,), (NotifyDutyGroup(), TellRequester()))
        case Retract():
            return _close(state, P.ENTERED_IN_ERROR, E.RETRACTED)
        case Supersede(successor):
            return _close(replace(state, successor=successor), P.SUPERSEDED, E.SUPERSEDED)
        case Read():
            return Step(state, (E.READ,), ())
        case _:
            assert_never(event)


def _with_humans(state: CaseState, now: datetime) -> CaseState:
    return replace(state, phase=P.ESCALATED, due_at=now + state.timers.review, overdue=False, claim=None)


def _escalate(state: CaseState, now: datetime, effects: tuple[Effect, ...] = ()) -> Step:
    return Step(_with_humans(state, now), (E.ESCALATED,), (*effects, NotifyDutyGroup(), TellRequester()))


def _ask(state: CaseState, event: Ask, now: datetime) -> Step:
    if not event.seats or len(set(event.seats)) != len(event.seats):
        raise IllegalMoveError("a panel is at least one member, each asked once")
    asked = replace(state, phase=P.DELIBERATING, seats=event.seats, answered=())
    until = now + state.timers.panel
    return Step(asked, (E.ASKED,), (AskPanel(event.seats, state.facts_version, until),))


def _answer(state: CaseState, event: Answer) -> Step:
    if event.facts_version != state.facts_version:
        raise IllegalMoveError(
            f"{event.member} answered about facts version {event.facts_version}, the case holds {state.facts_version}"
        )
    if event.member not in state.unanswered:
        raise IllegalMoveError(f"{event.member} was not asked or has answered already")
    answered = (*state.answered, (event.member, event.status))
    return Step(replace(state, answered=answered), (E.OPINION,), ())


def _conclude(state: CaseState, event: Conclude, now: datetime) -> Step:
    if state.unanswered:
        raise IllegalMoveError(f"{len(state.unanswered)} members have not answered")
    state = replace(state, shows_panel_first=event.shows_panel_first)
    drop: tuple[Effect, ...] = (DropSafetyNet(),)
    match event.verdict:
        case VerdictKind.ESCALATE:
            return _escalate(state, now, drop)
        case VerdictKind.ASK_FACTS:
            waiting = replace(state, phase=P.AWAITING_FACTS, due_at=now + state.timers.facts)
            return Step(waiting, (E.FACTS_WANTED,), (*drop, TellRequester()))
        case VerdictKind.DECIDE:
            if state.human_required:
                raise IllegalMoveError("a clinician is involved: no panel decides this case alone")
            decided = replace(
                state, phase=P.DECIDED, decided_by=DecidedBy.PANEL, due_at=now + state.timers.release
            )
            return Step(decided, (E.DECIDED,), (*drop, SealAndRelease()))
        case _:
            assert_never(event.verdict)


def _amend(state: CaseState, now: datetime) -> Step:
    """Begin again with new facts. A reviewer at work loses the claim: an opinion binds the facts it saw."""
    amended = replace(
        state,
        phase=P.RECEIVED,
        facts_version=state.facts_version + 1,
        due_at=now + _CONCLUDE_WITHIN * state.timers.panel,
        seats=(),
        answered=(),
        overdue=False,
        claim=None,
        shows_panel_first=False,
    )
    return Step(amended, (*_ended_claim(state), E.AMENDED), (ScheduleSafetyNet(),))


def _expire(state: CaseState, now: datetime) -> Step:
    if state.wake_at is None or now < state.wake_at:
        raise IllegalMoveError(f"the wait of a case that is {state.phase} is not over")
    if state.phase in UNDER_REVIEW:
        lapsed = replace(state, phase=P.ESCALATED, claim=None)
        return Step(lapsed, (E.CLAIM_ENDED,), (NotifyDutyGroup(),))
    if state.phase is P.ESCALATED:
        return Step(replace(state, overdue=True), (E.OVERDUE,), (NotifyDutyGroup(), TellRequester()))
    if state.phase is P.DECIDED:
        # A panel's decision that no checkpoint covers in time is withdrawn, and a human decides. A human's waits.
        withdrawn = replace(_with_humans(state, now), decided_by=None)
        return Step(withdrawn, (E.WITHDRAWN,), (NotifyDutyGroup(), TellRequester()))
    return _escalate(state, now, (DropSafetyNet(),))


def _review(
    state: CaseState, event: TakeUp | Renew | HandBack | CommitOpinion | Reveal | Sign, now: datetime
) -> Step:
    if isinstance(event, TakeUp):
        _check_lease(event.until, now)
        claimed = replace(
            state, phase=P.CLAIMED, claim=Claim(event.reviewer, event.until), human_required=True
        )
        return Step(claimed, (E.CLAIMED,), ())
    _check_claim(state, event.reviewer, now)
    match event:
        case Renew():
            _check_lease(event.until, now)
            return Step(replace(state, claim=Claim(event.reviewer, event.until)), (E.RENEWED,), ())
        case HandBack():
            return Step(replace(state, phase=P.ESCALATED, claim=None), (E.CLAIM_ENDED,), (NotifyDutyGroup(),))
        case CommitOpinion():
            return Step(replace(state, phase=P.OPINION_COMMITTED), (E.COMMITTED,), ())
        case Reveal():
            if state.phase is P.CLAIMED and not state.shows_panel_first:
                raise IllegalMoveError("the reviewer's own opinion is committed before the panel is shown")
            return Step(replace(state, phase=P.REVEALED), (E.REVEALED,), ())
        case Sign():
            decided = replace(
                state,
                phase=P.DECIDED,
                decided_by=DecidedBy.REVIEWER,
                claim=None,
                due_at=None,
            )
            return Step(decided, (E.SIGNED, E.DECIDED), (SealAndRelease(),))
        case _:
            assert_never(event)


def _check_lease(until: datetime, now: datetime) -> None:
    if until <= now:
        raise IllegalMoveError("a lease must end in the future")


def _check_claim(state: CaseState, reviewer: ActorId, now: datetime) -> None:
    if state.claim is None or state.claim.reviewer != reviewer:
        raise IllegalMoveError(f"reviewer {reviewer} does not hold this case")
    if now >= state.claim.until:
        raise IllegalMoveError(f"the claim of reviewer {reviewer} has ended")


def _ended_claim(state: CaseState) -> tuple[EntryType, ...]:
    return (E.CLAIM_ENDED,) if state.claim is not None else ()


def _close(state: CaseState, phase: Phase, entry: EntryType) -> Step:
    effects: tuple[Effect, ...] = (TellRequester(),)
    if state.phase in {P.RECEIVED, P.DELIBERATING}:
        effects = (DropSafetyNet(), *effects)
    closed = replace(state, phase=phase, claim=None, due_at=None)
    return Step(closed, (*_ended_claim(state), entry), effects)


def _name(event: Event) -> str:
    return type(event).__name__.lower()
