"""What happens to a case: one class an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from arbiter.model import ActorId, CaseId, MemberId, MemberStatus, RiskClass, VerdictKind
from arbiter.question import Timers


@dataclass(frozen=True, slots=True)
class Submit:
    """A hospital system hands in a case; `ladder` is how long each rung has to acknowledge an escalation.

    `planted`: practice that its reviewer cannot tell from care before signing.
    """

    risk_class: RiskClass
    timers: Timers
    ladder: tuple[timedelta, ...] = ()
    training: bool = False
    planted: bool = False


@dataclass(frozen=True, slots=True)
class Exclude:
    """An exclusion holds or cannot be ruled out: no member is asked."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The panel is asked about the present facts."""

    seats: tuple[MemberId, ...]


@dataclass(frozen=True, slots=True)
class Reroute:
    """One member was asked at another replica too, about the facts of that version."""

    member: MemberId
    facts_version: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One member answered, or was found unable to, about the facts of that version."""

    member: MemberId
    status: MemberStatus
    facts_version: int


@dataclass(frozen=True, slots=True)
class Conclude:
    """Adjudication has spoken; what it decides is `audited` where the draw says so. Policy may ask for a `second_reader`."""

    verdict: VerdictKind
    shows_panel_first: bool = False
    audited: bool = False
    second_reader: bool = False


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
class Acknowledge:
    """Somebody on duty answers the call: no further rung is called before the review is overdue."""

    by: ActorId


@dataclass(frozen=True, slots=True)
class TakeUp:
    """A reviewer claims an escalated case until then, or one that has ended, whose decision is to be audited.

    `arbitrates`: the reviewer is one of those to whom a case can be referred.
    """

    reviewer: ActorId
    until: datetime
    arbitrates: bool = False


@dataclass(frozen=True, slots=True)
class Renew:
    """The reviewer's lease is extended."""

    reviewer: ActorId
    until: datetime


@dataclass(frozen=True, slots=True)
class HandBack:
    """The reviewer gives the case back to the duty group; one that is read for an audit, `for_good` where it is not to be theirs again."""

    reviewer: ActorId
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class CommitOpinion:
    """The reviewer's own opinion is fixed before anything of the panel is shown.

    `agrees` tells whether it is what the panel decided when that is being audited; None where nothing is. `concurs` tells
    whether every reader before has said the same; None where nobody has read the case before.
    """

    reviewer: ActorId
    agrees: bool | None = None
    concurs: bool | None = None


@dataclass(frozen=True, slots=True)
class Refer:
    """The reviewer hands the case up to an arbiter, for a reason that the log commits to."""

    reviewer: ActorId


@dataclass(frozen=True, slots=True)
class Defer:
    """The reviewer sets the case aside: nobody is called about it until then, and whoever wants may take it."""

    reviewer: ActorId
    until: datetime


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """The reviewer asks the hospital system for facts; which ones, the log commits to."""

    reviewer: ActorId


@dataclass(frozen=True, slots=True)
class DeclareConflict:
    """The reviewer has a conflict of interest: the case is never theirs again, and what they thought of it does not count."""

    reviewer: ActorId


@dataclass(frozen=True, slots=True)
class Convene:
    """The holder records who else sat together over the revealed case; each of them has seen the panel from then on."""

    reviewer: ActorId
    attendees: tuple[ActorId, ...]


@dataclass(frozen=True, slots=True)
class Correct:
    """Who signed a released decision, or an arbiter, takes it back to sign anew: a new record, never an edit.

    `arbitrates`: the corrector is one of those to whom a case can be referred.
    """

    reviewer: ActorId
    until: datetime
    arbitrates: bool = False


@dataclass(frozen=True, slots=True)
class ReadForAudit:
    """Who audits a panel's decision fixes an opinion, without having seen it; `agrees` tells whether it is the panel's."""

    reviewer: ActorId
    agrees: bool


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """Somebody who knows tells what turned out to be right for the patient."""


@dataclass(frozen=True, slots=True)
class Reveal:
    """The panel's opinions are shown to the reviewer."""

    reviewer: ActorId


@dataclass(frozen=True, slots=True)
class Sign:
    """The reviewer decides and signs; `departs` tells that no reader of a case that needs two has said what is signed."""

    reviewer: ActorId
    departs: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """A committed checkpoint covers the decision, so it may be seen.

    `witnessed` is false for a reviewer's decision that is released before the witnesses its risk class asks for.
    """

    witnessed: bool = True


@dataclass(frozen=True, slots=True)
class Witness:
    """Enough witnesses have cosigned a checkpoint over a decision that was released without them."""


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


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """Somebody of another site looks all the same, for a reason that the log commits to."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold: nobody may erase the case until it is lifted."""


@dataclass(frozen=True, slots=True)
class LiftHold:
    """The legal hold ends."""


@dataclass(frozen=True, slots=True)
class Erase:
    """The case's key is destroyed: what the case holds can be read by nobody any more, and nothing moves it again."""


@dataclass(frozen=True, slots=True)
class CompleteErasure:
    """The last copy of the destroyed key has expired, in backups and in the database's own journal."""


Event: TypeAlias = (
    Submit | Exclude | Ask | Reroute | Answer | Conclude | Park | Amend | Expire | Acknowledge | TakeUp | Renew | HandBack
    | CommitOpinion | ReadForAudit | RecordOutcome | Reveal | Sign | Release | Witness | Cancel | Contest | Retract | Supersede | Read
    | BreakGlass | Hold | LiftHold | Erase | CompleteErasure | Refer | Defer | RequestFacts | DeclareConflict | Convene | Correct
)  # fmt: skip
