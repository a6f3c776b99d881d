"""Which label counts, from entries and documents alone: readers who differ, who has seen the panel, draws that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from arbiter.audit.entry import FIRST_PREV, Entry
from arbiter.documents.canonical import encode
from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.errors import RefusedError, VerificationError
from arbiter.workflow.dossier import Document
from arbiter.workflow.labels.choosing import Kind, Label, label_of, was_disputed_alone
from arbiter.workflow.labels.story import Story, story_under
from arbiter.workflow.watching.drawing import FORMAT
from tests.drawing import draw_document

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIFTH = "0.200000"


@dataclass
class Chain:
    """A case's chain, written entry by entry."""

    entries: list[Entry] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.add("case.received", "c_ward")
        self.add("panel.asked", "arbiter")

    def add(self, kind: str, actor: str, **documents: bytes) -> Chain:
        seq = len(self.entries)
        self.entries.append(Entry(kind, "c_1", seq, "1" * 64 if seq else FIRST_PREV, AT, actor, "", (), ()))
        self.documents += [Document(seq, name, bytes(32), content) for name, content in documents.items()]
        return self

    def decided(self, draw: bytes | None = None) -> Chain:
        given = {"certificate": encode({"verdict": {}})} | ({} if draw is None else {"draw": draw})
        self.add("case.decided", "arbiter", **given)
        return self.add("case.released", "arbiter")

    def drawn(self) -> Chain:
        return self.decided(draw_document(FIFTH, drawn=True))

    def escalated(self, *effects: str) -> Chain:
        hits = [{"rule": "r", "effect": effect, "options": [], "rationale": "why"} for effect in effects]
        policy = {"permitted": [], "hits": hits, "failures": [], "policy_hash": "0" * 64}
        return self.add("case.escalated", "arbiter", certificate=encode({"policy": policy}))

    def read(self, person: str, option: str) -> Chain:
        return self.add("audit.read", person, reading=judged(option))

    def judge(self, person: str, option: str) -> Chain:
        return self.add("review.committed", person, review=judged(option))

    def told(self, option: str, kind: OutcomeKind = OutcomeKind.OUTCOME) -> Chain:
        return self.add(
            "outcome.recorded", "c_ward", outcome=KnownOutcome(option, kind, AT, "registry").encode()
        )

    @property
    def story(self) -> Story:
        return Story(tuple(self.entries))

    def label(self, decided: str | None = None) -> Label | None:
        return label_of(self.story, self.documents, decided)


def judged(option: str) -> bytes:
    return encode({"option": option})


def said(label: Label | None) -> tuple[str, str, str] | None:
    return None if label is None else (label.option, label.kind.value, str(label.probability))


# --- audits -----------------------------------------------------------------------------------------------------------

AUDITS: list[tuple[Sequence[tuple[str, str]], tuple[str, Kind] | None, bool]] = [
    ((), None, False),
    ((("ben", "A"),), ("A", Kind.INDEPENDENT_READER), False),
    ((("ben", "B"),), ("B", Kind.BLIND_OPINION), False),
    ((("ben", "B"), ("anna", "B")), ("B", Kind.INDEPENDENT_READER), False),
    ((("ben", "B"), ("anna", "A")), ("A", Kind.BLIND_OPINION), True),
    # Wrong by both: dropped for being of two minds about what was right, it would be missing among the errors.
    ((("ben", "B"), ("anna", "C")), ("B", Kind.INDEPENDENT_READER), True),
    # Nobody reads twice: what somebody thinks the second time is no second reader's word.
    ((("ben", "B"), ("ben", "B")), ("B", Kind.BLIND_OPINION), False),
    ((("ben", "B"), ("ben", "A"), ("anna", "B")), ("B", Kind.INDEPENDENT_READER), True),
    # Settled by two: a third changes nothing.
    ((("ben", "A"), ("anna", "B")), ("A", Kind.INDEPENDENT_READER), True),
    ((("ben", "B"), ("anna", "A"), ("clara", "B")), ("A", Kind.BLIND_OPINION), True),
]


@pytest.mark.parametrize(("readings", "expected", "contradicted"), AUDITS)
def test_the_label_of_a_decision_of_a_that_was_drawn(
    readings: Sequence[tuple[str, str]], expected: tuple[str, Kind] | None, contradicted: bool
) -> None:
    chain = Chain().drawn()
    for person, option in readings:
        chain.read(person, option)
    label = chain.label("A")
    if expected is None:
        assert label is None
        return
    assert label is not None
    assert (label.option, label.kind, label.probability) == (*expected, Decimal(FIFTH))
    assert label.contradicted == contradicted


def test_no_label_that_an_audit_gives_hides_that_two_readers_found_the_panel_wrong() -> None:
    for first in "BC":
        for second in "BC":
            label = Chain().drawn().read("ben", first).read("anna", second).label("A")
            assert label is not None
            assert label.option != "A"


