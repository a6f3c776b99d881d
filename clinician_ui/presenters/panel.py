"""The panel's answers in words, for a reviewer who may see them: dissent first, nothing smoothed over.

Everything is read from the certificate that handed the case over, so that the page says what the log has. A part that
the certificate lacks or spells otherwise is an error, never an empty place on the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from arbiter.lifecycle.states import DecidedBy
from arbiter.model import MemberStatus, RuleEffect
from arbiter.question import QUESTION, VLLM
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import RevealedCase
from clinician_ui.presenters.case import CasePage
from clinician_ui.presenters.certificate_reading import (
    Certificate,
    Cited,
    Identity,
    Policy,
    SeatOpinion,
    read_certificate,
)
from clinician_ui.presenters.times import Tag

NOT_HEARD = "not-heard"

_AS_OWN, _UNLIKE_OWN = Tag("As you said", "white"), Tag("Differs from you", "yellow")
_FLAGS = {"true": "Yes", "false": "No"}

_SILENCE = {
    MemberStatus.ABSTAINED: (Tag("Abstained", "grey"), "Gave no answer of its own accord."),
    MemberStatus.INVALID: (Tag("Invalid", "red"), "Answered in a way that could not be accepted."),
    MemberStatus.TIMED_OUT: (Tag("Timed out", "orange"), "Did not answer in time."),
    MemberStatus.DOWN: (Tag("Down", "red"), "Could not be reached."),
    NOT_HEARD: (Tag("Not asked", "grey"), "Was not asked about these facts, or its answer never came."),
}


@dataclass(frozen=True, slots=True)
class OwnWords:
    """The reviewer's opinion, given before the panel was shown."""

    option: str
    title: str
    confidence: int
    rests_on: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """A fact a member cites: what it is called, the value it saw, what it made of it; `nothing` marks no points."""

    title: str
    value: str
    finding: str
    points: str
    nothing: bool


@dataclass(frozen=True, slots=True)
class MemberCard:
    """One member's answer.

    `stance` is `dissent`, `majority` or `silent`; `beside_own` says how it compares with the reviewer's opinion, None where
    it cannot be compared. `model` says which language model answered, empty for any other member.
    """

    title: str
    family: str
    stance: str
    answer: str
    status: Tag | None
    silence: str
    beside_own: Tag | None
    votes: str
    evidence: tuple[EvidenceRow, ...]
    missing: tuple[str, ...]
    rationale: str
    model: str


@dataclass(frozen=True, slots=True)
class FacetPart:
    """A sub-question with what its members said."""

    title: str
    answer: str
    members: tuple[MemberCard, ...]


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule of the hospital's policy that applied, or could not be evaluated."""

    effect: str
    rationale: str
    rule: str


@dataclass(frozen=True, slots=True)
class PanelPage:
    """All that a reviewer sees of the panel.

    `asked` is false where no member was asked about these facts, `votes` where none is there to answer the question itself.
    """

    own: OwnWords | None
    asked: bool
    votes: bool
    leaning: str
    tally: tuple[str, ...]
    disagreement: tuple[str, ...]
    reasons: tuple[str, ...]
    members: tuple[MemberCard, ...]
    facets: tuple[FacetPart, ...]
    rules: tuple[RuleLine, ...]
    plain: str


def panel_page(revealed: RevealedCase, page: CasePage) -> PanelPage:
    """Return the panel beside the reviewer's own opinion.

    Raises:
        VerificationError: when the certificate is not of the format this page reads.
    """
    read = read_certificate(revealed.certificate)
    voting = [seat for seat in read.opinions if seat.asks == QUESTION]
    titles = {option.id: option.title for option in read.options}
    own = revealed.own
    return PanelPage(
        own=None if own is None else _own(own, page),
        asked=any(seat.status != NOT_HEARD for seat in read.opinions),
        votes=bool(voting),
        leaning=_leaning(read, titles),
        tally=_tally(voting, titles),
        disagreement=_disagreement(read) if voting else (),
        reasons=tuple(reason.sentence for reason in read.verdict.reasons) or _contested(read),
        members=_cards(voting, titles, page, own),
        facets=tuple(_facet(read, facet, page) for facet in _facet_ids(read)),
        rules=_rules(read.policy, titles),
        plain=read.plain,
    )


