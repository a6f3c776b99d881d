"""The certificate as a reader gets it: golden paragraphs, complete numbers, canonical bytes."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbiter.adjudication import FORMAT, Bench, Signature, certificate, decide, escalation
from arbiter.audit.canonical import canonical_bytes
from arbiter.documents.canonical import encode
from arbiter.documents.opinions import opinion_document
from arbiter.documents.outcomes import outcome_document
from arbiter.errors import UndecidableError
from arbiter.model import (
    ActorId,
    CaseId,
    Evidence,
    MemberStatus,
    Opinion,
    PolicyOutcome,
    Reason,
    ReasonCode,
    RuleEffect,
    Verdict,
)
from arbiter.question import Strategy
from tests.adjudication.small import (
    AT,
    DENIES,
    FAILS,
    PERMITS,
    SILENT,
    abstains,
    always,
    bench,
    hit,
    opinion,
    opinions,
    seat,
)

GOLDEN = Path(__file__).parent / "certificate.json"
COURT = bench(
    seat("a", family="x", weight="2"),
    seat("b", family="x", required=True),
    seat("c", veto=("urgent",)),
    seat("q", asks="sepsis-risk"),
    strategy=Strategy.WEIGHTED,
    greatest_between=Decimal("0.95"),
)


def written(
    court: Bench,
    given: list[Opinion],
    outcome: PolicyOutcome | None = PERMITS,
    verdict: Verdict | None = None,
    signature: Signature | None = None,
) -> dict[str, Any]:
    return certificate(
        case=CaseId("case-1"),
        bench=court,
        facts_version=1,
        opinions=given,
        outcome=outcome,
        verdict=verdict or decide(court, given, always(outcome or SILENT)),
        code_version="0.1.0",
        concluded_at=AT,
        signature=signature,
    )


def plain(*arguments: Any, **named: Any) -> str:
    text: str = written(*arguments, **named)["plain"]
    return text


CITING = replace(
    opinion("a", {"urgent": 3, "watch": 1}),
    evidence=(Evidence("pulse", "131", "3 points for 131 or more", 3),),
    rationale="NEWS2 of 7",
)
DECIDED = [
    CITING,
    *opinions("urgent", "urgent", members="bc"),
    abstains("q", "lactate", asks="sepsis-risk"),
]


def test_a_decision_reads_like_this() -> None:
    assert plain(COURT, DECIDED) == (
        "The question: Does this person need urgent review? "
        "Three of three voting members gave a valid answer. "
        "A, B and C said: “Urgent”. "
        "On sepsis-risk, Q abstained, lacking a usable value of Lactate. "
        "Rule the-rule permits a decision without a clinician: Because. "
        "The panel decided: “Urgent”."
    )


def test_an_escalation_reads_like_this() -> None:
    given = [
        opinion("a", {"urgent": 1, "watch": 1}),
        opinion("b", "watch"),
        opinion("c", "urgent"),
        opinion("q", "high", asks="sepsis-risk"),
    ]
    outcome = replace(DENIES, hits=(*DENIES.hits, hit(RuleEffect.FORBID, "watch", rule="no-watch")))
    assert plain(COURT, given, outcome) == (
        "The question: Does this person need urgent review? "
        "Three of three voting members gave a valid answer. "
        "C said: “Urgent”. B said: “Watch”. A gave equal support to several answers. "
        "On sepsis-risk, Q said: “High”. "
        "Rule the-rule permits a decision without a clinician: Because. "
        "Rule the-denial asks for a clinician: Because. "
        "Rule no-watch rules out “Watch”: Because. "
        "The panel did not decide; a clinician does. "
        "It leant to: “Urgent”. "
        "No option has the support that the protocol asks for: "
        "“Urgent” has 0.555556 of the weight, more than 0.600000 needed. "
        "The hospital's policy asks for a clinician: the-denial."
    )


def test_a_wait_for_facts_reads_like_this() -> None:
    court = bench(asks_for_facts=True)
    given = [*opinions("watch"), abstains("b", "lactate"), abstains("c", "lactate", "pulse")]
    assert plain(court, given) == (
        "The question: Does this person need urgent review? "
        "One of three voting members gave a valid answer. "
        "A said: “Watch”. "
        "B abstained, lacking a usable value of Lactate. "
        "C abstained, lacking a usable value of Lactate and Pulse. "
        "Rule the-rule permits a decision without a clinician: Because. "
        "The panel asks for Lactate and Pulse; if nothing comes in time, a clinician decides. "
        "It leant to: “Watch”. "
        "Too few members gave a valid answer: 1 valid, at least 2 needed. "
        "Facts are missing that would let the panel answer: Lactate and Pulse."
    )


def test_an_exclusion_before_anybody_was_asked_reads_like_this() -> None:
    verdict = escalation([Reason(ReasonCode.EXCLUDED, "under-16, not validated under 16")])
    assert plain(COURT, [], None, verdict) == (
        "The question: Does this person need urgent review? "
        "No member of the panel was asked. "
        "The panel did not decide; a clinician does. "
        "The question is not meant for this patient, so no member was asked: under-16, not validated under 16."
    )


def test_silence_of_every_kind_is_told_apart() -> None:
    court = bench(*(seat(member) for member in "abcdef"))
    given = [
        opinion("a", "urgent"),
        opinion("b", status=MemberStatus.TIMED_OUT),
        opinion("c", status=MemberStatus.DOWN),
        opinion("d", status=MemberStatus.INVALID),
        opinion("e", status=MemberStatus.DOWN),
    ]
    said = plain(court, given, FAILS)
    assert "One of six voting members gave a valid answer. A said: “Urgent”. " in said
    assert (
        "B did not answer in time. C and E could not be reached. D gave no usable answer. F was not heard. "
        in said
    )
    assert "Rule the-failure could not be evaluated: its condition gave an error. " in said


SIGNED = Signature(
    reviewer=ActorId("actor-7"),
    option="urgent",
    own_option="watch",
    meaning="I decide this case",
    reason_hash="9" * 64,
    signed_at=AT,
)


@pytest.mark.parametrize(
    ("own", "fate", "sentence"),
    [
        (
            "watch",
            "changed",
            "A clinician judged alone first: “Watch”; then, having seen the panel, gave a reason and signed: “Urgent”.",
        ),
        (
            "urgent",
            "kept",
            "A clinician judged alone first, kept that judgement after seeing the panel, and signed: “Urgent”.",
        ),
        (
            None,
            "not-committed",
            "A clinician saw the panel first, as policy allows here, and signed: “Urgent”.",
        ),
    ],
)
def test_a_signature_says_who_decided_and_what_became_of_their_own_opinion(
    own: str | None, fate: str, sentence: str
) -> None:
    document = written(COURT, DECIDED, DENIES, signature=replace(SIGNED, own_option=own))
    assert document["plain"].endswith(sentence)
    assert document["decision"]["by"] == "reviewer"
    assert document["decision"]["option"] == "urgent"
    assert document["decision"]["title"] == "Urgent"
    expected = {
        "reviewer": "actor-7",
        "meaning": "I decide this case",
        "own_opinion": fate,
        "reason_hash": "9" * 64,
        "signed_at": "2026-11-22T03:00:00.000000Z",
    }
    if own is not None:
        expected["own_option"] = own
    assert document["decision"]["signature"] == expected
    assert document["verdict"]["kind"] == "escalate"


def test_an_escalation_names_no_decision() -> None:
    assert "decision" not in written(COURT, DECIDED, DENIES)
    assert "option" not in written(COURT, DECIDED, DENIES)["verdict"]


def test_the_whole_document_is_this() -> None:
    """The golden file is read by people: change it only together with the format's version or on purpose."""
    document = written(COURT, DECIDED)
    assert document == json.loads(GOLDEN.read_text())
    assert document["format"] == FORMAT == "arbiter/certificate/v1"