@pytest.mark.parametrize("draw", [None, draw_document(FIFTH, drawn=False)], ids=["no draw", "not drawn"])
def test_a_decision_that_was_judged_for_being_disputed_has_no_label_by_that(draw: bytes | None) -> None:
    chain = Chain().decided(draw).add("case.contested", "c_ward").judge("anna", "B")
    assert chain.label("A") is None
    assert was_disputed_alone(chain.story, chain.documents)
    assert said(chain.told("A").label("A")) == ("A", "outcome", "1")
    outcome = chain.label("A")
    assert outcome is not None
    assert not outcome.contradicted, "what came of the dispute is not looked at"


def test_what_clinicians_think_of_later_facts_of_a_disputed_case_gives_no_label() -> None:
    chain = Chain().decided(None).add("case.contested", "c_ward").add("facts.amended", "c_ward", facts=b"{}")
    chain.add("panel.asked", "arbiter").escalated().judge("anna", "B")
    assert chain.story.came_of_dispute
    assert chain.label() is None
    assert said(chain.told("A").label()) == ("A", "outcome", "1")


def test_an_amended_case_that_nobody_disputed_gives_one() -> None:
    chain = Chain().escalated().add("facts.amended", "c_ward", facts=b"{}").add("panel.asked", "arbiter")
    assert said(chain.escalated().judge("anna", "B").label()) == ("B", "blind opinion", "1")


@pytest.mark.parametrize(
    "draw",
    [
        {"drawn": True},
        {"probability": FIFTH},
        {"probability": "a fifth", "drawn": True},
        {"probability": "0.000000", "drawn": True},
        {"probability": "1.000001", "drawn": True},
        {"probability": "-0.200000", "drawn": True},
        {"probability": "NaN", "drawn": True},
        {"format": FORMAT, "probability": "0.2", "word": "ff" * 16, "drawn": True},
        {"format": FORMAT, "probability": "0.2", "word": "00" * 16, "drawn": False},
        {"format": FORMAT, "probability": "NaN", "word": "00" * 16, "drawn": True},
    ],
)
def test_a_draw_that_cannot_be_read_is_no_draw_of_anything(draw: dict[str, Any]) -> None:
    chain = Chain().decided(encode(draw)).read("ben", "A")
    with pytest.raises((VerificationError, RefusedError)):
        chain.label("A")


def test_a_decision_that_was_taken_back_for_want_of_a_witness_is_like_one_that_went_to_a_clinician() -> None:
    chain = Chain().decided(draw_document(FIFTH, drawn=False))
    before = chain.story
    chain.add("decision.withdrawn", "arbiter", certificate=encode({}))
    assert (before.is_decided_alone, chain.story.is_decided_alone) == (True, False)
    assert said(chain.judge("anna", "B").label(None)) == ("B", "blind opinion", "1")


# --- a reviewer's own opinion -----------------------------------------------------------------------------------------


def test_an_own_opinion_counts_and_a_signature_never() -> None:
    chain = Chain().escalated()
    assert chain.label() is None
    chain.judge("anna", "B").add("panel.revealed", "anna")
    chain.add("decision.signed", "anna", signature=judged("A")).decided()
    assert said(chain.label()) == ("B", "blind opinion", "1")


def test_a_signature_without_an_own_opinion_is_no_label() -> None:
    chain = (
        Chain()
        .escalated()
        .add("panel.revealed", "anna")
        .add("decision.signed", "anna", signature=judged("A"))
    )
    assert chain.label() is None
    assert not chain.story.may_have_label


def test_who_has_seen_the_panel_is_blind_no_more_not_even_to_other_facts() -> None:
    chain = Chain().escalated().add("panel.revealed", "anna").judge("anna", "B")
    assert chain.label() is None
    chain.add("facts.amended", "c_ward").escalated().judge("anna", "B")
    assert chain.label() is None
    assert said(chain.judge("ben", "A").label()) == ("A", "blind opinion", "1")


def test_a_case_whose_decision_on_earlier_facts_alone_was_read_is_not_opened() -> None:
    chain = Chain().drawn().read("ben", "B").add("case.contested", "ben").add("facts.amended", "c_ward")
    chain.escalated().read("anna", "B")
    assert not chain.story.may_have_label
    assert chain.label() is None
    assert chain.judge("clara", "B").story.may_have_label
    assert chain.label() is None, "it came to her because somebody disputed the decision on the earlier ones"


def test_who_read_the_content_in_another_role_gives_no_label() -> None:
    drawn = Chain().drawn().add("content.read", "frieda").add("case.contested", "c_ward")
    assert (
        drawn.add("case.claimed", "frieda").add("content.read", "frieda").judge("frieda", "A").label("A")
        is None
    )
    escalated = Chain().escalated().add("content.read", "frieda")
    assert escalated.judge("frieda", "B").label() is None


def test_who_looks_at_a_blind_case_on_an_own_claim_stays_blind() -> None:
    chain = Chain().escalated().add("case.claimed", "anna").add("content.read", "anna").judge("anna", "B")
    assert said(chain.label()) == ("B", "blind opinion", "1")