def words_of(identifier: str) -> str:
    """Return an identifier as words, such as `White cell count` for `white_cell_count`."""
    text = identifier.replace("_", " ").replace("-", " ").strip()
    return text[:1].upper() + text[1:]


def _own(own: OwnOpinion, page: CasePage) -> OwnWords:
    return OwnWords(
        option=own.option,
        title=page.option_title(own.option),
        confidence=own.confidence,
        rests_on=tuple(page.fact_title(name) for name in own.rests_on),
        note=own.note,
    )


def _contested(read: Certificate) -> tuple[str, ...]:
    """Return why a case is here whose panel escalated nothing: it is decided, the requester was told so, and that is disputed."""
    if read.decision is None:
        return ()
    if read.decision.by is DecidedBy.REVIEWER:
        # What a colleague decided is no more this reviewer's to lean on than the panel's word was.
        return ("The panel decided it alone, a clinician has decided it again since, and that is contested.",)
    title = read.decision.title
    return (f"The panel decided it alone, the requester was told “{title}”, and that is contested.",)


# --- the panel as a whole ----------------------------------------------------------------------------------------


def _leaning(read: Certificate, titles: dict[str, str]) -> str:
    leading = read.verdict.option or read.verdict.leading
    return "No common answer" if leading is None else titles.get(leading, leading)


def _tally(voting: Sequence[SeatOpinion], titles: dict[str, str]) -> tuple[str, ...]:
    counts = Counter(seat.leading for seat in voting if seat.leading is not None)
    lines = [
        f"{counts[option]} of {len(voting)}: {title}" for option, title in titles.items() if counts[option]
    ]
    silent = len(voting) - sum(counts.values())
    if silent:
        lines.append(f"{silent} of {len(voting)}: no clear answer")
    return tuple(lines)


def _disagreement(read: Certificate) -> tuple[str, ...]:
    numbers = {measure.name: float(measure.value) for measure in read.verdict.numbers}
    said: list[str] = []
    if "between" not in numbers or "within" not in numbers:
        said.append("Disagreement could not be measured: fewer than two members gave a valid answer.")
    else:
        said.append(
            _measured(
                numbers["between"],
                float(read.settings.greatest_between),
                "The members that answered agree with one another.",
                "The members disagree with one another",
            )
        )
        said.append(
            _measured(
                numbers["within"],
                float(read.settings.greatest_within),
                "None of them is in two minds itself.",
                "Members are in two minds themselves",
            )
        )
    if numbers.get("valid", 0) > 1 and "effective" in numbers:
        said.append(
            f"Where members share inputs they err together: the {numbers['valid']:.0f} that answered count as "
            f"{numbers['effective']:.1f} independent voices."
        )
    return tuple(said)


def _measured(value: float, limit: float, none: str, some: str) -> str:
    if value == 0:
        return none
    allowed = "more than" if value > limit else "within"
    return f"{some}: {value:.2f} on a scale from 0 to 1, {allowed} the limit of {limit:.2f}."


# --- the members -------------------------------------------------------------------------------------------------


def _cards(
    seats: Sequence[SeatOpinion], titles: dict[str, str], page: CasePage, own: OwnOpinion | None
) -> tuple[MemberCard, ...]:
    """Return the members' cards: the fewest voices first, those without an answer last."""
    counts = Counter(seat.leading or "" for seat in seats if seat.leading is not None)
    most = max(counts.values(), default=0)
    majority = [option for option, count in counts.items() if count == most]

    def order(seat: SeatOpinion) -> tuple[bool, int]:
        return seat.leading is None, counts[seat.leading or ""]

    # Where two answers have as many voices each, there is no majority to dissent from and every voice stands out.
    return tuple(
        _card(seat, titles, page, own, dissents=[seat.leading] != majority)
        for seat in sorted(seats, key=order)
    )


