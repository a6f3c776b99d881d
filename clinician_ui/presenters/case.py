"""A case without its panel, in words.

Nothing here knows the panel: what a reviewer sees before giving an opinion is made from `BlindCase` alone. The panel's answers are
put into words by `clinician_ui.presenters.panel`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from arbiter.model import CaseId, FactStatus
from arbiter.question import Option
from arbiter.workflow.blinding import BlindCase, BlindFact
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

CLAIM_ENDS_SOON = timedelta(minutes=5)
_UNITS = {
    "/min": "per minute",
    "Cel": "°C",
    "[degF]": "°F",
    "mm[Hg]": "mmHg",
    "10*9/L": "\N{MULTIPLICATION SIGN} 10⁹/L",
    "umol/L": "µmol/L",
    "mL/min/{1.73_m2}": "mL/min/1.73 m²",
    "{drink}/wk": "drinks a week",
    "a": "years",
    "d": "days",
    "kg/m2": "kg/m²",
    "h": "hours",
    "min": "minutes",
    "{score}": "",
    "1": "",
}
_FLAGS = {"yes": "Yes", "no": "No"}
_STATUSES = {
    FactStatus.PRELIMINARY: "preliminary",
    FactStatus.AMENDED: "amended",
    FactStatus.CORRECTED: "corrected",
}


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact as read at the bedside: a value with its unit, when it was observed, and what to mind about it."""

    name: str
    title: str
    value: str
    unit: str
    observed: Moment
    age: str
    stale: bool
    status: str
    source: str

    @property
    def with_unit(self) -> str:
        """The value and its unit together."""
        return f"{self.value}{NO_BREAK}{self.unit}" if self.unit else self.value


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
    )


def hold(until: datetime, here: Here) -> Hold:
    """Return how long a claim still lasts; one that has ended counts as ending soon."""
    left = max(until - here.now, timedelta())
    return Hold(moment(until, here), duration_words(left), left <= CLAIM_ENDS_SOON)


def _fact_row(fact: BlindFact, here: Here) -> FactRow:
    return FactRow(
        name=fact.name,
        title=fact.title,
        value=_FLAGS.get(fact.value, fact.value),
        unit="" if fact.unit is None else _UNITS.get(fact.unit, fact.unit),
        observed=moment(fact.observed_at, here),
        age=duration_words(timedelta(minutes=fact.age_minutes)),
        stale=fact.stale,
        status=_STATUSES.get(FactStatus(fact.status), ""),
        source=fact.source,
    )


def _system_words(system: str) -> str:
    """Return what to call an identifier's system: only the well-known NHS number has words, any other is its own name."""
    if system == "https://fhir.nhs.uk/Id/nhs-number":
        return "NHS number"
    return system or "No numbering system named"
