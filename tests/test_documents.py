"""JSON forms of the core values: one spelling out, nothing else in."""

import copy
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.canonical import canonical_bytes
from arbiter.documents.canonical import decode, encode
from arbiter.documents.facts import facts_document, facts_from, facts_hash
from arbiter.documents.opinions import opinion_document, opinion_from
from arbiter.documents.outcomes import outcome_document, outcome_from
from arbiter.documents.scalars import decimal_text, instant_text
from arbiter.documents.verdicts import verdict_document, verdict_from
from arbiter.errors import RefusedError
from arbiter.model import (
    Evidence,
    Fact,
    FactSet,
    FactStatus,
    MemberId,
    MemberIdentity,
    MemberStatus,
    Opinion,
    PolicyOutcome,
    Reason,
    ReasonCode,
    RuleEffect,
    RuleFailure,
    RuleHit,
    Verdict,
    VerdictKind,
)

AT = datetime(2026, 11, 22, 3, tzinfo=UTC)
FACTS = FactSet(
    2,
    (
        Fact("avpu", "alert", None, AT, FactStatus.FINAL, "ward"),
        Fact("oxygen", True, None, AT, FactStatus.CORRECTED, "ward"),
        Fact("temp", Decimal("38.50"), "Cel", AT, FactStatus.FINAL, "wärd"),
    ),
)
OPINION = Opinion(
    member=MemberId("news2"),
    asks="question",
    status=MemberStatus.VALID,
    facts_hash="f" * 64,
    votes=(("urgent", 2), ("watch", 1)),
    samples=4,
    evidence=(Evidence("temp", "38.5", "raised", 1), Evidence("avpu", "alert", "awake")),
    missing=("lactate",),
    rationale="NEWS2 of 5",
    identity=MemberIdentity("score", "news2", "2017", "d" * 64, (("source", "RCP 2017"),)),
    asked_at=AT,
    answered_at=AT + timedelta(microseconds=1),
)
OUTCOME = PolicyOutcome(
    ("urgent",),
    (RuleHit("shock", RuleEffect.REQUIRE, ("urgent",), "Because."),),
    (RuleFailure("other", "its condition gave an error"),),
    "b" * 64,
)
VERDICT = Verdict(
    VerdictKind.ESCALATE,
    None,
    "urgent",
    (Reason(ReasonCode.VETO, "x"),),
    ("lactate",),
    (("valid", "3.000000"),),
)
FORMS: list[tuple[Any, Callable[[Any], dict[str, Any]], Callable[[Any], Any]]] = [
    (FACTS, facts_document, facts_from),
    (OPINION, opinion_document, opinion_from),
    (OUTCOME, outcome_document, outcome_from),
    (VERDICT, verdict_document, verdict_from),
]


@pytest.mark.parametrize(("value", "write", "read"), FORMS)
def test_what_is_written_is_read_back_and_written_again_the_same(
    value: Any, write: Callable[[Any], dict[str, Any]], read: Callable[[Any], Any]
) -> None:
    content = encode(write(value))
    assert read(decode(content)) == value
    assert encode(write(read(decode(content)))) == content


@pytest.mark.parametrize(("value", "write", "read"), FORMS)
def test_bytes_are_those_of_the_log_and_of_an_independent_rfc_8785(
    value: Any, write: Callable[[Any], dict[str, Any]], read: Callable[[Any], Any]
) -> None:
    document = write(value)
    assert encode(document) == canonical_bytes(document) == rfc8785.dumps(document)