def _card(
    seat: SeatOpinion, titles: dict[str, str], page: CasePage, own: OwnOpinion | None, *, dissents: bool
) -> MemberCard:
    status, silence = (None, "") if seat.status == MemberStatus.VALID else _SILENCE[seat.status]
    if seat.leading is not None:
        answer = titles.get(seat.leading, words_of(seat.leading))
    else:
        answer = "Divided" if status is None else "No answer"
    beside = None
    if own is not None and seat.leading is not None and seat.asks == QUESTION:
        beside = _AS_OWN if seat.leading == own.option else _UNLIKE_OWN
    return MemberCard(
        title=seat.title,
        family=words_of(seat.family),
        stance="silent" if seat.leading is None else "dissent" if dissents else "majority",
        answer=answer,
        status=status,
        silence=silence,
        beside_own=beside,
        votes=_votes(seat, titles),
        evidence=tuple(_evidence(cited, page) for cited in seat.evidence),
        missing=tuple(_fact_title(page, name) for name in seat.missing),
        rationale=seat.rationale,
        model=_model(seat.identity),
    )


def _evidence(cited: Cited, page: CasePage) -> EvidenceRow:
    return EvidenceRow(
        title=_fact_title(page, cited.fact),
        value=_seen_value(cited, page),
        finding=cited.finding,
        points="" if cited.points is None else f"{cited.points} point{'' if cited.points == 1 else 's'}",
        nothing=cited.points == 0,
    )


def _seen_value(cited: Cited, page: CasePage) -> str:
    """Return the value a member cites, spelt as in the table of facts where it is the same; else as cited."""
    fact = next((fact for fact in page.facts if fact.name == cited.fact), None)
    spelt = _FLAGS.get(cited.value, words_of(cited.value))
    if fact is not None and fact.value in {cited.value, spelt}:
        return fact.with_unit
    return cited.value


def _votes(seat: SeatOpinion, titles: dict[str, str]) -> str:
    """Say how a member's samples fell, where it gave more than one."""
    if seat.samples < 2:
        return ""
    said = [
        f"{count} of {seat.samples} samples: {titles.get(option, words_of(option))}."
        for option, count in seat.votes.items()
    ]
    without = seat.samples - sum(seat.votes.values())
    if without:
        said.append(f"{without} of {seat.samples} samples gave no vote that counts.")
    if seat.self_consistency is not None and len(seat.votes) > 1:
        said.append(f"Self-consistency {float(seat.self_consistency):.2f}, where 1 is all the same.")
    return " ".join(said)


def _model(identity: Identity | None) -> str:
    """Say which language model answered, as its protocol pins it and its server told."""
    if identity is None or identity.kind != VLLM:
        return ""
    said = [f"Language model {identity.name}, revision {identity.version}"]
    if "adapter" in identity.details:
        said.append(f"adapter {identity.details['adapter']}")
    if "quantisation" in identity.details:
        said.append(f"quantised by {identity.details['quantisation']}")
    said.append(f"served by {identity.details.get('engine', 'an unknown version of vLLM')}")
    return f"{', '.join(said)}."


def _fact_title(page: CasePage, name: str) -> str:
    title = page.fact_title(name)
    return words_of(name) if title == name else title


# --- facets and policy -------------------------------------------------------------------------------------------


def _facet_ids(read: Certificate) -> tuple[str, ...]:
    return tuple(dict.fromkeys(seat.asks for seat in read.opinions if seat.asks != QUESTION))


def _facet(read: Certificate, facet: str, page: CasePage) -> FacetPart:
    answer = read.facets.get(facet)
    return FacetPart(
        title=words_of(facet),
        answer="Nobody answered" if answer is None else words_of(answer),
        members=_cards([seat for seat in read.opinions if seat.asks == facet], {}, page, None),
    )


_EFFECTS = {
    RuleEffect.PERMIT: "Permits a decision without a clinician",
    RuleEffect.DENY: "Asks for a clinician",
    RuleEffect.REQUIRE: "Leaves open only",
    RuleEffect.FORBID: "Rules out",
    RuleEffect.SHOW_PANEL_FIRST: "Lets the reviewer see the panel first",
    RuleEffect.SECOND_READER: "Asks for a second reader",
}


def _rules(policy: Policy | None, titles: dict[str, str]) -> tuple[RuleLine, ...]:
    if policy is None:
        return ()
    lines = []
    for hit in policy.hits:
        named = ", ".join(titles.get(option, option) for option in hit.options)
        effect = _EFFECTS[hit.effect]
        lines.append(RuleLine(f"{effect}: {named}" if named else effect, hit.rationale, hit.rule))
    lines += [RuleLine("Could not be evaluated", failure.cause, failure.rule) for failure in policy.failures]
    return tuple(lines)
