"""Where what is decided alone needs a stated error rate, a strategy that states none decides nothing, and says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from arbiter.adjudication import decide
from arbiter.adjudication.bench import Bench
from arbiter.adjudication.certifying import (
    Circumstances,
    adjudicate,
    certificate_again,
    escalation_certificate,
)
from arbiter.documents.canonical import decode, encode
from arbiter.documents.opinions import opinion_document
from arbiter.documents.taken import TakenFacts
from arbiter.model import CaseId, FactSet, PolicyOutcome, Reason, ReasonCode, RiskClass, VerdictKind
from arbiter.question import Protocol, Strategy
from tests.adjudication.small import (
    AGREED,
    AT,
    DENIES,
    NEEDY,
    PERMITS,
    abstains,
    always,
    bench,
    codes,
    opinions,
    reasons,
)

R = ReasonCode
STATING_NONE = [strategy for strategy in Strategy if strategy is not Strategy.POSTERIOR]


def strict(court: Bench) -> Bench:
    return replace(court, needs_error_rate=True)


@pytest.mark.parametrize("strategy", STATING_NONE)
def test_a_strategy_that_states_no_error_rate_decides_nothing_however_agreed(strategy: Strategy) -> None:
    verdict = decide(strict(bench(strategy=strategy)), AGREED, always(PERMITS))
    assert verdict.kind is VerdictKind.ESCALATE
    assert verdict.leading == "urgent", "a clinician is still told what the panel leant to"
    assert verdict.reasons == (Reason(R.NO_ERROR_RATE, strategy.value),)


def test_the_posterior_states_one_and_decides() -> None:
    court = strict(bench(strategy=Strategy.POSTERIOR))
    assert decide(court, AGREED, always(PERMITS)) == decide(
        bench(strategy=Strategy.POSTERIOR), AGREED, always(PERMITS)
    )
    assert decide(court, AGREED, always(PERMITS)).kind is VerdictKind.DECIDE


def test_a_posterior_whose_guarantee_is_gone_decides_nothing() -> None:
    court = bench(strategy=Strategy.POSTERIOR)
    bare = replace(court.protocol, adjudication=replace(court.settings, guarantee=None))
    assert R.NO_ERROR_RATE in reasons(strict(replace(court, protocol=bare)), AGREED)


def test_the_reason_stands_beside_all_others() -> None:
    court = strict(bench(automatic=False, human_required=True))
    assert reasons(court, AGREED, always(DENIES)) == [
        R.NEVER_AUTOMATIC,
        R.HUMAN_REQUIRED,
        R.NO_ERROR_RATE,
        R.POLICY_DENIES,
    ]


def test_nobody_is_asked_for_facts_that_would_let_nothing_be_decided() -> None:
    lacking = [*opinions("urgent", "urgent"), abstains("c", "pulse")]
    court = bench(*NEEDY, asks_for_facts=True)
    assert decide(court, lacking, always(PERMITS)).kind is VerdictKind.ASK_FACTS
    assert reasons(strict(court), lacking) == [R.NO_ERROR_RATE, R.REQUIRED_MEMBER]


def test_no_answer_that_a_missing_member_could_have_given_decides() -> None:
    assert reasons(strict(bench()), opinions("urgent", "urgent")) == [R.NO_ERROR_RATE]


# --- in the certificate, and made again from it -----------------------------------------------------------------------


@dataclass(frozen=True)
class Book:
    """A small protocol under which the policy permits everything."""

    protocol: Protocol

    def outcome(
        self, taken: TakenFacts, facets: Mapping[str, str], risk_class: RiskClass, valid: int
    ) -> PolicyOutcome:
        return PERMITS

    def exclusion_reasons(self, taken: TakenFacts) -> tuple[Reason, ...]:
        return ()


@dataclass(frozen=True)
class Document:
    seq: int
    name: str
    content: bytes


NO_FACTS = FactSet(1, ())
TAKEN = TakenFacts.of(NO_FACTS, AT)
SAID = tuple(replace(each, facts_hash=TAKEN.hash) for each in AGREED)


def around(**changes: Any) -> Circumstances:
    return replace(Circumstances(CaseId("c_small"), RiskClass.ROUTINE, False, True, AT), **changes)


def again(book: Book, content: bytes) -> bytes:
    before = [
        Document(1, "facts", TAKEN.encode()),
        *(Document(2 + at, "opinion", encode(opinion_document(said))) for at, said in enumerate(SAID)),
    ]
    return certificate_again(
        CaseId("c_small"), RiskClass.ROUTINE, book, before, decode(content), training=False
    )


@pytest.mark.parametrize("needed", [True, False], ids=["in production", "in a demonstration"])
@pytest.mark.parametrize("allowed", [True, False], ids=["approved", "approved by nobody"])
def test_a_certificate_says_whether_a_rate_was_needed_and_is_made_again_from_its_own_word(
    needed: bool, allowed: bool
) -> None:
    book = Book(bench().protocol)
    judged = adjudicate(around(needs_error_rate=needed, automatic=allowed), book, TAKEN, SAID)
    recorded = decode(judged.certificate)
    assert recorded["settings"].get("needs_error_rate", False) is needed
    expected = [*([] if allowed else [R.NEVER_AUTOMATIC]), *([R.NO_ERROR_RATE] if needed else [])]
    assert codes(judged.verdict) == expected
    assert again(book, judged.certificate) == judged.certificate


def test_a_certificate_from_before_a_rate_was_needed_is_made_again_as_it_was() -> None:
    """Its settings have no such key, nor has the one that is made again, wherever that is done."""
    book = Book(bench().protocol)
    judged = adjudicate(around(), book, TAKEN, SAID)
    assert b"error_rate" not in judged.certificate
    assert judged.verdict.kind is VerdictKind.DECIDE
    assert again(book, judged.certificate) == judged.certificate


def test_a_certificate_that_hides_that_a_rate_was_needed_is_not_made_again() -> None:
    book = Book(bench().protocol)
    recorded = decode(adjudicate(around(needs_error_rate=True), book, TAKEN, SAID).certificate)
    del recorded["settings"]["needs_error_rate"]
    forged = encode(recorded)
    assert again(book, forged) != forged


def test_a_clinicians_protocol_is_told_as_before() -> None:
    """What never was to be decided alone lacks nothing."""
    book = Book(bench(automatic=False).protocol)
    judged = adjudicate(around(needs_error_rate=True), book, TAKEN, SAID)
    assert codes(judged.verdict) == [R.NEVER_AUTOMATIC]
    assert judged.certificate == adjudicate(around(), book, TAKEN, SAID).certificate


def test_the_clinician_reads_why_in_a_sentence() -> None:
    judged = adjudicate(around(needs_error_rate=True), Book(bench().protocol), TAKEN, SAID)
    said = (
        "No error rate is stated for this strategy, so it decides nothing here without a clinician: majority."
    )
    assert said in decode(judged.certificate)["plain"]


def test_an_escalation_of_the_workflows_own_is_made_again_too() -> None:
    book = Book(bench().protocol)
    content = escalation_certificate(
        around(needs_error_rate=True), book, TAKEN, SAID, (Reason(R.DEADLINE, "too late"),)
    )
    assert again(book, content) == content


# --- stopped ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_panel_that_is_stopped_decides_nothing_and_does_not_say_why(strategy: Strategy) -> None:
    verdict = decide(replace(bench(strategy=strategy), stopped=True), AGREED, always(PERMITS))
    assert (verdict.kind, verdict.reasons) == (VerdictKind.ESCALATE, (Reason(R.STOPPED, ""),))


def test_a_panel_that_is_stopped_asks_for_no_facts() -> None:
    given = [*opinions("urgent", "urgent"), abstains("c", "pulse")]
    court = replace(bench(*NEEDY, asks_for_facts=True), stopped=True)
    assert decide(court, given, always(PERMITS)).kind is VerdictKind.ESCALATE


def test_what_was_stopped_is_made_again_as_it_was() -> None:
    book = Book(bench().protocol)
    content = adjudicate(around(stopped=True), book, TAKEN, SAID).certificate
    assert again(book, content) == content
    recorded = decode(content)
    assert recorded["settings"].pop("stopped") is True
    assert again(book, encode(recorded)) != encode(recorded), "without it the panel would have decided"


def test_a_panel_that_only_advises_is_not_stopped() -> None:
    book = Book(bench(automatic=False).protocol)
    assert (
        "stopped" not in decode(adjudicate(around(stopped=True), book, TAKEN, SAID).certificate)["settings"]
    )
