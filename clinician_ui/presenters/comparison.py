"""Facts against members in one table: who cites which fact, how, and where they contradict one another or the case.

A citation counts for something unless it gives 0 points. Two members that are asked the same contradict each other on a fact where
one gives it points and the other none, or points of the other sign; where both cite it without points and answer differently; and
where one says it lacks what the other cites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from arbiter.question import QUESTION
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import RefusedCitation
from clinician_ui.presenters.certificate_reading import Cited, SeatOpinion
from clinician_ui.presenters.members import Around, Placed, answer_of, in_order, points_words
from clinician_ui.presenters.wording import FALSEHOODS, FactWords, words_of
from clinician_ui.texts import _, ngettext, noted

NOT_IN_CASE: Final = noted("Not in the case")
_TICKED: Final = noted("You ticked this")
_NOT_TICKED: Final = noted("You did not tick this")
_TICKED_ALONE: Final = noted("You ticked this; no member cites it")
_TICKED_FOR_NOTHING: Final = noted("You ticked this; members that looked at it give it no points")


@dataclass(frozen=True, slots=True)
class Column:
    """A member at the head of a column: what it was asked where that is a part of the question, and what it answers."""

    member: str
    title: str
    asks: str
    answer: str
    stance: str
    mark: str


@dataclass(frozen=True, slots=True)
class Citation:
    """How a member cites a fact: what it makes of it, and where the citation is not true of the case the value with a mark.

    `points` are in words, or say that it cites the fact where it gives none. `refused` marks a citation for which samples did not
    count; `nothing` one that gives 0 points.
    """

    points: str
    finding: str
    value: str
    mark: str
    nothing: bool
    refused: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """What a member makes of a fact: nothing where it has no citation and does not lack it."""

    column: Column
    citations: tuple[Citation, ...]
    lacks: bool

    @property
    def empty(self) -> bool:
        """True where the member says nothing of the fact."""
        return not self.citations and not self.lacks


@dataclass(frozen=True, slots=True)
class ComparedFact:
    """A fact with the case's value (None where the case lacks it), the reviewer's tick, contradictions, and a cell a member."""

    title: str
    value: str | None
    own: str
    contradictions: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def idle(self) -> bool:
        """True where members looked at the fact, none makes anything of it, and the reviewer did not tick it."""
        plain = all(
            citation.nothing and not citation.mark for cell in self.cells for citation in cell.citations
        )
        return (
            plain and not self.own and not self.contradictions and not any(cell.lacks for cell in self.cells)
        )


@dataclass(frozen=True, slots=True)
class IdleFact:
    """A fact that members looked at and gave no points."""

    title: str
    value: str
    members: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table: members dissent first, facts in the question's order.

    `idle` are facts that were only looked at; `uncited` are titles of facts of the case that nobody cites and the reviewer did not
    tick.
    """

    columns: tuple[Column, ...]
    facts: tuple[ComparedFact, ...]
    idle: tuple[IdleFact, ...]
    uncited: tuple[str, ...]
    summary: str


def comparison_of(seats: Sequence[SeatOpinion], around: Around) -> Comparison | None:
    """Return the table; None where no member cites or lacks anything."""
    ordered = [placed for placed in _ordered(seats) if _speaks(placed.seat, around)]
    if not ordered:
        return None
    columns = {placed.seat.member: _column(placed, around.titles) for placed in ordered}
    members = [placed.seat for placed in ordered]
    ticked = frozenset() if around.own is None else frozenset(around.own.rests_on)
    rows = {name: _row(name, members, columns, around) for name in _names(members, ticked, around)}
    compared = tuple(rows.values())
    return Comparison(
        columns=tuple(columns.values()),
        facts=tuple(row for row in compared if not row.idle),
        idle=tuple(_idle(row) for row in compared if row.idle),
        uncited=tuple(
            around.facts.title(name)
            for name in around.facts.order()
            if name not in rows and around.facts.row(name) is not None
        ),
        summary=_summary(compared),
    )


def _idle(row: ComparedFact) -> IdleFact:
    looking = [cell.column.title for cell in row.cells if not cell.empty]
    return IdleFact(row.title, row.value or _(NOT_IN_CASE), _listed(looking))


def _ordered(seats: Sequence[SeatOpinion]) -> list[Placed]:
    """Return those who answer the question first, then those of each part of it."""
    asked = dict.fromkeys([QUESTION, *(seat.asks for seat in seats)])
    return [placed for asks in asked for placed in in_order([seat for seat in seats if seat.asks == asks])]


def _speaks(seat: SeatOpinion, around: Around) -> bool:
    draws = around.draws.get(seat.member)
    return bool(seat.evidence or seat.missing or (draws is not None and draws.citations))


def _names(members: Sequence[SeatOpinion], ticked: frozenset[str], around: Around) -> list[str]:
    """Return the facts that somebody cites, lacks or ticked: in the question's order, those it does not know last."""
    named = set(ticked)
    for seat in members:
        named |= {cited.fact for cited in seat.evidence} | set(seat.missing)
        draws = around.draws.get(seat.member)
        named |= set() if draws is None else {cited.fact for cited in draws.citations}
    known = [name for name in around.facts.order() if name in named]
    return known + sorted(named.difference(known))


def _column(placed: Placed, titles: Mapping[str, str]) -> Column:
    seat = placed.seat
    votes = seat.asks == QUESTION
    return Column(
        member=seat.member,
        title=seat.title,
        asks="" if votes else words_of(seat.asks),
        answer=answer_of(seat, titles if votes else {}),
        stance=placed.stance,
        mark=placed.mark,
    )


