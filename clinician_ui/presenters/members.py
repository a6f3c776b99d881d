"""Each member's answer as a card: dissent first, those without an answer last, and what became of these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from arbiter.model import MemberStatus
from arbiter.question import QUESTION, VLLM
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import Draws, RefusedCitation
from clinician_ui.presenters.certificate_reading import NOT_HEARD, Cited, Identity, SeatOpinion
from clinician_ui.presenters.spread import Spread, spread_of
from clinician_ui.presenters.times import Tag
from clinician_ui.presenters.wording import FALSEHOODS, FactWords, words_of
from clinician_ui.texts import _, ngettext, noted

_SILENCE: Final[Mapping[str, tuple[str, str, str]]] = {
    MemberStatus.ABSTAINED: (noted("Abstained"), "grey", noted("Gave no answer of its own accord.")),
    MemberStatus.INVALID: (noted("Invalid"), "red", noted("Answered in a way that could not be accepted.")),
    MemberStatus.TIMED_OUT: (noted("Timed out"), "orange", noted("Did not answer in time.")),
    MemberStatus.DOWN: (noted("Down"), "red", noted("Could not be reached.")),
    NOT_HEARD: (
        noted("Not asked"),
        "grey",
        noted("Was not asked about these facts, or its answer never came."),
    ),
}


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """A fact that a member cites: the value it saw, what it made of it; `mark` says where that is not the case's.

    `nothing` marks no points.
    """

    title: str
    value: str
    finding: str
    points: str
    nothing: bool
    mark: str


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A citation for which samples were refused: what was cited, what is false about it, and in how many samples."""

    title: str
    value: str
    finding: str
    mark: str
    samples: str


@dataclass(frozen=True, slots=True)
class MemberCard:
    """One member's answer.

    `asks` names a part of the question, empty for the question itself. `stance` is `dissent`, `majority` or `silent`, `mark` the word for one that stands out; `beside_own` says how it compares with the reviewer's opinion, None where
    it cannot be compared. `model` says which language model answered, empty for any other member. `further` says how many more
    citations were refused than are told. `standing` names what its seat is given: that it is required, or may not be outvoted.
    """

    id: str
    title: str
    asks: str
    family: str
    stance: str
    mark: str
    answer: str
    status: Tag | None
    silence: str
    beside_own: Tag | None
    standing: tuple[str, ...]
    spread: Spread | None
    evidence: tuple[EvidenceRow, ...]
    refused: tuple[RefusedRow, ...]
    further: str
    missing: tuple[str, ...]
    rationale: str
    cause: str
    model: str


@dataclass(frozen=True, slots=True)
class Around:
    """What every card is read with: the options' titles, the case's facts, the reviewer's opinion, how samples ended."""

    titles: Mapping[str, str]
    facts: FactWords
    own: OwnOpinion | None
    draws: Mapping[str, Draws]


@dataclass(frozen=True, slots=True)
class Placed:
    """A seat with its stance, `dissent`, `majority` or `silent`, and the word that marks one that stands out."""

    seat: SeatOpinion
    stance: str
    mark: str


def in_order(seats: Sequence[SeatOpinion]) -> tuple[Placed, ...]:
    """Return seats with their stance: the fewest voices first, those without an answer last.

    Where two answers have as many voices each, there is no majority to dissent from and every voice stands out.
    """
    counts = Counter(seat.leading for seat in seats if seat.leading is not None)
    most = max(counts.values(), default=0)
    majority = [option for option, count in counts.items() if count == most]
    mark = _("Dissent") if len(majority) == 1 else _("Evenly split")

    def order(seat: SeatOpinion) -> tuple[bool, int]:
        return seat.leading is None, 0 if seat.leading is None else counts[seat.leading]

    def placed(seat: SeatOpinion) -> Placed:
        if seat.leading is None:
            return Placed(seat, "silent", "")
        return Placed(seat, "majority", "") if [seat.leading] == majority else Placed(seat, "dissent", mark)

    return tuple(placed(seat) for seat in sorted(seats, key=order))


def cards(seats: Sequence[SeatOpinion], around: Around) -> tuple[MemberCard, ...]:
    """Return the cards of members that are asked the same, dissent first."""
    return tuple(_card(placed, around) for placed in in_order(seats))


