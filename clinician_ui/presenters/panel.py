"""The panel's answers in words, for a reviewer who may see them: dissent first, nothing smoothed over.

What members said is read from the certificate that handed the case over, so that the page says what the log has; what of it was
refused, from what was kept of the asking. A part that the certificate lacks or spells otherwise is an error, never an empty place on
the page. What members wrote is handed on as it is: text to be shown isolated, never markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from arbiter.lifecycle.states import DecidedBy
from arbiter.question import QUESTION
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import Draws, RevealedCase
from clinician_ui.presenters.agreement import Light, light_of
from clinician_ui.presenters.case import CasePage
from clinician_ui.presenters.certainty import Certainty, certainty_of
from clinician_ui.presenters.certificate_reading import (
    NOT_HEARD,
    Certificate,
    SeatOpinion,
    read_certificate,
)
from clinician_ui.presenters.comparison import Comparison, comparison_of
from clinician_ui.presenters.measures import Disagreement, disagreement_of
from clinician_ui.presenters.members import Around, MemberCard, cards
from clinician_ui.presenters.rules import RuleLine, rule_lines
from clinician_ui.presenters.wording import FactWords, words_of
from clinician_ui.texts import _


@dataclass(frozen=True, slots=True)
class OwnWords:
    """The reviewer's opinion, given before the panel was shown."""

    option: str
    title: str
    confidence: int
    rests_on: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class FacetPart:
    """A sub-question with what its members said."""

    title: str
    answer: str
    members: tuple[MemberCard, ...]


@dataclass(frozen=True, slots=True)
class PanelPage:
    """All that a reviewer sees of the panel.

    `asked` is false where no member was asked about these facts, `votes` where none is there to answer the question itself.
    `failed` are the members without a valid answer, of the question and of its parts.
    """

    own: OwnWords | None
    asked: bool
    votes: bool
    leaning: str
    tally: tuple[str, ...]
    light: Light | None
    reasons: tuple[str, ...]
    members: tuple[MemberCard, ...]
    facets: tuple[FacetPart, ...]
    comparison: Comparison | None
    failed: tuple[MemberCard, ...]
    disagreement: Disagreement | None
    certainty: Certainty | None
    rules: tuple[RuleLine, ...]
    plain: str


def panel_page(revealed: RevealedCase, page: CasePage) -> PanelPage:
    """Return the panel beside the reviewer's own opinion.

    Raises:
        VerificationError: when the certificate is not of the format this page reads.
    """
    read = read_certificate(revealed.certificate)
    grounds, own, titles = revealed.grounds, revealed.own, read.titles()
    draws: dict[str, Draws] = {drawn.member: drawn for drawn in grounds.draws}
    around = Around(titles, FactWords(grounds.facts, page), own, draws)
    members = cards(read.voting(), around)
    facets = _facets(read, around)
    return PanelPage(
        own=None if own is None else _own(own, page, around.facts),
        asked=any(seat.status != NOT_HEARD for seat in read.opinions),
        votes=bool(read.voting()),
        leaning=_leaning(read, titles),
        tally=_tally(read.voting(), titles),
        light=light_of(read),
        reasons=tuple(reason.sentence for reason in read.verdict.reasons) or _contested(read),
        members=members,
        facets=facets,
        comparison=comparison_of(read.opinions, around),
        failed=tuple(card for card in (*members, *_members_of(facets)) if card.status is not None),
        disagreement=disagreement_of(read),
        certainty=certainty_of(read),
        rules=rule_lines(read.policy, titles, dict(grounds.owners)),
        plain=read.plain,
    )


def _own(own: OwnOpinion, page: CasePage, facts: FactWords) -> OwnWords:
    return OwnWords(
        option=own.option,
        title=page.option_title(own.option),
        confidence=own.confidence,
        rests_on=tuple(facts.title(name) for name in own.rests_on),
        note=own.note,
    )


def _contested(read: Certificate) -> tuple[str, ...]:
    """Return why a case is here whose panel escalated nothing: it is decided, the requester was told so, and that is disputed."""
    if read.decision is None:
        return ()
    if read.decision.by is DecidedBy.REVIEWER:
        # What a colleague decided is no more this reviewer's to lean on than the panel's word was.
        return (
            _("The panel decided it alone, a clinician has decided it again since, and that is contested."),
        )
    form = _("The panel decided it alone, the requester was told “{title}”, and that is contested.")
    return (form.format(title=read.decision.title),)


def _leaning(read: Certificate, titles: Mapping[str, str]) -> str:
    leading = read.verdict.option or read.verdict.leading
    return _("No common answer") if leading is None else titles.get(leading, leading)


def _tally(voting: Sequence[SeatOpinion], titles: Mapping[str, str]) -> tuple[str, ...]:
    counts = Counter(seat.leading for seat in voting if seat.leading is not None)
    whole = len(voting)
    lines = [_counted(counts[option], whole, title) for option, title in titles.items() if counts[option]]
    silent = whole - sum(counts.values())
    if silent:
        lines.append(_counted(silent, whole, _("no clear answer")))
    return tuple(lines)


def _counted(number: int, whole: int, what: str) -> str:
    return _("{number} of {whole}: {what}").format(number=number, whole=whole, what=what)


def _facets(read: Certificate, around: Around) -> tuple[FacetPart, ...]:
    asked = dict.fromkeys(seat.asks for seat in read.opinions if seat.asks != QUESTION)
    # The reviewer judged the question alone: with an answer to a part of it their opinion is not compared.
    apart = replace(around, own=None)
    return tuple(
        FacetPart(
            title=words_of(facet),
            answer=words_of(read.facets[facet]) if facet in read.facets else _("Nobody answered"),
            members=cards([seat for seat in read.opinions if seat.asks == facet], apart),
        )
        for facet in asked
    )


def _members_of(facets: Sequence[FacetPart]) -> list[MemberCard]:
    return [card for facet in facets for card in facet.members]
