"""Where a case stands, and all that its next move depends on.

No patient data: options, facts and reasons live in sealed documents that entries commit to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from arbiter.model import ActorId, CaseId, MemberId, MemberStatus, RiskClass
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
"""Nothing more has to happen here. A released case can still be contested, retracted or superseded; what the panel once decided can
still be read for an audit, whatever has become of the case."""

UNDER_REVIEW = frozenset({Phase.CLAIMED, Phase.OPINION_COMMITTED, Phase.REVEALED})
WITH_HUMANS = UNDER_REVIEW | {Phase.ESCALATED}


class DecidedBy(StrEnum):
    """Who decided."""

    PANEL = "panel"
    REVIEWER = "reviewer"


class Erasure(StrEnum):
    """How far a case's erasure has come."""

    KEY_DESTROYED = "key destroyed"
    """Nobody can read the case; a backup from before may still hold its key, wrapped."""
    COMPLETE = "complete"
    """No copy of the key is left that Arbiter knows of."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A reviewer's lease on a case, ended by `until` unless renewed."""

    reviewer: ActorId
    until: datetime


@dataclass(frozen=True, slots=True)
class Ladder:
    """Whom an escalation calls, rung after rung, and where the call stands.

    `waits` is how long each rung has to acknowledge; `rung` the one called last, -1 while a reviewer has set the case aside;
    `until` ends its time, and is None once somebody has acknowledged, nobody is left to call, or a reviewer holds the case.
    `unattended` is set when the last rung's time ended: the requester then follows the local procedure.
    """

    waits: tuple[timedelta, ...] = ()
    rung: int = 0
    until: datetime | None = None
    acknowledged_by: ActorId | None = None
    unattended: bool = False

    @property
    def set_aside_until(self) -> datetime | None:
        """Until when nobody is called because a reviewer has set the case aside; None where none has."""
        return self.until if self.rung < 0 else None


class AuditStage(StrEnum):
    """How far the audit of a decision has come."""

    DRAWN = "drawn"
    """Nobody has read the case for it yet."""
    DOUBTED = "doubted"
    """A first reader would have decided otherwise; a second one, blind to the first, tells whether that counts."""
    AGREED = "agreed"
    WRONG = "wrong"
    UNCONFIRMED = "unconfirmed"
    """The second reader would have decided as the panel did: the first one's doubt does not count."""
    VOID = "void"
    """The case was erased before enough had read it, or the decision withdrawn before anybody saw it: nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Audit:
    """A decision of the panel's that was drawn to be read by clinicians who do not see what it was.

    `facts_version` is that of the facts it was decided on; an opinion on others says nothing of it. `readers` are those for
    whom it does not wait any more, in their order: who has read it, and who was shown the panel while it waited.
    """

    stage: AuditStage
    drawn_at: datetime
    facts_version: int
    readers: tuple[ActorId, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to read it."""
        return self.stage in {AuditStage.DRAWN, AuditStage.DOUBTED}


@dataclass(frozen=True, slots=True)
class CaseState:
    """All that the next move depends on.

    `due_at` ends the present wait (the panel's, the facts', the review's or the release's); `answered` holds one status
    a seat for the present facts. `human_required` is set once a clinician has been involved or asked for: from then
    on no panel decides this case alone. `overdue` marks an escalation whose review time has passed. Nobody outside is
    told of a `training` case; a `planted` one is such a case that is not marked before it is signed. `unwitnessed` marks a decision
    that was released before enough witnesses cosigned. `held`: a legal hold forbids erasing it. `erasure`: its content is gone,
    and so is every move. `audit` is there where the panel's decision was drawn for one; while a case that has ended is read for
    it, `claim` is the reader's.

    `readings` are those who have fixed an opinion of their own on the present facts, in their order; `seen_by` those who were
    shown the panel's opinions on them, `referrers` those who handed the case up, `arbiters` those who have read it as its arbiter.
    `conflicted` have declared a conflict of interest, whatever the facts. `readers_needed` is 2 where policy asks for a second
    reader. `wants_arbiter`: only somebody to whom cases can be referred may take it. `facts_asked_by` is the reviewer for whose sake
    it waits for facts; `correcting`: its released decision is being taken back by its signer or an arbiter.
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
    ladder: Ladder = Ladder()
    training: bool = False
    planted: bool = False
    held: bool = False
    erasure: Erasure | None = None
    unwitnessed: bool = False
    audit: Audit | None = None
    readings: tuple[ActorId, ...] = ()
    seen_by: tuple[ActorId, ...] = ()
    referrers: tuple[ActorId, ...] = ()
    arbiters: tuple[ActorId, ...] = ()
    conflicted: tuple[ActorId, ...] = ()
    readers_needed: int = 1
    wants_arbiter: bool = False
    facts_asked_by: ActorId | None = None
    correcting: bool = False

    @property
    def marked_as_training(self) -> bool:
        """Whether a reviewer is told that this is practice; of a `planted` case nobody is before it is signed."""
        return self.training and not self.planted

    @property
    def wake_at(self) -> datetime | None:
        """The instant at which `Expire` becomes legal, or None when the case waits for nobody."""
        if self.phase in UNDER_REVIEW and self.claim is not None:
            return self.claim.until
        if self.phase is Phase.ESCALATED:
            ends = (None if self.overdue else self.due_at, self.ladder.until)
            return min((end for end in ends if end is not None), default=None)
        return self.due_at

    @property
    def unanswered(self) -> tuple[MemberId, ...]:
        """The seats asked about the present facts that have not answered."""
        heard = {member for member, _ in self.answered}
        return tuple(member for member in self.seats if member not in heard)
