"""Every example of every protocol that takes Bundles gives the same facts and the same outcome by FHIR as natively."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from arbiter.adjudication.certifying import Circumstances, adjudicate
from arbiter.api.strict_json import parse
from arbiter.documents.taken import TakenFacts
from arbiter.model import CaseId, FactSet, RiskClass, VerdictKind
from arbiter.panels.panel import address, ask_panel
from arbiter.protocols.bundle import Bundle
from arbiter.protocols.fhir.mapping import PatientSource
from arbiter.protocols.fhir.taking import TakenBundle, take_bundle
from arbiter.protocols.intake import take_facts
from arbiter.workflow.shelf import Shelved, shelve
from tests.protocols.fhir_bundles import FOLDER, MRN, TAKEN_AT, bundle_of, chosen, mapped, text_of

PROTOCOLS = dict(mapped())
EXAMPLES = [(name, case.id) for name, bundle in PROTOCOLS.items() for case in bundle.examples]


class _Clock:
    def now(self) -> datetime:
        return TAKEN_AT


@cache
def on_shelf(name: str) -> Shelved:
    return shelve(PROTOCOLS[name])


async def outcome(name: str, facts: FactSet, risk_class: RiskClass) -> str:
    """What the service does with these facts: exclusions, panel, policy, adjudication."""
    shelved, taken = on_shelf(name), TakenFacts.of(facts, TAKEN_AT)
    if shelved.exclusion_reasons(taken):
        return "escalated"
    put = address(shelved.protocol, facts, taken.hash, TAKEN_AT, TAKEN_AT + timedelta(seconds=30), seed=1)
    opinions = tuple([item.opinion async for item in ask_panel(shelved.members, put, _Clock())])
    known = shelved.bundle.calibration
    around = Circumstances(CaseId("c_example"), risk_class, False, True, TAKEN_AT, calibration=known)
    verdict = adjudicate(around, shelved, taken, opinions).verdict
    match verdict.kind:
        case VerdictKind.DECIDE:
            return f"decided:{verdict.option}"
        case VerdictKind.ASK_FACTS:
            return "asks-facts"
        case VerdictKind.ESCALATE:
            return "escalated"


def taken(protocol: Bundle, case_id: str) -> TakenBundle:
    case = next(case for case in protocol.examples if case.id == case_id)
    assert protocol.fhir is not None
    # Through bytes, as at the door: numbers must survive being spelt.
    document = parse(text_of(bundle_of(protocol, case)).encode(), 24)
    return take_bundle(document, protocol.fhir, TAKEN_AT)


@pytest.mark.parametrize(("name", "case_id"), EXAMPLES)
async def test_an_example_is_the_same_case_by_fhir(name: str, case_id: str) -> None:
    protocol = PROTOCOLS[name]
    case = next(case for case in protocol.examples if case.id == case_id)
    by_fhir = taken(protocol, case_id)
    assert by_fhir.subject == (MRN, f"made-up-{case_id}")
    assert by_fhir.left_out == ()
    question = protocol.protocol.question
    native = take_facts(question, case.raw_facts(TAKEN_AT), TAKEN_AT)
    facts = take_facts(question, by_fhir.facts, TAKEN_AT)
    assert protocol.fhir is not None
    of_patient = {fact.name for fact in protocol.fhir.facts if isinstance(fact.sources[0], PatientSource)}
    assert [
        (fact.name, fact.value, fact.unit, fact.name in of_patient or fact.observed_at) for fact in facts
    ] == [(fact.name, fact.value, fact.unit, fact.name in of_patient or fact.observed_at) for fact in native]
    assert all(fact.source.startswith("FHIR ") for fact in facts)
    ended = await outcome(name, facts, case.risk_class)
    assert ended == await outcome(name, native, case.risk_class)
    assert ended == case.expect


def test_there_is_a_protocol_that_takes_bundles() -> None:
    assert "deterioration" in PROTOCOLS


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_every_fact_of_a_mapped_protocol_can_come_by_fhir(name: str) -> None:
    fhir = PROTOCOLS[name].fhir
    assert fhir is not None
    assert {fact.name for fact in fhir.facts} == {
        spec.name for spec in PROTOCOLS[name].protocol.question.facts
    }


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_the_example_bundles_are_what_the_examples_say(name: str) -> None:
    cases = chosen(PROTOCOLS[name])
    assert len(cases) >= 8
    written = {path.stem: path.read_text("utf-8") for path in (FOLDER / name).glob("*.json")}
    assert written == {case.id: text_of(bundle_of(PROTOCOLS[name], case)) for case in cases}
    for text in written.values():
        assert datetime.fromisoformat(json.loads(text)["timestamp"]).astimezone(UTC) == TAKEN_AT
