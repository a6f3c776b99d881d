"""Views turned into what the templates say: times in words, tags, rows. Pure; the same view and instant give the same page.

Nothing here knows the panel: what a reviewer sees before giving an opinion is made from `BlindCase` and `WorkItem` alone.
The panel's answers are put into words by `clinician_ui.panel_words`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, FactStatus, RiskClass
from arbiter.question import Option
from arbiter.workflow.blinding import BlindCase, BlindFact
from arbiter.workflow.views import DecisionView
from arbiter.workflow.work_list import WorkItem

CLAIM_ENDS_SOON = timedelta(minutes=5)
NO_BREAK = "\u00a0"


@dataclass(frozen=True, slots=True)
class Here:
    """Where and when a page is read: the instant, the names of sites by id, and the zone of its clock times.

    `zone` None is the zone this machine is set to.
    """

    now: datetime
    sites: Mapping[str, str]
    zone: tzinfo | None = None

    @property
    def zone_name(self) -> str:
        """The abbreviation of the zone that times are shown in, such as GMT."""
        return self.now.astimezone(self.zone).tzname() or "local time"

    def site(self, site: str) -> str:
        """Return what people call a site; its id when it has no name here."""
        return self.sites.get(site, site)


# --- time --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant as people read it: a clock time, with the day when it is not today, and its ISO 8601 form."""

    text: str
    iso: str


def moment(instant: datetime, here: Here) -> Moment:
    """Return an instant as a clock time here, with the day where it is not today."""
    local, today = instant.astimezone(here.zone), here.now.astimezone(here.zone)
    clock = f"{local:%H:%M}"
    if local.date() != today.date():
        year = f" {local.year}" if local.year != today.year else ""
        clock = f"{local.day} {local:%B}{year}, {clock}"
    return Moment(clock, instant.isoformat(timespec="seconds"))


def duration_words(duration: timedelta) -> str:
    """Return a length of time in whole minutes, hours and minutes, or days and hours; its sign is ignored."""
    minutes = int(abs(duration).total_seconds()) // 60
    hours, days = minutes // 60, minutes // (24 * 60)
    if minutes < 1:
        return "less than a minute"
    if hours < 1:
        return _count(minutes, "minute")
    if days < 1:
        return _joined(_count(hours, "hour"), minutes % 60, "minute")
    return _joined(_count(days, "day"), hours % 24, "hour")


def _joined(first: str, number: int, unit: str) -> str:
    return f"{first} {_count(number, unit)}" if number else first


def _count(number: int, unit: str) -> str:
    return f"{number}{NO_BREAK}{unit}{'' if number == 1 else 's'}"


def due_words(due_at: datetime | None, now: datetime) -> str:
    """Return how far off a deadline is, such as `due in 12 minutes` or `overdue by 1 hour`."""
    if due_at is None:
        return "no deadline"
    left = due_at - now
    return f"due in {duration_words(left)}" if left > timedelta() else f"overdue by {duration_words(left)}"


# --- tags --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of the design system: its words and one of its colours."""

    text: str
    colour: str


RISK_TAGS = {
    RiskClass.ROUTINE: Tag("Routine", "grey"),
    RiskClass.URGENT: Tag("Urgent", "orange"),
    RiskClass.EMERGENCY: Tag("Emergency", "red"),
}
OVERDUE = Tag("Overdue", "red")


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline: in words, as a clock time if there is one, and whether it has passed."""

    words: str
    at: Moment | None
    overdue: bool


def due(due_at: datetime | None, *, overdue: bool, here: Here) -> Due:
    """Return a deadline; it counts as passed when the case is marked so or the clock says so."""
    passed = overdue or (due_at is not None and due_at <= here.now)
    return Due(due_words(due_at, here.now), None if due_at is None else moment(due_at, here), passed)


# --- the work list -----------------------------------------------------------------------------------------------

_STEPS = {
    Phase.CLAIMED: "Your opinion is not given yet",
    Phase.OPINION_COMMITTED: "Your opinion is locked; the panel is not shown yet",
    Phase.REVEALED: "The panel is shown; not signed yet",
}


@dataclass(frozen=True, slots=True)
class WorkRow:
    """One case of the list. Nothing in it tells why the case is here; `call` is how the call about it stands.

    `acknowledges`: the call is not answered yet, so that somebody can.
    """

    case: CaseId
    title: str
    question: str
    risk_class: str
    risk: Tag
    site: str
    waiting: str
    due: Due
    step: str
    call: str
    acknowledges: bool
    training: bool


@dataclass(frozen=True, slots=True)
class WorkPage:
    """The list: this reviewer's own cases, then those that wait, each in the order the workflow gave.

    Of the cases that others hold only the number is told, and `overdue` counts none of them.
    """

    mine: tuple[WorkRow, ...]
    waiting: tuple[WorkRow, ...]
    with_others: int
    overdue: int
    at: Moment
    zone: str


def work_page(items: Iterable[WorkItem], here: Here) -> WorkPage:
    """Return the work list; within both parts the order of `items` is kept."""
    every = tuple(items)
    mine = tuple(work_row(item, here) for item in every if item.mine)
    waiting = tuple(work_row(item, here) for item in every if not item.mine and item.phase is Phase.ESCALATED)
    return WorkPage(
        mine=mine,
        waiting=waiting,
        with_others=len(every) - len(mine) - len(waiting),
        overdue=sum(row.due.overdue for row in (*mine, *waiting)),
        at=moment(here.now, here),
        zone=here.zone_name,
    )


def work_row(item: WorkItem, here: Here) -> WorkRow:
    """Return one case of the list."""
    return WorkRow(
        case=item.case,
        title=item.title,
        question=item.question,
        risk_class=item.risk_class.value,
        risk=RISK_TAGS[item.risk_class],
        site=here.site(item.site),
        waiting=f"waiting for {duration_words(here.now - item.waiting_since)}",
        due=due(item.due_at, overdue=item.overdue, here=here),
        step=_STEPS.get(item.phase, "") if item.mine else "",
        call=_call_words(item, here) if item.phase is Phase.ESCALATED else "",
        acknowledges=item.called and item.acknowledged_by is None,
        training=item.training,
    )


def _call_words(item: WorkItem, here: Here) -> str:
    """Return whether somebody is on the way, or what happens when nobody says so."""
    if item.acknowledged_by is not None:
        return f"Acknowledged by {item.acknowledged_by}"
    if item.unattended:
        return "Nobody acknowledged it; the requester was told to follow the local procedure"
    if item.calls_on_at is None:
        return ""
    at = moment(item.calls_on_at, here).text
    if item.last_call:
        return f"Not acknowledged; the requester is told at {at} that nobody came"
    return f"Not acknowledged; the next people are called at {at}"


# --- a case, without its panel -----------------------------------------------------------------------------------

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


# --- a signed case -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DonePage:
    """A released decision, for whoever signed it."""

    case: CaseId
    title: str
    plain: str
    at: Moment
    zone: str
    hash: str
    training: bool
    unwitnessed: bool


def done_page(decision: DecisionView, here: Here) -> DonePage:
    """Return a released decision."""
    return DonePage(
        case=decision.case,
        title=decision.title,
        plain=decision.plain,
        at=moment(decision.decided_at, here),
        zone=here.zone_name,
        hash=decision.certificate_sha256,
        training=decision.training,
        unwitnessed=decision.unwitnessed,
    )