def _row(
    name: str, members: Sequence[SeatOpinion], columns: Mapping[str, Column], around: Around
) -> ComparedFact:
    held = around.facts.row(name)
    return ComparedFact(
        title=around.facts.title(name),
        value=None if held is None else held.with_unit,
        own=_own(name, members, around.own),
        contradictions=_contradictions(name, members, around),
        cells=tuple(_cell(name, seat, columns[seat.member], around) for seat in members),
    )


def _cell(name: str, seat: SeatOpinion, column: Column, around: Around) -> Cell:
    facts, draws = around.facts, around.draws.get(seat.member)
    citations = [_citation(cited, facts) for cited in seat.evidence if cited.fact == name]
    refused = () if draws is None else draws.citations
    citations += [_refused(cited, facts) for cited in refused if cited.fact == name]
    return Cell(column, tuple(citations), lacks=name in seat.missing)


def _citation(cited: Cited, facts: FactWords) -> Citation:
    falsehood = facts.falsehood(cited.fact, cited.value)
    return Citation(
        points=points_words(cited.points) or _("Cites it"),
        finding=cited.finding,
        value="" if falsehood is None else facts.spelt(cited.fact, cited.value),
        mark="" if falsehood is None else _(FALSEHOODS[falsehood]),
        nothing=cited.points == 0,
        refused=False,
    )


def _refused(cited: RefusedCitation, facts: FactWords) -> Citation:
    return Citation(
        points="",
        finding=cited.finding,
        value=facts.spelt(cited.fact, cited.value),
        mark=_(FALSEHOODS[cited.falsehood]),
        nothing=False,
        refused=True,
    )


# --- the reviewer's ticks ----------------------------------------------------------------------------------------


def _own(name: str, members: Sequence[SeatOpinion], own: OwnOpinion | None) -> str:
    """Say whether the reviewer ticked a fact that members use, or one that they do not; nothing of one that neither uses."""
    if own is None:
        return ""
    cited = [item for seat in members for item in seat.evidence if item.fact == name]
    used = any(item.points != 0 for item in cited)
    if name not in own.rests_on:
        return _(_NOT_TICKED) if used else ""
    if used:
        return _(_TICKED)
    return _(_TICKED_FOR_NOTHING) if cited else _(_TICKED_ALONE)


# --- contradictions ----------------------------------------------------------------------------------------------


def _contradictions(name: str, members: Sequence[SeatOpinion], around: Around) -> tuple[str, ...]:
    """Say each way in which members that are asked the same contradict one another on a fact."""
    said: list[str] = []
    for asks in dict.fromkeys(seat.asks for seat in members):
        alike = [seat for seat in members if seat.asks == asks]
        citing = [(seat, cited) for seat in alike if (cited := _cited(name, seat))]
        lacking = [seat.title for seat in alike if name in seat.missing]
        said += _weighed_apart(citing)
        said += _answering_apart(citing, around.titles if asks == QUESTION else {})
        if lacking and citing:
            form = ngettext(
                "{members} says it lacks this. Cited by: {others}.",
                "{members} say they lack this. Cited by: {others}.",
                len(lacking),
            )
            others = _listed([seat.title for seat, _cites in citing])
            said.append(form.format(members=_listed(lacking), others=others))
    return tuple(said)


def _cited(name: str, seat: SeatOpinion) -> tuple[Cited, ...]:
    return tuple(cited for cited in seat.evidence if cited.fact == name)


def _weighed_apart(citing: Sequence[tuple[SeatOpinion, Sequence[Cited]]]) -> list[str]:
    """Say who gives a fact points and who none, or points of the other sign."""
    weighed = [
        (seat.title, sum(item.points or 0 for item in cited))
        for seat, cited in citing
        if all(item.points is not None for item in cited)
    ]
    if len({(points > 0) - (points < 0) for _title, points in weighed}) < 2:
        return []
    ranked = sorted(weighed, key=lambda each: -each[1])
    given = ", ".join(f"{title} {points_words(points)}" for title, points in ranked)
    return [_("Weighed differently: {given}.").format(given=given)]


def _answering_apart(
    citing: Sequence[tuple[SeatOpinion, Sequence[Cited]]], titles: Mapping[str, str]
) -> list[str]:
    """Say who cites a fact without points for which answer, where these differ."""
    answers: dict[str, list[str]] = {}
    for seat, cited in citing:
        if seat.leading is not None and all(item.points is None for item in cited):
            answers.setdefault(answer_of(seat, titles), []).append(seat.title)
    if len(answers) < 2:
        return []
    given = "; ".join(
        _("{members} for “{answer}”").format(members=_listed(who), answer=answer)
        for answer, who in answers.items()
    )
    return [_("Cited for different answers: {given}.").format(given=given)]


def _listed(titles: Sequence[str]) -> str:
    return ", ".join(titles)


def _summary(rows: Sequence[ComparedFact]) -> str:
    """Say how many facts members contradict each other on, and how many citations are not true of the case."""
    apart = sum(bool(row.contradictions) for row in rows)
    false = sum(bool(citation.mark) for row in rows for cell in row.cells for citation in cell.citations)
    said = [
        ngettext(
            "Members contradict one another on {n} fact.",
            "Members contradict one another on {n} facts.",
            apart,
        ).format(n=apart)
        if apart
        else _("Members contradict one another on no fact.")
    ]
    said.append(
        ngettext(
            "{n} citation is not true of this case.", "{n} citations are not true of this case.", false
        ).format(n=false)
        if false
        else _("Every citation that is kept is true of this case.")
    )
    return " ".join(said)