def test_every_opinion_stands_in_it_whole_in_the_order_of_the_seats() -> None:
    document = written(COURT, DECIDED[::-1])
    assert [entry["member"] for entry in document["opinions"]] == ["a", "b", "c", "q"]
    for entry, given in zip(document["opinions"], DECIDED, strict=True):
        assert opinion_document(given).items() <= entry.items()
    assert document["policy"] == outcome_document(PERMITS)
    assert encode(document) == encode(written(COURT, DECIDED))


def test_a_seat_that_was_not_heard_stands_in_it_as_such() -> None:
    entry = written(COURT, DECIDED[:-1])["opinions"][-1]
    assert entry["member"] == "q"
    assert entry["status"] == "not-heard"
    assert "weight" not in entry


def test_its_bytes_are_canonical_for_every_kind_of_ending() -> None:
    escalated = escalation([Reason(ReasonCode.FAULT, "")])
    for document in (
        written(COURT, DECIDED),
        written(COURT, DECIDED, DENIES),
        written(COURT, [], None, escalated),
        written(COURT, DECIDED, DENIES, signature=SIGNED),
    ):
        assert encode(document) == canonical_bytes(document)


def test_a_certificate_over_mixed_facts_is_refused() -> None:
    with pytest.raises(UndecidableError):
        written(
            COURT, [*DECIDED[:-1], opinion("q", asks="sepsis-risk", status=MemberStatus.DOWN, facts_hash="0")]
        )


@pytest.mark.parametrize(
    ("votes", "told"),
    [
        # 1 - H/ln 2 over the two options of the question.
        ({"urgent": 3}, "1.000000"),
        ({"urgent": 2, "watch": 1}, "0.081704"),
        ({"urgent": 2, "watch": 2}, "0.000000"),
    ],
)
def test_a_member_that_gave_several_samples_has_its_self_consistency_told(
    votes: dict[str, int], told: str
) -> None:
    document = written(COURT, [opinion("a", votes), *DECIDED[1:]])
    assert [seat.get("self_consistency") for seat in document["opinions"]] == [told, None, None, None]


def test_samples_that_vote_for_nothing_are_no_part_of_self_consistency() -> None:
    given = replace(opinion("a", {"urgent": 3}), samples=5)
    document = written(COURT, [given, *DECIDED[1:]])
    assert document["opinions"][0]["self_consistency"] == "1.000000"


@pytest.mark.parametrize("status", [each for each in MemberStatus if each is not MemberStatus.VALID])
def test_a_member_without_a_valid_answer_has_no_self_consistency(status: MemberStatus) -> None:
    given = replace(opinion("a", "", status), samples=5)
    document = written(COURT, [given, *DECIDED[1:]])
    assert "self_consistency" not in document["opinions"][0]
