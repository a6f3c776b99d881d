"""What the use cases hand to the doors: frozen, and without a patient's content unless the name says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from arbiter.documents.signing import Fate, Way
from arbiter.lifecycle.states import DecidedBy, Erasure, Phase
from arbiter.model import CaseId, FactSet, RiskClass
from arbiter.store.cases.heads import CaseRow
from arbiter.workflow.shelf import Shelved


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case's status. `due_at` ends the present wait; `entries` counts the case's log entries.

    `acknowledged`: somebody on duty has answered the call about this escalation. `unattended`: nobody did on any rung,
    and the requester follows the local procedure. `unwitnessed`: released before enough witnesses cosigned. `held`: a
    legal hold forbids erasing it; `erasure`: its content is gone. `under_correction`: a reviewer's released decision is being
    taken back, and is not to be acted on.
    """

    id: CaseId
    protocol: str
    protocol_version: str
    protocol_hash: str
    site: str
    requester: str
    risk_class: RiskClass
    phase: Phase
    facts_version: int
    created_at: datetime
    changed_at: datetime
    due_at: datetime | None
    overdue: bool
    decided_by: DecidedBy | None
    successor: CaseId | None
    entries: int
    acknowledged: bool
    unattended: bool
    training: bool = False
    held: bool = False
    erasure: Erasure | None = None
    unwitnessed: bool = False
    under_correction: bool = False


@dataclass(frozen=True, slots=True)
class CasePage:
    """A page of cases, newest first, and the cursor of the next page."""

    cases: tuple[CaseView, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class CaseContent:
    """A case's status with what it holds about the patient."""

    view: CaseView
    facts: FactSet
    encounter: str | None
    subject_system: str
    subject_value: str


@dataclass(frozen=True, slots=True)
class SignatureView:
    """A reviewer's signature under a decision, for whoever gave it.

    `fate` says what became of their own opinion, `way` by which two components they signed, `shown` is the hash of what they
    were shown (None where the signature is older than that), `entry` the number in the case's chain of the entry that
    commits to the certificate.
    """

    name: str
    meaning: str
    signed_at: datetime
    own_title: str | None
    fate: Fate
    way: Way
    shown: str | None
    reason: str
    entry: int


@dataclass(frozen=True, slots=True)
class WantedFacts:
    """The facts that a case waits for, by the question's names and titles, and the note of the reviewer who asks for them.

    `by_reviewer` is false where the panel asks; it leaves no note.
    """

    case: CaseId
    facts: tuple[tuple[str, str], ...]
    note: str
    by_reviewer: bool
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A released decision; the certificate says the rest. `signature` is told to whoever gave it, and to nobody else."""

    case: CaseId
    option: str
    title: str
    decided_by: DecidedBy
    decided_at: datetime
    certificate_sha256: str
    plain: str
    training: bool = False
    unwitnessed: bool = False
    signature: SignatureView | None = None


@dataclass(frozen=True, slots=True)
class CaseStep:
    """One sealed entry of a case, as a follower sees it."""

    seq: int
    type: str
    at: datetime


def view_of(row: CaseRow, shelved: Shelved) -> CaseView:
    """Return a stored case's status."""
    state = row.state
    # A decision that no checkpoint covers yet is nobody's to see.
    settled = state.phase is not Phase.DECIDED
    return CaseView(
        id=row.id,
        protocol=row.protocol_id,
        protocol_version=shelved.protocol.version,
        protocol_hash=row.protocol_hash,
        site=row.site,
        requester=row.client,
        risk_class=state.risk_class,
        phase=state.phase,
        facts_version=state.facts_version,
        created_at=row.created_at,
        changed_at=row.changed_at,
        due_at=state.due_at,
        overdue=state.overdue,
        decided_by=state.decided_by if settled else None,
        successor=state.successor,
        entries=row.seq + 1,
        acknowledged=state.ladder.acknowledged_by is not None,
        unattended=state.ladder.unattended,
        training=state.training,
        held=state.held,
        erasure=state.erasure,
        unwitnessed=state.unwitnessed and state.phase is Phase.RELEASED,
        under_correction=state.correcting,
    )
