"""What of a Bundle a clinician sees beside the facts: older observations and plain texts; what does not fit is told and left out."""

from __future__ import annotations

import base64
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from arbiter.documents.context import Context, RecordText
from arbiter.errors import InvalidCaseError
from arbiter.protocols.context import DOCUMENTS_LIMIT, HISTORY_LIMIT, TEXT_LIMIT, RawContext, take_context
from arbiter.protocols.fhir.context import context_of
from arbiter.protocols.fhir.taking import TakenBundle
from arbiter.protocols.loader import load_bundle
from tests.protocols.fhir_resources import BY_CONDITION, FHIR, NOW, ago, codes, condition, pulse, take
from tests.protocols.small import files

QUESTION = load_bundle(files()).protocol.question


def document(text: str | bytes = "Slept little.", **members: Any) -> dict[str, Any]:
    raw = text.encode() if isinstance(text, str) else text
    attachment = {"contentType": "text/plain", "data": base64.b64encode(raw).decode(), "title": "Night round"}
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"text": "ward note"},
        "date": ago(hours=3),
        "content": [{"attachment": attachment}],
    } | members


def attached(**attachment: Any) -> dict[str, Any]:
    made = document()
    return made | {"content": [{"attachment": made["content"][0]["attachment"] | attachment}]}


def told(taken: TakenBundle, before: Context | None = None) -> tuple[RawContext, list[tuple[str, str]]]:
    context, left_out = context_of(taken, QUESTION, NOW, before)
    return context, [(each.pointer, each.code) for each in left_out]


def test_the_latest_is_the_fact_and_the_older_ones_its_history() -> None:
    taken = take(FHIR, pulse(70, minutes=300), pulse(80, minutes=10), pulse(75, minutes=60))
    assert taken.facts["pulse"].value == 80
    context, left_out = told(taken)
    assert [(name, raw.value, raw.observed_at) for name, raw in context.history] == [
        ("pulse", Decimal(75), NOW - timedelta(minutes=60)),
        ("pulse", Decimal(70), NOW - timedelta(minutes=300)),
    ]
    assert left_out == []


def test_an_absence_that_is_newest_leaves_the_older_values_as_history_and_no_fact() -> None:
    nothing = pulse(dataAbsentReason={"coding": []})
    del nothing["valueQuantity"]
    taken = take(BY_CONDITION, condition(), nothing, pulse(90, minutes=400))
    assert set(taken.facts) == {"fasting"}
    assert [(name, raw.value) for name, raw in told(taken)[0].history] == [("pulse", Decimal(90))]


def test_conditions_are_no_history() -> None:
    taken = take(
        BY_CONDITION, pulse(), condition(recordedDate=ago(days=30)), condition(recordedDate=ago(days=3))
    )
    assert taken.facts["fasting"].value is True
    assert taken.history == ()


@pytest.mark.parametrize(
    ("older", "code"),
    [
        (pulse(100_000, minutes=60), "range"),
        (pulse(Decimal("70.1234567"), minutes=60), "decimals"),
    ],
)
def test_an_older_observation_that_does_not_fit_is_left_out_and_refuses_nothing(
    older: dict[str, Any], code: str
) -> None:
    taken = take(FHIR, pulse(80), older)
    context, left_out = told(taken)
    assert context.history == ()
    assert left_out == [("/entry/2/resource/valueQuantity/value", code)]


def test_of_more_than_is_kept_the_newest_are() -> None:
    taken = take(FHIR, *(pulse(60 + n % 40, minutes=5 + n) for n in range(HISTORY_LIMIT + 3)))
    context, left_out = told(taken)
    assert len(context.history) == HISTORY_LIMIT
    assert [code for _, code in left_out] == ["count"] * 2
    oldest = min(raw.observed_at for _, raw in context.history)
    assert oldest == NOW - timedelta(minutes=5 + HISTORY_LIMIT)