def test_no_review_counts_where_policy_shows_the_panel_first() -> None:
    assert Chain().escalated("show-panel-first").judge("anna", "B").label() is None
    assert Chain().escalated("deny").judge("anna", "B").label() is not None


def test_two_readers_who_agree_before_the_panel_was_shown_are_independent() -> None:
    once = Chain().escalated("second-reader").judge("anna", "B")
    assert said(once.label()) == ("B", "blind opinion", "1")
    assert said(once.judge("ben", "B").label()) == ("B", "independent reader", "1")


def test_where_two_readers_differ_the_arbiter_tells_and_stands_beside_whom_it_agrees_with() -> None:
    split = Chain().escalated().judge("anna", "B").judge("ben", "A")
    assert said(split.label()) == ("A", "blind opinion", "1")
    label = split.judge("clara", "B").label()
    assert said(label) == ("B", "independent reader", "1")
    assert label is not None
    assert label.contradicted


def test_the_same_person_twice_is_no_second_reader() -> None:
    chain = Chain().escalated().judge("anna", "B").judge("anna", "B")
    assert said(chain.label()) == ("B", "blind opinion", "1")


def test_who_sat_in_when_the_panel_was_shown_gives_no_label_afterwards() -> None:
    attendance = encode({"reviewer": "clara", "attended": [{"id": "ben", "name": "Ben"}]})
    chain = Chain().escalated().judge("clara", "A").add("panel.revealed", "clara")
    chain.add("panel.convened", "clara", attendance=attendance).add("case.contested", "c_ward")
    assert said(chain.judge("ben", "B").label()) == ("A", "blind opinion", "1")
    assert said(chain.judge("anna", "B").label()) == ("B", "blind opinion", "1")


def test_who_declared_a_conflict_of_interest_gives_no_label() -> None:
    chain = Chain().escalated().judge("anna", "B").add("claim.ended", "anna")
    chain.add("conflict.declared", "anna", reason=encode({"reason": "my aunt"}))
    assert chain.label() is None


def test_who_corrects_a_decision_has_seen_the_panel() -> None:
    chain = Chain().escalated().judge("anna", "A").add("decision.corrected", "clara")
    assert said(chain.judge("clara", "B").label()) == ("A", "blind opinion", "1")


def test_an_opinion_on_other_facts_says_nothing_of_these() -> None:
    chain = Chain().escalated().judge("anna", "B").add("facts.amended", "c_ward")
    assert chain.story.conclusion is None
    assert not chain.story.may_have_label
    assert chain.escalated().label() is None


# --- what is told -----------------------------------------------------------------------------------------------------


def test_the_newest_of_a_kind_counts_and_a_correction_contradicts_nothing() -> None:
    chain = Chain().escalated().told("A").told("B")
    label = chain.label()
    assert said(label) == ("B", "outcome", "1")
    assert label is not None
    assert not label.contradicted


def test_an_outcome_goes_before_a_reader_and_a_reader_before_an_own_opinion() -> None:
    chain = Chain().escalated().judge("anna", "A")
    assert said(chain.told("B", OutcomeKind.INDEPENDENT_READER).label()) == ("B", "independent reader", "1")
    label = chain.told("C").label()
    assert said(label) == ("C", "outcome", "1")
    assert label is not None
    assert label.contradicted


def test_what_is_told_goes_before_an_audit_for_it_comes_without_a_draw() -> None:
    chain = Chain().drawn().read("ben", "A").told("A", OutcomeKind.INDEPENDENT_READER)
    assert said(chain.label("A")) == ("A", "independent reader", "1")


def test_an_outcome_holds_for_facts_that_came_later() -> None:
    chain = Chain().escalated().told("B").add("facts.amended", "c_ward").escalated()
    assert said(chain.label()) == ("B", "outcome", "1")


# --- as of a checkpoint -----------------------------------------------------------------------------------------------


def test_a_story_ends_where_the_checkpoint_does() -> None:
    chain = Chain().escalated().judge("anna", "A")
    placed = [(entry.seq, entry.to_bytes(), 10 + entry.seq) for entry in chain.entries]
    assert story_under(placed, 10) is None
    told = story_under(placed, 13)
    assert told is not None
    assert [entry.type for entry in told.entries] == ["case.received", "panel.asked", "case.escalated"]
    assert not told.may_have_label
    whole = story_under(placed, 14)
    assert whole is not None
    assert whole.may_have_label


def test_what_waits_for_its_seal_is_under_no_checkpoint() -> None:
    chain = Chain().escalated()
    placed = [(entry.seq, entry.to_bytes(), None if entry.seq else 3) for entry in chain.entries]
    told = story_under(placed, 1_000)
    assert told is not None
    assert [entry.type for entry in told.entries] == ["case.received"]
    assert story_under([(0, chain.entries[0].to_bytes(), None)], 1_000) is None
