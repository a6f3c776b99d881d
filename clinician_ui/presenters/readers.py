"""What other clinicians thought of a revealed case, and how it came from hand to hand, in words."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.workflow.review import Handed, HandedOn, ReaderOpinion, RevealedCase
from clinician_ui.presenters.case import CasePage
from clinician_ui.presenters.times import Tag
from clinician_ui.texts import _, noted

_HANDED = {
    Handed.REFERRED: noted("{name} referred this case"),
    Handed.DEFERRED: noted("{name} set this case aside"),
    Handed.CORRECTED: noted("{name} took the former decision back"),
}
_ORDINALS = (noted("First reader"), noted("Second reader"), noted("Third reader"))


@dataclass(frozen=True, slots=True)
class ReaderCard:
    """Another reader's opinion: who, as what, the answer, how sure, what it rests on, and how it stands beside one's own."""

    name: str
    part: str
    answer: str
    sure: str
    rests_on: tuple[str, ...]
    note: str
    beside_own: Tag | None


@dataclass(frozen=True, slots=True)
class HandedLine:
    """Who gave the case on or took its decision back, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReadersPart:
    """What stands beside the panel of other people: empty tuples where nobody else had the case in hand."""

    cards: tuple[ReaderCard, ...]
    handed: tuple[HandedLine, ...]
    attended: tuple[str, ...]
    correcting: bool
    departing: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.cards or self.handed or self.attended or self.correcting)


def readers_part(revealed: RevealedCase, page: CasePage) -> ReadersPart:
    """Return what other people thought of a case and did with it; only for one that is revealed."""
    own = None if revealed.own is None else revealed.own.option
    return ReadersPart(
        cards=tuple(_card(place, reader, own, page) for place, reader in enumerate(revealed.readers)),
        handed=tuple(_line(each) for each in revealed.handed),
        attended=revealed.attended,
        correcting=revealed.correcting,
        departing=revealed.departing,
    )


def _card(place: int, reader: ReaderOpinion, own: str | None, page: CasePage) -> ReaderCard:
    opinion = reader.opinion
    part = _("Arbiter") if reader.arbiter else _(_ORDINALS[min(place, len(_ORDINALS) - 1)])
    beside = None
    if own is not None:
        beside = (
            Tag(_("Same as you"), "grey") if own == opinion.option else Tag(_("Differs from you"), "yellow")
        )
    return ReaderCard(
        name=reader.name,
        part=part,
        answer=page.option_title(opinion.option),
        sure=_("{percent}% sure").format(percent=opinion.confidence),
        rests_on=tuple(page.fact_title(name) for name in opinion.rests_on),
        note=opinion.note,
        beside_own=beside,
    )


def _line(handed: HandedOn) -> HandedLine:
    return HandedLine(_(_HANDED[handed.kind]).format(name=handed.name), handed.reason)