def places(document: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """List the path of every member and item of a document."""
    found: list[tuple[str | int, ...]] = [path] if path else []
    if isinstance(document, dict):
        for name, member in document.items():
            found += places(member, (*path, name))
    if isinstance(document, list):
        for index, item in enumerate(document):
            found += places(item, (*path, index))
    return found


def with_member(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return a copy with the member at that path put there."""
    copied = copy.deepcopy(document)
    _at(copied, path[:-1])[path[-1]] = value
    return copied


def without_member(document: Any, path: tuple[str | int, ...]) -> Any:
    """Return a copy without the member at that path."""
    copied = copy.deepcopy(document)
    del _at(copied, path[:-1])[path[-1]]
    return copied


OPEN = {("votes",), ("identity", "details")}
"""Objects whose names are values, so a further or lacking name is another value and no fault."""
OPTIONAL = {"unit", "points", "leading"}


@pytest.mark.parametrize(("value", "write", "read"), FORMS)
def test_no_member_may_lack_or_be_of_another_type_or_be_unknown(
    value: Any, write: Callable[[Any], dict[str, Any]], read: Callable[[Any], Any]
) -> None:
    document = write(value)
    strangers: tuple[Any, ...] = (None, 1.5, {"a": {}}, [[]], ["\0", 1], -1, b"x", Decimal(1), "nobody")
    for path in places(document):
        for stranger in strangers:
            if isinstance(stranger, str) and isinstance(_at(document, path), str):
                continue  # a text may say anything; enumerations, instants and numbers have tests of their own
            if stranger == -1 and path[-1] == "points":
                continue
            with pytest.raises(RefusedError):
                read(with_member(document, path, stranger))
        if isinstance(path[-1], str) and path[:-1] not in OPEN and path[-1] not in OPTIONAL:
            with pytest.raises(RefusedError):
                read(without_member(document, path))
        if isinstance(_at(document, path), dict) and path not in OPEN:
            with pytest.raises(RefusedError):
                read(with_member(document, (*path, "further"), "x"))
    with pytest.raises(RefusedError):
        read({**document, "further": "x"})


def _at(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def test_a_fact_set_has_this_form_and_this_hash() -> None:
    """The hash binds opinions to facts across versions of the code: a change here is a change of format."""
    content = (
        '{"facts":['
        '{"kind":"code","name":"avpu","observed_at":"2026-11-22T03:00:00.000000Z","source":"ward",'
        '"status":"final","value":"alert"},'
        '{"kind":"flag","name":"oxygen","observed_at":"2026-11-22T03:00:00.000000Z","source":"ward",'
        '"status":"corrected","value":true},'
        '{"kind":"number","name":"temp","observed_at":"2026-11-22T03:00:00.000000Z","source":"wärd",'
        '"status":"final","unit":"Cel","value":"38.5"}'
        '],"version":2}'
    ).encode()
    assert encode(facts_document(FACTS)) == content
    assert facts_hash(FACTS) == hashlib.sha256(content).hexdigest()


def test_equal_numbers_hash_alike_and_another_version_does_not() -> None:
    def hashed(version: int, number: str) -> str:
        return facts_hash(FactSet(version, (Fact("t", Decimal(number), "1", AT, FactStatus.FINAL, "s"),)))

    assert hashed(1, "38.5") == hashed(1, "38.500") == hashed(1, "3.85E+1")
    assert len({hashed(1, "38.5"), hashed(2, "38.5"), hashed(1, "38.51")}) == 3


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0.000", "0"),
        ("-0.00", "0"),
        ("1E+3", "1000"),
        ("100", "100"),
        ("1.10", "1.1"),
        ("-1.50", "-1.5"),
        ("1E-7", "0.0000001"),
        ("12345678901234567890.123456789", "12345678901234567890.123456789"),
    ],
)
def test_numbers_are_plain_and_normalised(number: str, text: str) -> None:
    assert decimal_text(Decimal(number)) == text


@pytest.mark.parametrize(
    "number", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+9999999", "1E-9999999", "1E41"]
)
def test_numbers_that_are_none_or_absurd_are_not_written(number: str) -> None:
    with pytest.raises(RefusedError):
        decimal_text(Decimal(number))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
def test_every_number_survives_the_way_out_and_in(number: Decimal) -> None:
    facts = FactSet(1, (Fact("t", number, "1", AT, FactStatus.FINAL, "s"),))
    read = facts_from(decode(encode(facts_document(facts)))).facts[0].value
    assert read == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+1",
        "1.",
        ".5",
        "01",
        "1.50",
        "1e3",
        "-0",
        "0.0",
        "NaN",
        "Infinity",
        " 1",
        "1 ",
        "1_0",
        "٣",
        "1" * 81,
        "--1",
    ],
)
def test_only_the_normalised_spelling_of_a_number_is_read(text: str) -> None:
    document = facts_document(FACTS)
    document["facts"][2]["value"] = text
    with pytest.raises(RefusedError) as refusal:
        facts_from(document)
    assert refusal.value.problems[0].pointer == "/facts/2/value"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T03:00:00Z",
        "2026-11-22T03:00:00.000000",
        "2026-11-22T03:00:00.000000+00:00",
        "2026-11-22 03:00:00.000000Z",
        "2026-11-22T03:00:00.000Z",
        "2026-13-22T03:00:00.000000Z",
        "2026-02-30T03:00:00.000000Z",
        "2026-11-22T24:00:00.000000Z",
        "2026-11-22T03:00:60.000000Z",
        "0000-11-22T03:00:00.000000Z",
        "٢٠٢٦-11-22T03:00:00.000000Z",
    ],
)
def test_only_utc_with_microseconds_is_read(text: str) -> None:
    document = facts_document(FACTS)
    document["facts"][0]["observed_at"] = text
    with pytest.raises(RefusedError) as refusal:
        facts_from(document)
    assert refusal.value.problems[0].pointer == "/facts/0/observed_at"


def test_instants_are_written_in_utc_and_naive_ones_not_at_all() -> None:
    east = datetime(2026, 11, 22, 4, 30, 0, 7, tzinfo=timezone(timedelta(hours=1, minutes=30)))
    assert instant_text(east) == "2026-11-22T03:00:00.000007Z"
    assert instant_text(datetime(987, 1, 2, tzinfo=UTC)) == "0987-01-02T00:00:00.000000Z"
    with pytest.raises(RefusedError):
        instant_text(datetime(2026, 11, 22, 3))  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0.0}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":null}',
        b'{"a":9007199254740992}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"\\udfff":"a"}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\n"}',
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":1}{"b":2}',
        b'{"a":1} x',
        b'{"a":' + b"[" * 65 + b"]" * 65 + b"}",
        b'{"a":' + b"[" * 200_000,
    ],
)
def test_bytes_that_could_be_read_in_two_ways_are_refused(content: bytes) -> None:
    with pytest.raises(RefusedError):
        decode(content)


def test_a_refusal_never_repeats_what_it_refuses() -> None:
    document = opinion_document(OPINION)
    document["status"] = "Jane Doe"
    with pytest.raises(RefusedError) as refusal:
        opinion_from(document)
    assert "Jane" not in str(refusal.value)
    assert refusal.value.problems[0].pointer == "/status"


@pytest.mark.parametrize(
    "document",
    [
        {"a": 1.0},
        {"a": None},
        {"a": 2**53},
        {"a": "\ud800"},
        {"\ud800": "a"},
        {1: "a"},
        {True: "a"},
        {"a": b"x"},
        {"a": {"b": {1, 2}}},
        {"a": Decimal(1)},
        {"a": AT},
        {"a": [float("nan")]},
    ],
)
def test_what_has_no_canonical_form_is_not_written(document: Any) -> None:
    with pytest.raises(RefusedError):
        encode(document)


@pytest.mark.parametrize(
    ("votes", "samples"),
    [({"urgent": 0}, 1), ({"urgent": -1, "watch": 2}, 1), ({"urgent": 2}, 1), ({"a": True}, 1)],
)
def test_votes_beyond_the_samples_or_below_one_are_refused(votes: dict[str, int], samples: int) -> None:
    document = opinion_document(OPINION) | {"votes": votes, "samples": samples}
    with pytest.raises(RefusedError):
        opinion_from(document)


def test_facts_twice_or_out_of_order_are_refused() -> None:
    document = facts_document(FACTS)
    for facts in (document["facts"][::-1], [document["facts"][0]] * 2):
        with pytest.raises(RefusedError):
            facts_from({"version": 1, "facts": facts})
    with pytest.raises(RefusedError):
        facts_from({"version": 0, "facts": []})


@pytest.mark.parametrize(
    "change", [{"kind": "decide"}, {"option": "urgent"}, {"kind": "ask-facts", "option": "urgent"}]
)
def test_an_option_without_a_decision_or_a_decision_without_one_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(RefusedError):
        verdict_from(verdict_document(VERDICT) | change)
