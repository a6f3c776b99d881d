"""Closed cases to learn from: opt-in, of one's own sites, naming nobody, telling no rate, and never asked about again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium

from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.errors import IllegalMoveError
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.states import Audit, AuditStage, Erasure, Phase
from arbiter.model import CaseId
from arbiter.store.cases.heads import load_case
from arbiter.store.lessons import Differing
from arbiter.workflow import outcomes
from arbiter.workflow.closing import contest
from arbiter.workflow.review import claim
from arbiter.workflow.teaching import SETTLED, chosen, is_closed
from clinician_ui.pages import create_pages
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Ward, phase
from tests.clinician_ui.visits import address, chromium, log_in, visit
from tests.houses import settle, types_of

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

MARKUP = "<script>alert(1)</script><b>bold</b>"


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def teaching(ward: Ward) -> AsyncIterator[None]:
    await add_site(ward.house.identities, "south", "South Hospital")
    await ward.person("cleo", name="Cleopatra Jones")
    await ward.person("sue", site="south")
    await ward.person("ada", Role.AUDITOR)
    settings = ward.house.settings.model_copy(update={"teaching": True})
    ward.house = replace(ward.house, settings=settings)
    ward.pages = create_pages(ward.house)
    yield


async def differed(ward: Ward, *, note: str = "as I see it") -> CaseId:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case, "cleo")
    (subject, *_) = re.findall(rf"{SUBJECT}-\d+", (await browser.get(f"/cases/{case}")).text)
    await browser.opinion(case, "continue-monitoring", note=note)
    await browser.send(f"/cases/{case}/reveal")
    reason = f"cleopatra JONES thought again of {subject}: {MARKUP}"
    assert (await browser.sign(case, reason=reason)).status_code == 303
    await settle(ward.house)
    assert await phase(ward, case) is Phase.RELEASED
    return case


async def settled(ward: Ward) -> CaseId:
    case = await differed(ward, note=MARKUP)
    ward.clock.advance(SETTLED + timedelta(hours=1))
    return case


async def offered_to(ward: Ward, login: str = "ben") -> str:
    return (await (await ward.logged_in(login)).get("/teaching")).text


async def test_a_house_without_it_has_no_such_page(ward: Ward) -> None:
    case = await settled(ward)
    switched = ward.pages
    ward.pages = create_pages(
        replace(ward.house, settings=ward.house.settings.model_copy(update={"teaching": False}))
    )
    ben = await ward.logged_in("ben")
    assert (await ben.get("/teaching")).status_code == 404
    assert (await ben.get(f"/teaching/{case}")).status_code == 404
    assert "/teaching" not in (await ben.get("/worklist")).text
    ward.pages = switched
    assert 'href="/teaching"' in (await (await ward.logged_in("ben")).get("/worklist")).text


async def test_a_case_is_shown_once_it_is_settled_and_the_list_holds_nothing_of_it(ward: Ward) -> None:
    fresh = await differed(ward)
    assert fresh not in await offered_to(ward)
    ward.clock.advance(SETTLED + timedelta(hours=1))
    before = await types_of(ward.house, fresh)
    ben = await ward.logged_in("ben")
    listed = (await ben.get("/teaching")).text
    for word in (SUBJECT, "Cleopatra", "thought again", "Continue monitoring", "NEWS2"):
        assert word not in listed
    assert await types_of(ward.house, fresh) == before


async def one_of(ward: Ward, login: str = "ben") -> CaseId:
    listed = await offered_to(ward, login)
    return CaseId(listed.partition('href="/teaching/')[2].partition('"')[0])


async def test_nobody_is_named_and_nothing_written_becomes_markup(ward: Ward) -> None:
    await settled(ward)
    case = await one_of(ward)
    page = (await (await ward.logged_in("ben")).get(f"/teaching/{case}")).text
    main = page.partition("<main")[2].partition("</main>")[0]
    assert "What would you have said?" in main
    assert "[…] thought again of […]: " in main
    assert main.index("<details") < main.index("The reviewer who signed")
    for word in (SUBJECT, "Cleo", "cleopatra", "JONES", "<script>alert", "<b>bold"):
        assert word not in main


async def test_who_has_opened_a_case_is_not_asked_about_it_again(ward: Ward) -> None:
    await settled(ward)
    case = await one_of(ward, "anna")
    before = await types_of(ward.house, case)
    assert (await (await ward.logged_in("anna")).get(f"/teaching/{case}")).status_code == 200
    assert await types_of(ward.house, case) == [*before, EntryType.READ]
    await contest(ward.house, ward.client, case, "the family disagrees")
    with pytest.raises(IllegalMoveError):
        await claim(ward.house, ward.people["anna"], case)
    assert case not in await offered_to(ward)
    assert (await (await ward.logged_in("anna")).get(f"/teaching/{case}")).status_code == 404
    await ward.person("dora")
    await claim(ward.house, ward.people["dora"], case)


async def test_what_is_not_offered_cannot_be_opened(ward: Ward) -> None:
    case = await settled(ward)
    open_case, drawn = await ward.case(SPLIT), await ward.drawn()
    fresh = await differed(ward)
    before = await types_of(ward.house, fresh)
    ben, sue, ada = [await ward.logged_in(login) for login in ("ben", "sue", "ada")]
    for shut in (open_case, drawn, fresh, "c_aaaa", "x", "..%2fworklist"):
        assert (await ben.get(f"/teaching/{shut}")).status_code == 404
        assert f"/teaching/{shut}" not in (await ben.get("/teaching")).text
    assert await types_of(ward.house, fresh) == before
    assert 'href="/teaching/c_' not in (await sue.get("/teaching")).text
    assert (await sue.get(f"/teaching/{case}")).status_code == 404
    assert (await ada.get("/teaching")).status_code == 403
    assert (await ada.get(f"/teaching/{case}")).status_code == 403
    assert (await ward.browser().get("/teaching")).status_code == 303


async def test_known_outcomes_that_point_one_way_are_not_shown(ward: Ward) -> None:
    case = await differed(ward)
    told = KnownOutcome("urgent-review", OutcomeKind.OUTCOME, ward.clock.now(), "records")
    await outcomes.record(ward.house, ward.client, case, told)
    ward.clock.advance(SETTLED + timedelta(hours=1))
    assert case not in await offered_to(ward)
    assert (await (await ward.logged_in("ben")).get(f"/teaching/{case}")).status_code == 404


async def test_as_many_are_shown_one_way_as_the_other() -> None:
    ways = [(True, False)] * 9 + [(False, True)] * 2 + [(False, False)] * 5 + [(None, None)] * 9
    cases = [Differing(CaseId(f"c_{at}"), *way) for at, way in enumerate(ways)]
    shown = [(each.clinician_right, each.panel_right) for each in chosen(cases, "2026-1")]
    assert shown.count((True, False)) == shown.count((False, True)) == 2
    assert (False, False) not in shown
    assert chosen(cases, "2026-1") == chosen(reversed(cases), "2026-1")
    assert chosen(cases, "2026-1") != chosen(cases, "2026-2")


async def test_no_case_with_anything_left_to_do_is_closed(ward: Ward) -> None:
    case = await settled(ward)
    async with ward.house.store.read() as transaction:
        state = (await load_case(transaction, case)).state
    assert is_closed(state)
    for open_still in (
        replace(state, held=True),
        replace(state, planted=True),
        replace(state, correcting=True),
        replace(state, unwitnessed=True),
        replace(state, erasure=Erasure.KEY_DESTROYED),
        replace(state, audit=Audit(AuditStage.DRAWN, ward.clock.now(), 1)),
        replace(state, audit=Audit(AuditStage.DOUBTED, ward.clock.now(), 1)),
    ):
        assert not is_closed(open_still)
    for other in Phase:
        assert is_closed(replace(state, phase=other)) is (other is Phase.RELEASED)


async def test_it_is_fit_to_read_with_and_without_javascript(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    await settled(ward)
    case = await one_of(ward)
    for scripted in (True, False):
        async with visit(chromium, address, scripted=scripted) as visited:
            await log_in(visited, "ben")
            await visited.go("/teaching")
            await visited.look("teaching")
            await visited.page.locator(f'a[href="/teaching/{case}"]').click()
            said = visited.page.get_by_role("heading", name="What was signed")
            assert not await said.is_visible()
            await visited.look("a case to learn from")
            await visited.page.get_by_text("What the others said", exact=True).click()
            assert await said.is_visible()
            await visited.look("a case to learn from, opened")