def test_what_the_case_has_already_is_not_taken_twice() -> None:
    taken = take(FHIR, pulse(80), pulse(70, minutes=60), document())
    context, _ = told(taken)
    again, left_out = told(taken, take_context(QUESTION, context, NOW))
    assert (again, left_out) == (RawContext(), [])


# --- documents ---------------------------------------------------------------------------------------------------


def test_a_plain_text_is_taken_with_its_kind_and_time() -> None:
    context, left_out = told(take(FHIR, pulse(), document("Slept\r\nlittle.")))
    assert context.documents == (
        RecordText("Night round", "ward note", NOW - timedelta(hours=3), "not stated", "Slept\r\nlittle."),
    )
    assert left_out == []


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"status": "superseded"}, "/status"),
        ({"status": "entered-in-error"}, "/status"),
        ({"docStatus": "entered-in-error"}, "/docStatus"),
        ({"modifierExtension": [{"url": "urn:not"}]}, "/modifierExtension"),
        ({"subject": None}, "/subject"),
        ({"content": []}, "/content"),
        (
            {"content": [{"attachment": {"contentType": "text/plain", "url": "https://evil.example"}}]},
            "/content",
        ),
        ({"content": attached(contentType="text/html")["content"]}, "/content"),
        ({"content": attached(contentType="application/pdf")["content"]}, "/content"),
        ({"content": attached(contentType="text/plain; charset=utf-16")["content"]}, "/content"),
        ({"content": attached(contentType=None)["content"]}, "/content"),
        ({"content": attached(data="not base64!")["content"]}, "/content"),
        ({"content": attached(data=base64.b64encode(b"\xff\xfe").decode())["content"]}, "/content"),
        ({"content": attached(data="eA==" * 40_000)["content"]}, "/content"),
        ({"date": None}, "/date"),
        ({"date": "yesterday"}, "/date"),
        ({"status": 7}, ""),
        ({"content": "text"}, ""),
        ({"implicitRules": "urn:rules"}, ""),
    ],
)
def test_a_document_that_is_not_plain_text_at_hand_is_left_out_by_its_place(
    members: dict[str, Any], place: str
) -> None:
    made = {name: value for name, value in (document() | members).items() if value is not None}
    if members.get("subject", "") is None:
        made["subject"] = None
    taken = take(FHIR, pulse(80), made)
    assert taken.facts["pulse"].value == 80
    assert taken.documents == ()
    assert [pointer for pointer, _ in codes(taken)] == [f"/entry/2/resource{place}"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("bell\x07", "control-character"),
        ("\u202egnp", "control-character"),
        (" ", "length"),
        ("x" * (TEXT_LIMIT + 1), "length"),
    ],
)
def test_a_text_that_no_page_may_show_is_left_out(text: str, code: str) -> None:
    context, left_out = told(take(FHIR, pulse(), document(text)))
    assert context.documents == ()
    assert left_out == [("/entry/2/resource", code)]


def test_of_more_texts_than_are_kept_the_newest_that_have_room_are() -> None:
    many = [document(f"round {n}", date=ago(hours=n + 1)) for n in range(DOCUMENTS_LIMIT + 2)]
    context, left_out = told(take(FHIR, pulse(), *many))
    assert len(context.documents) == DOCUMENTS_LIMIT
    assert [code for _, code in left_out] == ["too-large"] * 2
    large = [document("x" * TEXT_LIMIT, date=ago(hours=n + 1)) for n in range(12)]
    context, left_out = told(take(FHIR, pulse(), *large))
    assert 0 < len(context.documents) < 12
    assert len(context.documents) + len(left_out) == 12
    take_context(QUESTION, context, NOW)


def test_a_document_about_somebody_else_refuses_the_bundle_as_anything_else_does() -> None:
    with pytest.raises(InvalidCaseError, match="cannot be taken"):
        take(FHIR, pulse(), document(subject={"reference": "Patient/another"}))
