"""The page of panels and clinicians: whom it is for, whose sites it tells of, and that plot, table and CSV say the same."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import ViewportSize, expect

from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.workflow import review
from arbiter.workflow.own_opinion import OwnOpinion
from clinician_ui.presenters.oversight import NAMES
from tests.chromium import WIDE
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Ward
from tests.clinician_ui.visits import address, both_ways, chromium, visit
from tests.houses import PASSWORD, SITE

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PHONE = ViewportSize(width=320, height=700)
URGENT, CONTINUE = "urgent-review", "continue-monitoring"
# SPLIT's panel leans to continuing. Own opinion and signature of seven reviews.
REVIEWS = (
    (URGENT, URGENT),
    (URGENT, URGENT),
    (URGENT, CONTINUE),
    (URGENT, CONTINUE),
    (URGENT, CONTINUE),
    (CONTINUE, CONTINUE),
    (CONTINUE, URGENT),
)
A_REVIEW = timedelta(minutes=3)
THE_WORK = A_REVIEW * len(REVIEWS) + timedelta(minutes=2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def practised(ward: Ward) -> AsyncIterator[Ward]:
    """A ward at which seven cases were signed on one day, and people who may look."""
    now = ward.clock.now().astimezone()
    if (now + THE_WORK).date() != now.date():
        # Of a day with few cases nothing is told: seven on two days would be five, or none.
        ward.clock.advance(THE_WORK)
    for number, (own, final) in enumerate(REVIEWS):
        case = await ward.case(SPLIT)
        who = ward.people[("anna", "ben")[number % 2]]
        ward.clock.advance(A_REVIEW)
        await review.claim(ward.house, who, case)
        await review.commit_opinion(ward.house, who, case, OwnOpinion(own, 80, (), ""))
        await review.reveal(ward.house, who, case)
        await review.sign(ward.house, who, case, final, "as I see it now")
    await add_site(ward.house.identities, "south", "South Hospital")
    await ward.person("audrey", Role.AUDITOR)
    await ward.person("paula", Role.POLICY_APPROVER)
    await ward.person("silvia", Role.AUDITOR, site="south")
    yield ward


# --- whose it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.SENIOR_ARBITER, Role.RECORDS_OFFICER, Role.DISCLOSURE])
@pytest.mark.parametrize("path", ["/oversight", "/oversight/figures.csv?table=judging"])
async def test_nobody_who_reviews_sees_figures_and_nobody_whom_they_do_not_concern(
    practised: Ward, role: Role, path: str
) -> None:
    login = f"no-{role}"
    if login not in practised.people:
        await practised.person(login, role)
    answer = await (await practised.logged_in(login)).get(path)
    assert answer.status_code == 403
    for told in ("otherwise", "Agreement", "leant", "/oversight"):
        assert told not in answer.text


async def test_who_is_not_logged_in_is_led_to_the_log_in_and_back(practised: Ward) -> None:
    answer = await practised.browser().get("/oversight")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/oversight")
    answer = await practised.browser().get("/oversight/figures.csv?table=judging")
    assert answer.status_code == 303


async def test_a_clients_token_opens_no_figures(practised: Ward) -> None:
    browser = practised.browser()
    for headers in ({"Authorization": f"Bearer {practised.client.id}"}, {"Cookie": "arbiter-session=x"}):
        assert (await browser.http.get("/oversight", headers=headers)).status_code == 303


@pytest.mark.parametrize("path", ["/oversight", "/oversight/figures.csv"])
async def test_figures_are_only_looked_at(practised: Ward, path: str) -> None:
    browser = await practised.logged_in("audrey")
    assert (await browser.send_raw(path, {"table": "judging"})).status_code == 405


async def test_at_another_site_there_is_nothing_of_this_one(practised: Ward) -> None:
    browser = await practised.logged_in("silvia")
    page = unescape((await browser.get("/oversight")).text)
    assert "No case concluded." in page
    assert "No review was signed." in page
    assert "North Hospital" not in page
    for path in (f"/oversight?site={SITE}", f"/oversight/figures.csv?table=judging&site={SITE}"):
        assert (await browser.get(path)).status_code == 404
    for name in ("judging", "reasons", "times", "families", "escalation"):
        table = (await browser.get(f"/oversight/figures.csv?table={name}")).text
        assert ",7," not in table


async def test_a_site_of_ones_own_shows_its_own_figures(practised: Ward) -> None:
    browser = await practised.logged_in("audrey")
    page = unescape((await browser.get(f"/oversight?site={SITE}")).text)
    assert "Of 7 cases that concluded, 7 came to a clinician: 100.0%" in page
    assert "South Hospital" not in page


async def test_no_case_and_no_person_is_on_it(practised: Ward) -> None:
    browser = await practised.logged_in("audrey")
    texts = [(await browser.get("/oversight")).text]
    texts += [(await browser.get(f"/oversight/figures.csv?table={name}")).text for name in NAMES]
    for text in texts:
        assert not re.search(r"c_[a-z2-7]{10}", text)
        for secret in (SUBJECT, "Anna", "Ben", practised.people["anna"].id, "as I see it"):
            assert secret not in text


# --- what it says ----------------------------------------------------------------------------------------------------


async def test_overrides_and_switches_are_told_in_words_drawn_and_tabled_alike(practised: Ward) -> None:
    browser = await practised.logged_in("audrey")
    page = unescape((await browser.get("/oversight")).text)
    told = re.search(
        r"Clinicians signed otherwise than the panel leant in ([\d.]+%)[^<]*alone in ([\d.]+%)", page
    )
    assert told is not None
    assert told.groups() == ("42.9%", "57.1%")
    rows = {row["measure"]: row for row in await table(practised, "judging")}
    assert (rows["override"]["part"], rows["override"]["of"]) == ("3", "7")
    assert (rows["switch"]["part"], rows["switch"]["of"]) == ("4", "7")
    assert (rows["toward_panel"]["part"], rows["toward_panel"]["of"]) == ("3", "5")
    # Two reviews agreed with the panel: of so few nothing is told, nor how many they are.
    assert (rows["away_from_panel"]["part"], rows["away_from_panel"]["of"], rows["away_from_panel"]["share"]) == (
        "", "", ""
    )  # fmt: skip
    section = page[page.index('id="judging"') : page.index('id="reliance"')]
    assert '<td class="nhsuk-table__cell arbiter-number">42.9%</td>' in section
    # A dot for each measure that is told, at the place of its share.
    dots = [float(x) for x in re.findall(r'<circle class="arbiter-plot__dot" cx="([\d.]+)"', section)]
    shares = [float(row["share"]) for row in rows.values() if row["share"]]
    assert dots == pytest.approx([8 + share * 324 for share in shares], abs=0.06)


async def test_every_figure_has_a_picture_with_words_a_table_and_a_download(practised: Ward) -> None:
    page = (await (await practised.logged_in("audrey")).get("/oversight")).text
    assert "style=" not in page
    for name in NAMES:
        assert f'<h2 class="nhsuk-heading-s" id="{name}">' in page
        assert f'id="{name}-table"' in page
        assert f"/oversight/figures.csv?table={name}&amp;from=" in page
    for name in ("escalation", "reasons", "times", "families", "judging", "members"):
        assert f'role="img" aria-labelledby="{name}-plot-title {name}-plot-words"' in page
        assert f'<title id="{name}-plot-title">' in page
        assert f'<desc id="{name}-plot-words">' in page


async def test_a_family_has_one_name_for_programs_wherever_it_stands(practised: Ward) -> None:
    table = (await (await practised.logged_in("audrey")).get("/oversight/figures.csv?table=families")).text
    pairs = [line.split(",")[:2] for line in table.splitlines()[1:]]
    assert ["bedside-observations", "bedside-observations"] in pairs
    assert {name for pair in pairs for name in pair} <= {"bedside-observations", "observations-and-blood"}


async def test_days_without_cases_say_so(practised: Ward) -> None:
    browser = await practised.logged_in("paula")
    page = unescape((await browser.get("/oversight?from=2020-01-01&to=2020-01-31")).text)
    assert "No case concluded." in page
    assert "100.0%" not in page


@pytest.mark.parametrize("day", ["1970-01-02", "9998-12-31"])
async def test_the_first_and_the_last_day_there_is_can_be_asked_for(practised: Ward, day: str) -> None:
    answer = await (await practised.logged_in("paula")).get(f"/oversight?from={day}&to={day}")
    assert answer.status_code == 200
    assert "No case concluded." in unescape(answer.text)


async def test_times_on_the_page_are_no_shorter_than_those_in_the_table(practised: Ward) -> None:
    page = unescape((await (await practised.logged_in("paula")).get("/oversight")).text).replace(
        "\u00a0", " "
    )
    told = re.search(
        r"Routine: half were taken within (\d+) minutes? and signed within (\d+) minutes?;", page
    )
    assert told is not None
    (row,) = [each for each in await table(practised, "times") if each["risk_class"] == "routine"]
    for minutes, column in zip(told.groups(), ("claim_p50_seconds", "decision_p50_seconds"), strict=True):
        assert 60 * (int(minutes) - 1) <= int(row[column]) <= 60 * int(minutes)


async def test_a_year_is_told_in_weeks(practised: Ward) -> None:
    rows = await table(practised, "escalation", "&from=2026-01-01&to=2026-12-31")
    assert len(rows) == 53
    assert sum(int(row["of"] or 0) for row in rows) == 7


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("from=yesterday", "The first day must be a date"),
        ("to=2026-02-30", "The last day must be a date"),
        ("from=2026-03-02&to=2026-03-01", "must not be before the first"),
        ("from=2020-01-01&to=2026-03-01", "Choose at most 366 days"),
        ("protocol=nonsense", "Choose a protocol from the list"),
        ("from=0001-01-01", "The first day must be a date"),
        ("from=0001-01-01&to=0001-01-01", "The last day must be a date"),
        ("from=9999-12-31&to=9999-12-31", "The first day must be a date"),
    ],
)
async def test_what_cannot_be_meant_is_said_and_nothing_is_shown(
    practised: Ward, query: str, says: str
) -> None:
    answer = await (await practised.logged_in("audrey")).get(f"/oversight?{query}")
    assert answer.status_code == 422
    assert says in answer.text
    assert 'class="arbiter-plot"' not in answer.text


@pytest.mark.parametrize("query", ["protocol=%3Cscript%3Ealert(1)%3C/script%3E", "from=%22%3E%3Cscript%3E"])
async def test_what_is_typed_into_the_address_never_becomes_markup(practised: Ward, query: str) -> None:
    answer = await (await practised.logged_in("audrey")).get(f"/oversight?{query}")
    assert answer.status_code == 422
    assert "<script>" not in answer.text


# --- as CSV ----------------------------------------------------------------------------------------------------------


async def table(ward: Ward, name: str, more: str = "") -> list[dict[str, str]]:
    answer = await (await ward.logged_in("audrey")).get(f"/oversight/figures.csv?table={name}{more}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert re.fullmatch(
        rf'attachment; filename="oversight-{name}-[\d-]{{10}}-[\d-]{{10}}\.csv"',
        answer.headers["content-disposition"],
    )
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize("name", NAMES)
async def test_every_table_is_a_csv(practised: Ward, name: str) -> None:
    for row in await table(practised, name):
        assert None not in row
        assert None not in row.values()


@pytest.mark.parametrize(
    "query", ["", "table=", "table=nothing", "table=../judging", "table=judging&from=never"]
)
async def test_there_is_no_other_table(practised: Ward, query: str) -> None:
    answer = await (await practised.logged_in("audrey")).get(f"/oversight/figures.csv?{query}")
    assert answer.status_code == 404


# --- as a page -------------------------------------------------------------------------------------------------------


@both_ways
async def test_a_safety_officer_looks_at_the_figures_chooses_days_and_opens_a_table(
    practised: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    async with visit(chromium, address, scripted=scripted) as visited:
        page = visited.page
        await visited.go("/oversight")
        await page.get_by_label("Login").fill("paula")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await visited.press("Log in")
        await page.wait_for_url("**/oversight")
        await expect(page.get_by_role("heading", name="Panels and clinicians")).to_be_visible()
        await expect(page.get_by_role("img", name="Overrides and switches")).to_be_visible()
        await visited.look("oversight")
        await page.get_by_text("Table: Overrides and switches").click()
        await expect(page.get_by_role("table", name="Overrides and switches")).to_be_visible()
        await visited.look("oversight with a table open")
        await page.set_viewport_size(PHONE)
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        await page.set_viewport_size(WIDE)
        await page.get_by_label("First day").fill("2020-01-01")
        await page.get_by_label("Last day").fill("2020-01-31")
        await visited.press("Show")
        await expect(page.get_by_text("No case concluded.").first).to_be_visible()
        await visited.look("oversight without figures")
        await page.get_by_label("Last day").fill("2019-01-31")
        await visited.press("Show")
        await expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
        await visited.look("oversight with mistakes")
