"""Entries as FHIR R4 AuditEvents, each with the proof that the log holds it.

An event is a function of its entry, its place and its proof, so a reader makes it again and compares. Cases and actors
stand as the opaque identifiers that the log knows them by: no patient is named. The entry's bytes, its leaf hash and
its C2SP tlog-proof are details of the second entity, where any R4 reader finds them without knowing an extension.

No IHE BALP profile is claimed: those for reading ask for a client and a server with their addresses and for the
patient, which the log does not hold. DICOM has a type that fits for an export, 110106, and for a change of who may do
what, the alert 110113 with its subtype 110137; every other entry has a type of ours.
"""

from __future__ import annotations

from typing import Any

from arbiter.audit.canonical import plain_bytes
from arbiter.audit.entry import Entry, spell_instant
from arbiter.audit.export.layout import ExportedEntry
from arbiter.audit.note import encode_base64
from arbiter.audit.proof import TlogProof

KINDS = "urn:arbiter:fhir:CodeSystem:entry-kind"
TYPES = "urn:arbiter:fhir:CodeSystem:entry-type"
CASES = "urn:arbiter:fhir:identifier:case"
ACTORS = "urn:arbiter:fhir:identifier:actor"
LOGS = "urn:arbiter:fhir:identifier:log"
ENTRIES = "urn:arbiter:fhir:identifier:entry"

EXPORTED = "log.exported"

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"

_ALERT = {"system": _DCM, "code": "110113", "display": "Security Alert"}
# The standard's own spelling (PS3.16, CID 401).
_ATTRIBUTES_CHANGED = {"system": _DCM, "code": "110137", "display": "User security Attributes Changed"}

REGISTER_ACTIONS = {
    "account.made": "C",
    "account.changed": "U",
    "account.disabled": "U",
    "account.locked": "U",
    "account.unlocked": "U",
    "passkey.added": "C",
    "passkey.removed": "D",
    "account.password-set": "U",
    "client.registered": "C",
    "client.disabled": "U",
    "client.rotated": "U",
}
"""AuditEvent.action of what changes who may do what."""

_KNOWN_TYPES = {
    **dict.fromkeys(REGISTER_ACTIONS, _ALERT),
    EXPORTED: {"system": _DCM, "code": "110106", "display": "Export"},
    "content.read": {"system": _LIFECYCLE, "code": "access", "display": "Access/View Record Lifecycle Event"},
}
_ACTIONS = {
    **REGISTER_ACTIONS,
    "site.added": "C",
    "case.received": "C",
    "content.read": "R",
    EXPORTED: "R",
    "facts.amended": "U",
    "case.retracted": "U",
    "case.superseded": "U",
}
"""AuditEvent.action; what is not here is an execution, E."""


def event_line(exported: ExportedEntry, entry: Entry, proof: TlogProof, origin: str) -> bytes:
    """Return the line of `events.ndjson` for one entry, with its end."""
    return plain_bytes(audit_event(exported, entry, proof, origin)) + b"\n"


def audit_event(exported: ExportedEntry, entry: Entry, proof: TlogProof, origin: str) -> dict[str, Any]:
    """Return the AuditEvent of an entry."""
    at = spell_instant(entry.at)
    kind = entry.type.partition(".")[0]
    return {
        "resourceType": "AuditEvent",
        "id": f"entry-{exported.index}",
        "type": _KNOWN_TYPES.get(entry.type, {"system": KINDS, "code": kind}),
        "subtype": [
            {"system": TYPES, "code": entry.type},
            *([_ATTRIBUTES_CHANGED] if entry.type in REGISTER_ACTIONS else []),
        ],
        "action": _ACTIONS.get(entry.type, "E"),
        "recorded": at,
        "outcome": "0",
        "agent": [{"who": {"identifier": {"system": ACTORS, "value": entry.actor}}, "requestor": True}],
        "source": {
            "observer": {"identifier": {"system": LOGS, "value": origin}},
            "type": [
                {
                    "system": f"{_TERMINOLOGY}security-source-type",
                    "code": "4",
                    "display": "Application Server",
                }
            ],
        },
        "entity": [_case(entry), _log_entry(exported, proof, origin)],
    }


def _case(entry: Entry) -> dict[str, Any]:
    return {
        "what": {"identifier": {"system": CASES, "value": entry.case}},
        "type": {"system": f"{_TERMINOLOGY}audit-entity-type", "code": "2", "display": "System Object"},
        "role": {"system": f"{_TERMINOLOGY}object-role", "code": "4", "display": "Domain Resource"},
        "detail": [{"type": "sequence", "valueString": str(entry.seq)}]
        + [{"type": f"version {name}", "valueString": value} for name, value in entry.versions]
        + ([{"type": "trace", "valueString": entry.trace}] if entry.trace else []),
    }


def _log_entry(exported: ExportedEntry, proof: TlogProof, origin: str) -> dict[str, Any]:
    return {
        "what": {"identifier": {"system": ENTRIES, "value": f"{origin}#{exported.index}"}},
        "type": {"system": f"{_TERMINOLOGY}audit-entity-type", "code": "2", "display": "System Object"},
        "role": {"system": f"{_TERMINOLOGY}object-role", "code": "13", "display": "Security Resource"},
        "detail": [
            {"type": "entry", "valueBase64Binary": encode_base64(exported.body)},
            {"type": "leaf-hash", "valueBase64Binary": encode_base64(exported.hash)},
            {"type": "tlog-proof", "valueBase64Binary": encode_base64(proof.encode())},
        ],
    }
