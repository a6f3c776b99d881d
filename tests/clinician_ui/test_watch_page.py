"""The watch's page: for those who answer for a policy, audit or keep the panel running, and for no reviewer; words before drawings."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, timedelta
from decimal import Decimal
from html import unescape

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import ViewportSize, expect

from arbiter.identity.roles import Role
from arbiter.model import ActorId
from arbiter.store.watching import AlarmKind, AlarmRow, AlarmStep, CountRow, OpenAudits
from arbiter.workflow.certifying import calibration_in_force
from arbiter.workflow.house import House
from arbiter.workflow.watching.looking import Looked
from arbiter.workflow.watching.standings import GuaranteeStanding, Stop, watched_of
from clinician_ui.presenters.times import Here
from clinician_ui.presenters.watch import watch_page
from tests.chromium import WIDE
from tests.clinician_ui.conftest import SUBJECT, Ward
from tests.clinician_ui.visits import address, both_ways, chromium, visit

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PHONE = ViewportSize(width=320, height=700)
OPTIONS = {"continue-monitoring": "Continue monitoring as planned", "urgent-review": "Urgent review"}


def looked_at(house: House, errors: str = "", *alarms: AlarmRow, **changes: object) -> Looked:
    """How `deterioration` would stand had audits of continuing found this: `x` wrong, `.` right."""
    shelved = house.shelf.in_force("deterioration")
    calibration = calibration_in_force(house, shelved.protocol.content_hash)
    assert calibration is not None
    now = house.clock.now()
    counts = tuple(
        CountRow(
            f"c_{at}",  # type: ignore[arg-type]
            "deterioration",
            calibration.content_hash,
            "continue-monitoring",
            found == "x",
            found == "x",
            Decimal("0.2"),
            {"news2": found == "x"},
            now,
            at + 1,
        )
        for at, found in enumerate(errors)
    )
    standing = GuaranteeStanding(
        "deterioration",
        "Deterioration",
        calibration,
        watched_of(calibration, counts, alarms, 0.2),
        None,
        alarms,
        None,
    )
    return Looked(replace(standing, **changes), OPTIONS, {"news2": "NEWS2"})  # type: ignore[arg-type]


def alarm(house: House, kind: AlarmKind, target: str) -> AlarmRow:
    named = looked_at(house).standing.calibration
    assert named is not None
    return AlarmRow(
        "deterioration",
        named.content_hash,
        kind,
        target,
        AlarmStep.ALARMED,
        3,
        ActorId("arbiter"),
        house.clock.now(),
    )


def here(ward: Ward) -> Here:
    return Here(ward.clock.now(), {}, UTC)


# --- who sees it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "roles",
    [
        {Role.REVIEWER},
        {Role.SENIOR_ARBITER},
        {Role.RECORDS_OFFICER},
        {Role.DISCLOSURE},
    ],
    ids=lambda roles: "+".join(sorted(roles)),
)
async def test_nobody_who_reviews_sees_it_and_nobody_whom_it_does_not_concern(
    ward: Ward, roles: set[Role]
) -> None:
    login = "-".join(sorted(roles))
    first, *others = sorted(roles)
    await ward.person(login, Role(first), also=frozenset(others))
    answer = await (await ward.logged_in(login)).get("/watch")
    assert answer.status_code == 403
    assert "audit" not in answer.text.replace("audit log", "")
    assert "/watch" not in answer.text


@pytest.mark.parametrize(
    ("role", "home"),
    [
        (Role.POLICY_APPROVER, "/watch"),
        (Role.POLICY_AUTHOR, "/watch"),
        (Role.AUDITOR, "/fleet"),
        (Role.FLEET_OPERATOR, "/fleet"),
    ],
)
async def test_whom_it_concerns_is_led_to_it(ward: Ward, role: Role, home: str) -> None:
    login = f"sees-{role}"
    await ward.person(login, role)
    browser = await ward.logged_in(login)
    assert (await browser.get("/")).headers["location"] == home
    if home == "/fleet":
        assert 'href="/watch"' in (await browser.get("/fleet")).text
    page = unescape((await browser.get("/watch")).text)
    assert "Stated error rates" in page
    assert "Deterioration on the ward" in page


async def test_nothing_of_a_case_is_on_it(ward: Ward) -> None:
    case = await ward.drawn()
    await ward.person("pola", Role.POLICY_APPROVER)
    page = unescape((await (await ward.logged_in("pola")).get("/watch")).text)
    assert "1 decision to be read" in page
    for secret in (case, SUBJECT, "Anna", "Respiratory"):
        assert secret not in page


# --- what it says ----------------------------------------------------------------------------------------------------


async def test_before_any_audit_nothing_is_claimed(ward: Ward) -> None:
    (section,) = watch_page([looked_at(ward.house)], here(ward)).protocols
    assert (section.tone, section.headline, section.waiting) == (
        "calm", "No alarm stands", "No decision waits to be read."
    )  # fmt: skip
    for option in section.options:
        assert (option.audits, option.found) == ("0 audits", "0 found wrong")
        assert option.estimate == "Nothing is estimated yet"
        assert option.evidence == "0% of the way to the alarm"


async def test_what_was_found_is_told_in_words_and_drawn(ward: Ward) -> None:
    (section,) = watch_page([looked_at(ward.house, "." * 20 + "x")], here(ward)).protocols
    option = next(each for each in section.options if each.title == "Continue monitoring as planned")
    assert (option.audits, option.found) == ("21 audits", "1 found wrong")
    assert re.fullmatch(r"4\.76% of all such decisions, by estimate; at most [\d.]+%", option.estimate)
    assert re.fullmatch(r"At most [\d.]+% of these decisions may be wrong", option.limit)
    assert re.search(r"after [\d,]+ audits on average, which is [\d,]+ decisions", option.delay)
    assert option.plot.line.count("L") == 21
    member = next(row for row in section.members if row.title == "NEWS2")
    assert (member.audited, member.wrong) == ("21", "1")


@pytest.mark.parametrize(
    ("changes", "tone", "headline"),
    [
        ({"stop": Stop.FROZEN}, "alarm", "Nothing is decided alone: an alarm stands"),
        ({"stop": Stop.BEHIND}, "alarm", "has waited too long for its readers"),
        ({"calibration": None, "watched": ()}, "warning", "every case goes to a clinician"),
    ],
)
async def test_what_is_stopped_stands_in_the_headline(
    ward: Ward, changes: dict[str, object], tone: str, headline: str
) -> None:
    (section,) = watch_page([looked_at(ward.house, "", **changes)], here(ward)).protocols
    assert section.tone == tone
    assert headline in section.headline


async def test_an_alarm_says_what_it_is_about_and_a_members_stops_nothing(ward: Ward) -> None:
    about = alarm(ward.house, AlarmKind.OPTION, "continue-monitoring")
    (section,) = watch_page([looked_at(ward.house, "", about)], here(ward)).protocols
    assert section.alarms[0].what == "Decisions for “Continue monitoring as planned” were wrong too often"
    assert [option.delay == "" for option in section.options if option.evidence == "The alarm stands"] == [
        True
    ]
    about = alarm(ward.house, AlarmKind.MEMBER, "news2")
    (section,) = watch_page([looked_at(ward.house, "", about)], here(ward)).protocols
    assert section.alarms[0].what == "NEWS2 was wrong more often than its record says"
    assert (section.tone, section.headline) == ("warning", "An alarm about a member stands")


async def test_what_waits_is_counted_with_its_day(ward: Ward) -> None:
    now = ward.clock.now()
    waiting = OpenAudits("deterioration", 2, 0, now - timedelta(days=3))
    (section,) = watch_page([looked_at(ward.house, "", waiting=waiting)], here(ward)).protocols
    assert re.fullmatch(
        r"2 decisions to be read, the longest since \d+ \w+( \d{4})?, \d\d:\d\d\.", section.waiting
    )


# --- as a page -------------------------------------------------------------------------------------------------------


@both_ways
async def test_the_watch_is_fit_to_read_on_every_screen_and_on_paper(
    ward: Ward, address: str, chromium: Chromium, scripted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = f"paula-{scripted}"
    await ward.person(login, Role.POLICY_APPROVER)
    about = alarm(ward.house, AlarmKind.OPTION, "continue-monitoring")
    shown = looked_at(ward.house, "." * 60 + "x" + "." * 30 + "xx" + "." * 9 + "x", about, stop=Stop.FROZEN)

    async def stand_in(*_: object) -> tuple[Looked, ...]:
        return (shown,)

    monkeypatch.setattr("clinician_ui.routes.watch.look_at_guarantees", stand_in)
    async with visit(chromium, address, scripted=scripted) as visited:
        page = visited.page
        await visited.go("/watch")
        await page.get_by_label("Login").fill(login)
        await page.get_by_label("Password", exact=True).fill("correct horse battery staple")
        await visited.press("Log in")
        await page.wait_for_url("**/watch")
        await expect(page.get_by_text("Nothing is decided alone")).to_be_visible()
        await expect(
            page.get_by_role("img", name="Continue monitoring as planned, 103 audits, 4 found wrong")
        ).to_be_visible()
        await visited.look("watch")
        await page.set_viewport_size(PHONE)
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        await page.set_viewport_size(WIDE)
        await page.emulate_media(media="print")
        await expect(page.get_by_role("img").first).to_be_visible()
