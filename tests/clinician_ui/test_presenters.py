"""Views in words: pure, so each case is a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, RiskClass
from arbiter.question import Option
from arbiter.workflow.blinding import BlindCase, BlindFact
from arbiter.workflow.views import CaseView
from arbiter.workflow.work_list import WorkItem
from clinician_ui.presenters.case import CLAIM_ENDS_SOON, Patient, case_page, hold
from clinician_ui.presenters.times import Here, due, due_words, duration_words, moment, within_words
from tests.clinician_ui.lists import listed_page

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
HERE = Here(NOON, {"north": "North Hospital"}, UTC)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 minute"),
        (119, "1 minute"),
        (12 * 60, "12 minutes"),
        (59 * 60 + 59, "59 minutes"),
        (3600, "1 hour"),
        (3600 + 60, "1 hour 1 minute"),
        (2 * 3600 + 5 * 60, "2 hours 5 minutes"),
        (24 * 3600 - 1, "23 hours 59 minutes"),
        (24 * 3600, "1 day"),
        (50 * 3600, "2 days 2 hours"),
        (-300, "5 minutes"),
    ],
)
def test_durations_in_words(seconds: int, words: str) -> None:
    assert plain(duration_words(timedelta(seconds=seconds))) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 minute"),
        (60, "1 minute"),
        (60.000001, "2 minutes"),
        (113, "2 minutes"),
        (473, "8 minutes"),
        (3600 - 1, "1 hour"),
        (3600 + 1, "1 hour 1 minute"),
        (24 * 3600 - 1, "1 day"),
        (24 * 3600 + 1, "1 day 1 hour"),
        (50 * 3600 + 1, "2 days 3 hours"),
    ],
)
def test_what_took_no_longer_is_never_told_as_shorter_than_it_was(seconds: float, words: str) -> None:
    assert plain(within_words(timedelta(seconds=seconds))) == words


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(12, "due in 12 minutes"), (0, "overdue by less than a minute"), (-90, "overdue by 1 hour 30 minutes")],
)
def test_deadlines_in_words(minutes: int, words: str) -> None:
    assert plain(due_words(NOON + timedelta(minutes=minutes), NOON)) == words


def test_a_case_without_a_deadline_says_so() -> None:
    shown = due(None, overdue=False, here=HERE)
    assert (shown.words, shown.at, shown.overdue) == ("no deadline", None, False)


@pytest.mark.parametrize(("marked", "minutes"), [(True, 5), (False, 0), (False, -1), (True, -1)])
def test_a_deadline_counts_as_passed_by_mark_or_by_clock(marked: bool, minutes: int) -> None:
    assert due(NOON + timedelta(minutes=minutes), overdue=marked, here=HERE).overdue


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (NOON - timedelta(hours=1), "11:00"),
        (NOON - timedelta(hours=13), "28 February, 23:00"),
        (datetime(2025, 12, 31, 23, 59, tzinfo=UTC), "31 December 2025, 23:59"),
    ],
)
def test_a_moment_names_its_day_unless_it_is_today(instant: datetime, text: str) -> None:
    shown = moment(instant, HERE)
    assert shown.text == text
    assert datetime.fromisoformat(shown.iso) == instant


def test_the_same_instant_is_read_in_the_zone_of_the_house() -> None:
    summer = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    here = Here(summer + timedelta(minutes=10), {}, LONDON)
    assert moment(summer, here).text == "00:30"
    assert here.zone_name == "BST"


# --- the work list -----------------------------------------------------------------------------------------------


def item(
    name: str,
    *,
    mine: bool = False,
    phase: Phase = Phase.ESCALATED,
    due_minutes: int | None = 10,
    overdue: bool = False,
    site: str = "north",
) -> WorkItem:
    return WorkItem(
        case=CaseId(name),
        title="Deterioration",
        question="Urgent?",
        risk_class=RiskClass.URGENT,
        site=site,
        waiting_since=NOON - timedelta(minutes=20),
        due_at=None if due_minutes is None else NOON + timedelta(minutes=due_minutes),
        overdue=overdue,
        phase=phase,
        mine=mine,
    )


def test_mine_come_first_and_the_order_given_is_kept() -> None:
    page = listed_page(
        [
            item("a"),
            item("b", mine=True, phase=Phase.CLAIMED),
            item("c"),
            item("d", mine=True, phase=Phase.REVEALED),
        ],
        HERE,
    )
    assert [row.case for row in page.mine] == ["b", "d"]
    assert [row.case for row in page.waiting] == ["a", "c"]


def test_of_cases_that_others_hold_only_the_number_is_told() -> None:
    page = listed_page([item("a"), item("c_theirs", phase=Phase.CLAIMED, overdue=True)], HERE)
    assert page.with_others == 1
    assert page.overdue == 0
    assert "c_theirs" not in repr(page)


def test_overdue_counts_what_is_mine_and_what_waits() -> None:
    page = listed_page(
        [item("a", due_minutes=-1), item("b", mine=True, phase=Phase.CLAIMED, overdue=True)], HERE
    )
    assert page.overdue == 2


def test_an_empty_list_is_a_page_too() -> None:
    page = listed_page([], HERE)
    assert (page.mine, page.waiting, page.with_others, page.overdue) == ((), (), 0, 0)


def test_a_waiting_row_has_no_step_that_would_tell_its_past() -> None:
    page = listed_page([item("a"), item("b", mine=True, phase=Phase.OPINION_COMMITTED)], HERE)
    assert page.waiting[0].step == ""
    assert "locked" in page.mine[0].step


@pytest.mark.parametrize(("site", "name"), [("north", "North Hospital"), ("elsewhere", "elsewhere")])
def test_a_site_is_called_by_its_name(site: str, name: str) -> None:
    assert listed_page([item("a", site=site)], HERE).waiting[0].site == name


# --- a case ------------------------------------------------------------------------------------------------------


def fact(value: str = "24", unit: str | None = "/min", **changes: object) -> BlindFact:
    values: dict[str, object] = {
        "name": "respiratory_rate",
        "title": "Respiratory rate",
        "value": value,
        "unit": unit,
        "observed_at": NOON - timedelta(minutes=25),
        "age_minutes": 25,
        "stale": False,
        "status": "final",
        "source": "monitor",
    }
    return BlindFact(**(values | changes))  # type: ignore[arg-type]


def blind(*facts: BlindFact, claim_minutes: int | None = 14, system: str = "urn:example") -> BlindCase:
    view = CaseView(
        id=CaseId("c_1"),
        protocol="deterioration",
        protocol_version="1",
        protocol_hash="h",
        site="north",
        requester="client",
        risk_class=RiskClass.EMERGENCY,
        phase=Phase.CLAIMED,
        facts_version=1,
        created_at=NOON,
        changed_at=NOON,
        due_at=NOON + timedelta(minutes=30),
        overdue=False,
        decided_by=None,
        successor=None,
        entries=9,
        acknowledged=False,
        unattended=False,
    )
    return BlindCase(
        view=view,
        title="Deterioration",
        question="Urgent?",
        options=(Option("yes", "Yes, now"), Option("no", "No")),
        facts=facts,
        missing=("Blood lactate",),
        subject_system=system,
        subject_value="MRN 1",
        encounter=None,
        claim_until=None if claim_minutes is None else NOON + timedelta(minutes=claim_minutes),
        shows_panel_first=False,
        as_of=NOON,
        received_at=NOON - timedelta(minutes=20),
    )


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        ("24", "/min", "24 per minute"),
        ("38.6", "Cel", "38.6 °C"),
        ("86", "mm[Hg]", "86 mmHg"),
        ("97", "%", "97 %"),
        ("2.6", "mmol/L", "2.6 mmol/L"),
        ("45", "mL/min/{1.73_m2}", "45 mL/min/1.73 m²"),
        ("7.5", "{drink}/wk", "7.5 drinks a week"),
        ("59", "d", "59 days"),
        ("26.4", "kg/m2", "26.4 kg/m²"),
        ("yes", None, "Yes"),
        ("Responds to pain", None, "Responds to pain"),
        ("5", "something new", "5 something new"),
    ],
)
def test_values_read_as_at_the_bedside(value: str, unit: str | None, shown: str) -> None:
    row = case_page(blind(fact(value, unit)), HERE).facts[0]
    assert plain(row.with_unit) == shown


def test_a_fact_says_its_age_and_what_to_mind() -> None:
    row = case_page(blind(fact(stale=True, status="preliminary", age_minutes=301)), HERE).facts[0]
    assert plain(row.age) == "5 hours 1 minute"
    assert row.stale
    assert row.status == "preliminary"


def test_a_final_fact_says_nothing_of_its_status() -> None:
    assert case_page(blind(fact()), HERE).facts[0].status == ""


def test_a_status_that_nobody_knows_is_an_error_not_a_final_fact() -> None:
    with pytest.raises(ValueError, match="guessed"):
        case_page(blind(fact(status="guessed")), HERE)


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("https://fhir.nhs.uk/Id/nhs-number", "NHS number"),
        ("https://fhir.nhs.uk/Id/nhs-number/", "https://fhir.nhs.uk/Id/nhs-number/"),
        ("urn:example", "urn:example"),
        ("", "No numbering system named"),
    ],
)
def test_a_patients_number_never_stands_without_its_numbering_system(system: str, words: str) -> None:
    assert case_page(blind(system=system), HERE).patient == Patient("MRN 1", words, None)


def test_unknown_options_and_facts_keep_their_ids() -> None:
    page = case_page(blind(fact()), HERE)
    assert (page.option_title("yes"), page.option_title("maybe")) == ("Yes, now", "maybe")
    assert (page.fact_title("respiratory_rate"), page.fact_title("lactate")) == (
        "Respiratory rate",
        "lactate",
    )


def test_a_case_nobody_holds_shows_no_hold() -> None:
    assert case_page(blind(claim_minutes=None), HERE).hold is None


@pytest.mark.parametrize(
    ("left", "words", "soon"),
    [
        (timedelta(minutes=14), "14 minutes", False),
        (CLAIM_ENDS_SOON, "5 minutes", True),
        (-timedelta(minutes=3), "less than a minute", True),
    ],
)
def test_a_hold_that_ends_soon_is_marked(left: timedelta, words: str, soon: bool) -> None:
    shown = hold(NOON + left, HERE)
    assert (plain(shown.left), shown.ends_soon) == (words, soon)
