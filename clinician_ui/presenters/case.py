"""A case without its panel, in words.

Nothing here knows the panel: what a reviewer sees before giving an opinion is made from `BlindCase` alone. The panel's answers are
put into words by `clinician_ui.presenters.panel`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from arbiter.model import CaseId, FactStatus
from arbiter.question import Option
from arbiter.workflow.blinding import BlindCase, BlindFact, EarlierFact, Observed
from clinician_ui.presenters.timeline import RecordPage, Timeline, record_pages, timeline
from clinician_ui.presenters.times import (
    NO_BREAK,
    RISK_TAGS,
    Due,
    Here,
    Moment,
    Tag,
    due,
    duration_words,
    moment,
)
from clinician_ui.presenters.trends import Trend, ValueRow, range_words, standing_tag, trend
from clinician_ui.presenters.values import plain_value, unit_words, value_words
from clinician_ui.texts import _, ngettext, noted

CLAIM_ENDS_SOON = timedelta(minutes=5)
_STATUSES = {
    FactStatus.PRELIMINARY: noted("preliminary"),
    FactStatus.AMENDED: noted("amended"),
    FactStatus.CORRECTED: noted("corrected"),
}


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact as read at the bedside: a value with its unit, when it was observed, and what to mind about it.

    `usual` is the range in words, `usual_source` whose it is, `standing` the mark of a value outside it. `trend` is the plot of its
    values and `values` the table behind it, newest first, this one included; both are empty where nothing earlier is known.
    """

    name: str
    title: str
    value: str
    unit: str
    observed: Moment
    age: str
    stale: bool
    status: str
    source: str
    usual: str = ""
    usual_source: str = ""
    standing: Tag | None = None
    trend: Trend | None = None
    values: tuple[ValueRow, ...] = ()

    @property
    def values_title(self) -> str:
        """What the table of all values is called."""
        return ngettext("{number} value", "All {number} values", len(self.values)).format(
            number=len(self.values)
        )

    @property
    def with_unit(self) -> str:
        """The value and its unit together."""
        return f"{self.value}{NO_BREAK}{self.unit}" if self.unit else self.value


@dataclass(frozen=True, slots=True)
class EarlierRow:
    """A fact that the case lacks and of which earlier values are known: none of them stands for it."""

    title: str
    values: tuple[ValueRow, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """How long the reviewer holds the case."""

    until: Moment
    left: str
    ends_soon: bool


@dataclass(frozen=True, slots=True)
class Patient:
    """Whom a case is about: a number, the numbering system in which it is one patient's, and the encounter if named."""

    number: str
    system: str
    encounter: str | None


@dataclass(frozen=True, slots=True)
class CasePage:
    """What any page about a case shows of it, before and after the panel is shown; the facts' age is that `as_of` an instant."""

    case: CaseId
    title: str
    question: str
    risk: Tag
    site: str
    due: Due
    hold: Hold | None
    patient: Patient
    facts: tuple[FactRow, ...]
    missing: tuple[str, ...]
    options: tuple[Option, ...]
    shows_panel_first: bool
    zone: str
    training: bool
    as_of: Moment
    timeline: Timeline
    documents: tuple[RecordPage, ...] = ()
    once_known: tuple[EarlierRow, ...] = ()

    @property
    def has_ranges(self) -> bool:
        """Whether any fact has a usual range."""
        return any(fact.usual for fact in self.facts)

    @property
    def has_earlier(self) -> bool:
        """Whether any fact has earlier values."""
        return any(fact.values for fact in self.facts)

    def fact_title(self, name: str) -> str:
        """Return what people call a fact; its name when the case does not hold it."""
        return next((fact.title for fact in self.facts if fact.name == name), name)

    def option_title(self, option: str) -> str:
        """Return what people call an option; its id when the question does not have it."""
        return next((known.title for known in self.options if known.id == option), option)


def case_page(blind: BlindCase, here: Here) -> CasePage:
    """Return a case for its reviewer."""
    view = blind.view
    return CasePage(
        case=view.id,
        title=blind.title,
        question=blind.question,
        risk=RISK_TAGS[view.risk_class],
        site=here.site(view.site),
        due=due(view.due_at, overdue=view.overdue, here=here),
        hold=None if blind.claim_until is None else hold(blind.claim_until, here),
        patient=Patient(blind.subject_value, _system_words(blind.subject_system), blind.encounter),
        facts=tuple(_fact_row(fact, here) for fact in blind.facts),
        missing=tuple(blind.missing),
        options=tuple(blind.options),
        shows_panel_first=blind.shows_panel_first,
        zone=here.zone_name,
        training=view.training,
        as_of=moment(blind.as_of, here),
        timeline=timeline(blind, here),
        documents=record_pages(blind, here),
        once_known=tuple(_earlier_row(once, here) for once in blind.once_known),
    )


def hold(until: datetime, here: Here) -> Hold:
    """Return how long a claim still lasts; one that has ended counts as ending soon."""
    left = max(until - here.now, timedelta())
    return Hold(moment(until, here), duration_words(left), left <= CLAIM_ENDS_SOON)


def _fact_row(fact: BlindFact, here: Here) -> FactRow:
    unit = unit_words(fact.unit)
    present = Observed(fact.observed_at, fact.value, fact.number, fact.status, fact.source, fact.standing)
    known = sorted((*fact.earlier, present), key=lambda each: each.observed_at)
    points = [(each.observed_at, each.number) for each in known if each.number is not None]
    return FactRow(
        name=fact.name,
        title=fact.title,
        value=plain_value(fact.value),
        unit=unit,
        observed=moment(fact.observed_at, here),
        age=duration_words(timedelta(minutes=fact.age_minutes)),
        stale=fact.stale,
        status=_status_words(fact.status),
        source=fact.source,
        usual=range_words(fact.reference),
        usual_source="" if fact.reference is None else fact.reference.source,
        standing=standing_tag(fact.standing),
        trend=trend(points, unit, fact.reference),
        values=tuple(_value_row(each, fact.unit, here) for each in reversed(known)) if fact.earlier else (),
    )


def _earlier_row(once: EarlierFact, here: Here) -> EarlierRow:
    return EarlierRow(once.title, tuple(_value_row(each, once.unit, here) for each in reversed(once.earlier)))


def _value_row(each: Observed, unit: str | None, here: Here) -> ValueRow:
    return ValueRow(
        at=moment(each.observed_at, here),
        value=value_words(each.value, unit),
        standing=standing_tag(each.standing),
        status=_status_words(each.status),
        source=each.source,
    )


def _status_words(status: str) -> str:
    """Return what to mind about an observation's status; nothing for a final one.

    Raises:
        ValueError: for a status that nobody knows.
    """
    words = _STATUSES.get(FactStatus(status), "")
    return _(words) if words else ""


def _system_words(system: str) -> str:
    """Return what to call an identifier's system: only the well-known NHS number has words, any other is its own name."""
    if system == "https://fhir.nhs.uk/Id/nhs-number":
        return _("NHS number")
    return system or _("No numbering system named")