def answer_of(seat: SeatOpinion, titles: Mapping[str, str]) -> str:
    """Return a member's answer in words; one whose samples are level is divided, not silent."""
    if seat.leading is not None:
        return titles.get(seat.leading, words_of(seat.leading))
    return _("Divided") if seat.answered else _("No answer")


def status_of(seat: SeatOpinion) -> tuple[Tag | None, str]:
    """Return the tag and the sentence of a member without a valid answer; nothing for one with."""
    if seat.answered:
        return None, ""
    text, colour, sentence = _SILENCE[seat.status]
    return Tag(_(text), colour), _(sentence)


def _card(placed: Placed, around: Around) -> MemberCard:
    seat = placed.seat
    status, silence = status_of(seat)
    draws = around.draws.get(seat.member)
    failed = not seat.answered and seat.status != MemberStatus.ABSTAINED
    # A facet's options have no titles in the certificate, and one of its ids may be one of the question's too.
    titles = around.titles if seat.asks == QUESTION else {}
    return MemberCard(
        id=seat.member,
        title=seat.title,
        asks="" if seat.asks == QUESTION else words_of(seat.asks),
        family=words_of(seat.family),
        stance=placed.stance,
        mark=placed.mark,
        answer=answer_of(seat, titles),
        status=status,
        silence=silence,
        beside_own=_beside(seat, around.own),
        standing=_standing(seat, titles),
        spread=spread_of(seat, titles, draws),
        evidence=tuple(_evidence(cited, around.facts) for cited in seat.evidence),
        refused=() if draws is None else tuple(_refused(cited, around.facts) for cited in draws.citations),
        further="" if draws is None else _further(draws.further),
        missing=tuple(around.facts.title(name) for name in seat.missing),
        # Of a member that failed the panel says why, in fixed words; every other rationale is the member's own.
        rationale="" if failed else seat.rationale,
        cause=seat.rationale if failed else "",
        model=_model(seat.identity),
    )


def _beside(seat: SeatOpinion, own: OwnOpinion | None) -> Tag | None:
    if own is None or seat.leading is None or seat.asks != QUESTION:
        return None
    return (
        Tag(_("As you said"), "white") if seat.leading == own.option else Tag(_("Differs from you"), "yellow")
    )


def _standing(seat: SeatOpinion, titles: Mapping[str, str]) -> tuple[str, ...]:
    said = [_("Nothing is decided without it.")] if seat.required else []
    if seat.veto:
        options = ", ".join(f"“{titles.get(option, words_of(option))}”" for option in seat.veto)
        said.append(_("May not be outvoted when it says {options}.").format(options=options))
    return tuple(said)


def _evidence(cited: Cited, facts: FactWords) -> EvidenceRow:
    falsehood = facts.falsehood(cited.fact, cited.value)
    return EvidenceRow(
        title=facts.title(cited.fact),
        value=facts.spelt(cited.fact, cited.value),
        finding=cited.finding,
        points=points_words(cited.points),
        nothing=cited.points == 0,
        mark="" if falsehood is None else _(FALSEHOODS[falsehood]),
    )


def points_words(points: int | None) -> str:
    """Return points in words, empty where there are none to give; none is not nought."""
    return "" if points is None else ngettext("{n} point", "{n} points", points).format(n=points)


def _refused(cited: RefusedCitation, facts: FactWords) -> RefusedRow:
    return RefusedRow(
        title=facts.title(cited.fact),
        value=facts.spelt(cited.fact, cited.value),
        finding=cited.finding,
        mark=_(FALSEHOODS[cited.falsehood]),
        samples=ngettext("in {n} sample", "in {n} samples", cited.samples).format(n=cited.samples),
    )


def _further(number: int) -> str:
    if not number:
        return ""
    return ngettext("{n} further refused citation.", "{n} further refused citations.", number).format(
        n=number
    )


def _model(identity: Identity | None) -> str:
    """Say which language model answered, as its protocol pins it and its server told."""
    if identity is None or identity.kind != VLLM:
        return ""
    details = identity.details
    said = [
        _("Language model {name}, revision {version}").format(name=identity.name, version=identity.version)
    ]
    if "adapter" in details:
        said.append(_("adapter {name}").format(name=details["adapter"]))
    if "quantisation" in details:
        said.append(_("quantised by {name}").format(name=details["quantisation"]))
    engine = details.get("engine", _("an unknown version of vLLM"))
    said.append(_("served by {name}").format(name=engine))
    return f"{', '.join(said)}."
