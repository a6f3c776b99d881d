"""What the log says about a move, and which sealed documents each entry commits to."""

from __future__ import annotations

from enum import StrEnum


class EntryType(StrEnum):
    """What the log says about a move."""

    RECEIVED = "case.received"
    ASKED = "panel.asked"
    REROUTED = "member.rerouted"
    OPINION = "opinion.recorded"
    FACTS_WANTED = "facts.wanted"
    FACTS_REQUESTED = "facts.requested"
    FACTS_UNANSWERED = "facts.unanswered"
    AMENDED = "facts.amended"
    ESCALATED = "case.escalated"
    OVERDUE = "escalation.overdue"
    CLIMBED = "escalation.climbed"
    ACKNOWLEDGED = "escalation.acknowledged"
    UNATTENDED = "escalation.unattended"
    CLAIMED = "case.claimed"
    RENEWED = "claim.renewed"
    CLAIM_ENDED = "claim.ended"
    COMMITTED = "review.committed"
    REFERRED = "case.referred"
    DEFERRED = "review.deferred"
    CONFLICT = "conflict.declared"
    AUDIT_READ = "audit.read"
    REVEALED = "panel.revealed"
    CONVENED = "panel.convened"
    SIGNED = "decision.signed"
    DECIDED = "case.decided"
    WITHDRAWN = "decision.withdrawn"
    CORRECTED = "decision.corrected"
    RELEASED = "case.released"
    WITNESSED = "release.witnessed"
    CANCELLED = "case.cancelled"
    CONTESTED = "case.contested"
    OUTCOME = "outcome.recorded"
    RETRACTED = "case.retracted"
    SUPERSEDED = "case.superseded"
    READ = "content.read"
    GLASS_BROKEN = "glass.broken"
    HOLD_PLACED = "hold.placed"
    HOLD_LIFTED = "hold.lifted"
    ERASED = "case.erased"
    ERASURE_COMPLETED = "erasure.completed"


CLOSING = frozenset(
    {
        EntryType.RELEASED,
        EntryType.WITNESSED,
        EntryType.CANCELLED,
        EntryType.RETRACTED,
        EntryType.SUPERSEDED,
        EntryType.ERASED,
    }
)
"""Entries that carry the case's count of entries."""

DOCUMENTS: dict[EntryType, frozenset[str]] = {
    EntryType.RECEIVED: frozenset({"request", "facts"}),
    EntryType.REROUTED: frozenset({"reroute"}),
    EntryType.OPINION: frozenset({"opinion"}),
    EntryType.FACTS_WANTED: frozenset({"certificate"}),
    EntryType.FACTS_REQUESTED: frozenset({"wanted"}),
    EntryType.AMENDED: frozenset({"facts"}),
    EntryType.ESCALATED: frozenset({"certificate"}),
    EntryType.COMMITTED: frozenset({"review"}),
    EntryType.REFERRED: frozenset({"reason"}),
    EntryType.DEFERRED: frozenset({"reason"}),
    EntryType.CONFLICT: frozenset({"reason"}),
    EntryType.CONVENED: frozenset({"attendance"}),
    EntryType.AUDIT_READ: frozenset({"reading"}),
    EntryType.SIGNED: frozenset({"signature"}),
    EntryType.DECIDED: frozenset({"certificate"}),
    EntryType.WITHDRAWN: frozenset({"certificate"}),
    EntryType.CORRECTED: frozenset({"reason"}),
    EntryType.CANCELLED: frozenset({"reason"}),
    EntryType.CONTESTED: frozenset({"reason"}),
    EntryType.OUTCOME: frozenset({"outcome"}),
    EntryType.RETRACTED: frozenset({"reason"}),
    EntryType.GLASS_BROKEN: frozenset({"reason"}),
    EntryType.HOLD_PLACED: frozenset({"reason"}),
    EntryType.HOLD_LIFTED: frozenset({"reason"}),
}
"""The sealed documents each entry must commit to; a step saved without them is refused."""

OPTIONAL_DOCUMENTS: dict[EntryType, frozenset[str]] = {
    EntryType.RECEIVED: frozenset({"context"}),
    EntryType.AMENDED: frozenset({"context"}),
    EntryType.OPINION: frozenset({"exchange"}),
    EntryType.CLAIM_ENDED: frozenset({"note"}),
    EntryType.DECIDED: frozenset({"draw"}),
    EntryType.READ: frozenset({"lesson"}),
}
"""The sealed documents an entry commits to where there are any: what a member behind HTTP was sent and what came back;
what a reviewer who hands a case on wrote for the next one; with what probability a panel's decision was to be audited, and whether
it was drawn; what a clinician is shown beside the facts; that somebody read a closed case to learn from it."""
