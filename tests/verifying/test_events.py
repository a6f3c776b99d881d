"""The AuditEvents of an export: FHIR R4 by HL7's schema, each with a proof that holds, and nobody's name."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from arbiter.audit.entry import Entry
from arbiter.audit.export.events import CASES, EXPORTED, KINDS, REGISTER_ACTIONS, TYPES, audit_event
from arbiter.audit.export.layout import EVENTS, ExportedEntry
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.note import VerifierKey
from arbiter.audit.proof import TlogProof, verify_proof
from arbiter.errors import VerificationError
from arbiter.lifecycle.entries import EntryType
from arbiter.workflow.register import KINDS as KINDS_OF_REGISTER
from tests.audit.logs import KEYS, ORIGIN, example_entry, example_log
from tests.fhir_schema import check, validator
from tests.verifying.conftest import Exports


def events_of(exports: Exports) -> list[dict[str, Any]]:
    return [json.loads(line) for line in exports.whole.members()[EVENTS].splitlines()]


def detail(event: dict[str, Any], name: str) -> bytes:
    (found,) = [d for d in event["entity"][1]["detail"] if d["type"] == name]
    return base64.b64decode(found["valueBase64Binary"], validate=True)


def proven(event: dict[str, Any], keys: tuple[VerifierKey, ...]) -> Entry:
    """What whoever has the event and the log's key alone can conclude from it."""
    entry = detail(event, "entry")
    assert leaf_hash(entry) == detail(event, "leaf-hash")
    verify_proof(TlogProof.parse(detail(event, "tlog-proof")), leaf_hash(entry), keys)
    return Entry.from_bytes(entry)


def test_every_event_of_a_house_is_r4_and_carries_its_proof(exports: Exports) -> None:
    events = events_of(exports)
    assert len(events) == exports.whole.manifest().entries > 20
    for event in events:
        check(event)
        # A JSON schema of FHIR cannot ask for an element of a primitive type: it might stand there as `_recorded`.
        assert event["recorded"].endswith("Z")
        entry = proven(event, exports.whole.keys)
        assert event["subtype"] == [{"system": TYPES, "code": entry.type}]
        assert event["entity"][0]["what"]["identifier"] == {"system": CASES, "value": entry.case}
        assert event["agent"][0]["who"]["identifier"]["value"] == entry.actor


@pytest.mark.parametrize(
    "kind",
    [
        *[kind.value for kind in EntryType],
        EXPORTED,
        "subject.searched",
        "house.tried",
        *sorted(KINDS_OF_REGISTER),
    ],
)
def test_an_event_of_any_entry_is_r4(kind: str) -> None:
    log = example_log(3)
    made = Entry.from_bytes(log.entries[0])
    entry = Entry(kind, made.case, 0, made.prev, made.at, made.actor, "", made.versions, made.commits)
    proof = TlogProof(0, (), log.notes[0])
    event = audit_event(ExportedEntry.of(0, entry.to_bytes()), entry, proof, ORIGIN)
    check(event)
    assert event["action"] in {"C", "R", "U", "D", "E"}
    own = event["type"]["system"] == KINDS
    assert own == (kind not in {"content.read", EXPORTED, *REGISTER_ACTIONS})
    coded = [coding["code"] for coding in event["subtype"]]
    # DICOM PS3.16, CID 400 and 401: a security alert, that a user's security attributes changed.
    assert coded == ([kind, "110137"] if kind in REGISTER_ACTIONS else [kind])
    assert (event["type"]["code"] == "110113") == (kind in REGISTER_ACTIONS)


def test_every_change_of_who_may_do_what_is_told_as_one() -> None:
    assert set(REGISTER_ACTIONS) == KINDS_OF_REGISTER - {"site.added"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda event: event.pop("source"),
        lambda event: event.update(agent=[]) or event.pop("agent"),
        lambda event: event.update(action="X"),
        lambda event: event.update(outcome="1"),
        lambda event: event.update(recorded="yesterday"),
        lambda event: event["entity"][1]["detail"][0].update(valueBase64Binary="?"),
        lambda event: event.update(note="more"),
    ],
    ids=[
        "no source",
        "no agent",
        "action",
        "outcome",
        "no instant",
        "no base64",
        "unknown member",
    ],
)
def test_the_schema_refuses_an_event_that_is_none(exports: Exports, spoil: Callable[[Any], object]) -> None:
    event = copy.deepcopy(events_of(exports)[0])
    spoil(event)
    assert not validator("AuditEvent").is_valid(event)


def test_a_proof_of_another_event_proves_nothing(exports: Exports) -> None:
    one, other = events_of(exports)[:2]
    one["entity"][1]["detail"][2] = other["entity"][1]["detail"][2]
    with pytest.raises(VerificationError):
        proven(one, exports.whole.keys)
    with pytest.raises(VerificationError):
        proven(other, KEYS)


def test_no_event_names_a_patient_or_a_person(exports: Exports) -> None:
    text = exports.whole.members()[EVENTS].decode()
    for name in ("made-up-1", "urn:example:patients", "visit-1", "Anna", "looks well"):
        assert name not in text


def test_an_example_entry_is_told_as_its_log_has_it() -> None:
    entry = example_entry("case-0001", 0, "0" * 64)
    log = example_log(3)
    event = audit_event(ExportedEntry.of(1, entry.to_bytes()), entry, TlogProof(1, (), log.notes[0]), ORIGIN)
    assert event["id"] == "entry-1"
    assert event["entity"][1]["what"]["identifier"]["value"] == f"{ORIGIN}#1"
