"""The list for paper: what stands on it, what never does, and for how long it may be trusted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, RiskClass
from arbiter.workflow.downtime import Waiting
from arbiter.workflow.work_list import WorkItem
from clinician_ui.presenters.paper import FIT_FOR, downtime_list, full_time, paper_list
from clinician_ui.presenters.times import Here
from tests.clinician_ui.conftest import SUBJECT, Ward
from tests.clinician_ui.lists import listed
from tests.clinician_ui.test_blindness import CASES, FORBIDDEN, members, received

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HERE = Here(NOON, {"north": "North Hospital", "south": "South Hospital"}, UTC)


def item(
    case: str = "c_1",
    site: str = "north",
    phase: Phase = Phase.ESCALATED,
    due_at: datetime | None = NOON + timedelta(minutes=5),
    *,
    mine: bool = False,
    overdue: bool = False,
    training: bool = False,
) -> WorkItem:
    return WorkItem(
        case=CaseId(case),
        title="Deterioration",
        question="Does this inpatient need urgent review?",
        risk_class=RiskClass.URGENT,
        site=site,
        waiting_since=NOON - timedelta(hours=13),
        due_at=due_at,
        overdue=overdue,
        phase=phase,
        mine=mine,
        training=training,
    )


def waiting(*items: WorkItem) -> Waiting:
    return Waiting(NOON, items, 0, whole=True, sites=HERE.sites)


# --- what a row says -----------------------------------------------------------------------------------------------


async def test_a_row_names_the_day_of_every_time() -> None:
    (row,) = paper_list(listed([item()], HERE), HERE).rows
    assert (row.since, row.due, row.marks) == ("28 Feb 23:00", "1 Mar 12:05", ())
    assert (row.case, row.title, row.site, row.risk) == ("c_1", "Deterioration", "North Hospital", "Urgent")


async def test_times_on_paper_are_in_the_zone_that_the_page_names() -> None:
    summer = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    there = Here(summer, {}, ZoneInfo("Europe/London"))
    page = paper_list(listed([], there), there)
    assert (page.made, page.fit_until, page.zone) == ("2 July 2026, 00:30", "2 July 2026, 01:00", "BST")
    assert timedelta(minutes=30) == FIT_FOR
    assert full_time(NOON, Here(NOON, {}, ZoneInfo("Asia/Kathmandu"))) == "1 March 2026, 17:45"


@pytest.mark.parametrize(
    ("made", "marks"),
    [
        (item(overdue=True), ("Overdue",)),
        (item(due_at=NOON), ("Overdue",)),
        (item(due_at=None), ()),
        (item(training=True), ("Training",)),
        (item(phase=Phase.CLAIMED, mine=True), ("Yours",)),
        (
            item(phase=Phase.REVEALED, mine=True, overdue=True, training=True),
            ("Overdue", "Training", "Yours"),
        ),
    ],
)
async def test_marks_are_words(made: WorkItem, marks: tuple[str, ...]) -> None:
    assert paper_list(listed([made], HERE), HERE).rows[0].marks == marks


async def test_a_colleagues_case_is_a_number_on_paper_too() -> None:
    page = paper_list(listed([item("c_1", phase=Phase.CLAIMED), item("c_2")], HERE), HERE)
    assert ([row.case for row in page.rows], page.with_others) == (["c_2"], 1)


@pytest.mark.parametrize(("pages", "whole"), [(1, True), (2, False)])
async def test_a_list_that_is_cut_off_says_so(pages: int, whole: bool) -> None:
    assert paper_list(listed([item()], HERE, pages=pages), HERE).whole is whole


# --- the list for a downtime -----------------------------------------------------------------------------------------


async def test_each_site_has_a_sheet_with_nothing_of_another() -> None:
    made = downtime_list(waiting(item("c_1", "south"), item("c_2"), item("c_3", "south")), HERE)
    assert [(sheet.site, [row.case for row in sheet.rows]) for sheet in made.sheets] == [
        ("North Hospital", ["c_2"]),
        ("South Hospital", ["c_1", "c_3"]),
    ]


async def test_two_sites_of_one_name_are_two_sheets() -> None:
    twins = Here(NOON, {"north": "Hospital", "south": "Hospital"}, UTC)
    made = downtime_list(waiting(item("c_1", "south"), item("c_2", "north")), twins)
    assert [[row.case for row in sheet.rows] for sheet in made.sheets] == [["c_2"], ["c_1"]]


@pytest.mark.parametrize("phase", [Phase.CLAIMED, Phase.OPINION_COMMITTED, Phase.REVEALED])
async def test_a_held_case_is_marked_as_held_and_not_by_whom(phase: Phase) -> None:
    ((row,),) = (sheet.rows for sheet in downtime_list(waiting(item(phase=phase)), HERE).sheets)
    assert row.marks == ("With a reviewer",)


async def test_nothing_waiting_is_no_sheet() -> None:
    assert downtime_list(waiting(), HERE).sheets == ()


# --- the page ------------------------------------------------------------------------------------------------------


async def test_the_page_names_when_it_was_made_and_until_when_it_may_be_used(ward: Ward) -> None:
    page = unescape((await (await ward.logged_in()).get("/worklist/print")).text)
    title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
    assert title is not None
    assert re.fullmatch(
        r"Work list of \d+ \w+ \d{4}, \d\d:\d\d \S+, not to be used after \d+ \w+ \d{4}, \d\d:\d\d \N{EN DASH} Arbiter",
        title[1],
    )


async def test_the_list_on_the_screen_leads_to_the_one_for_paper(ward: Ward) -> None:
    assert 'href="/worklist/print"' in (await (await ward.logged_in()).get("/worklist")).text


@pytest.mark.parametrize("reason", CASES)
async def test_the_printed_list_tells_nothing_of_patient_panel_or_reason(ward: Ward, reason: str) -> None:
    case = await ward.case(CASES[reason])
    answer = await (await ward.logged_in()).get("/worklist/print")
    assert case in answer.text
    text = received(answer, ward).replace(case, "")
    for secret in (SUBJECT.lower(), "visit-1", "per minute", "mmhg", *FORBIDDEN, *members(ward)):
        assert not re.search(rf"\b{re.escape(secret)}", text), secret


async def test_on_paper_there_is_room_to_write_and_nothing_to_press(ward: Ward) -> None:
    await ward.case()
    page = (await (await ward.logged_in()).get("/worklist/print")).text
    table = page[page.index("<table") : page.index("</table>")]
    rows = table.count("<tr>") - 1
    assert rows >= 1
    assert table.count("<td></td>") == 2 * rows
    assert "<form" not in table
    assert "<button" not in table


async def test_a_colleagues_claim_takes_the_case_off_the_sheet(ward: Ward) -> None:
    case = await ward.case()
    await ward.claimed(case, "ben")
    page = (await (await ward.logged_in()).get("/worklist/print")).text
    assert case not in page
    assert "With colleagues, and not on this sheet" in page
    mine = (await (await ward.logged_in("ben")).get("/worklist/print")).text
    assert case in mine
    assert "Yours</strong>" in mine
