"""The page to break the glass: for those who hold both rights, for a reason, to one case; and then as blind as at home."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
import pytest_asyncio

from arbiter.audit.entry import Entry
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.store.log.chains import load_entries
from arbiter.workflow.closing import cancel
from arbiter.workflow.reading import view_case
from tests.clinician_ui.conftest import SUBJECT, Browser, Ward
from tests.clinician_ui.test_blindness import FORBIDDEN, members, received

pytestmark = pytest.mark.asyncio(loop_scope="module")

REASON = "brought to us unconscious"
EMERGENCY = frozenset({Role.EMERGENCY_ACCESS})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def away(ward: Ward) -> Ward:
    """The ward with people of another site: Dora may break the glass, Emil may not."""
    await add_site(ward.house.identities, "south", "South Hospital")
    await ward.person("dora", site="south", also=EMERGENCY)
    await ward.person("emil", site="south")
    return ward


async def at_the_glass(ward: Ward, login: str = "dora") -> Browser:
    browser = await ward.logged_in(login)
    assert (await browser.get("/glass")).status_code == 200
    return browser


async def entries(ward: Ward, case: CaseId) -> list[Entry]:
    async with ward.house.store.read() as transaction:
        return [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, case)]


# --- what it opens -------------------------------------------------------------------------------------------------


async def test_through_the_glass_a_case_goes_the_ordinary_blind_way_to_its_decision(away: Ward) -> None:
    case = await away.case()
    dora = await at_the_glass(away)
    broken = await dora.send("/glass", case=f" {case} ", reason=REASON)
    assert (broken.status_code, broken.headers["location"]) == (303, f"/cases/{case}")
    glass = (await entries(away, case))[-1]
    assert (glass.type, glass.actor) == ("glass.broken", away.people["dora"].id)
    waits = await dora.get(f"/cases/{case}")
    assert "This case waits for a reviewer" in waits.text
    assert SUBJECT not in waits.text
    for _ in range(2):
        assert (await dora.send(f"/worklist/{case}/claim")).headers["location"] == f"/cases/{case}"
    blind = await dora.get(f"/cases/{case}")
    assert SUBJECT in blind.text
    text = received(blind, away)
    assert not [word for word in (*FORBIDDEN, *members(away)) if f" {word}" in text]
    assert (await dora.send(f"/cases/{case}/reveal")).status_code == 409
    await dora.opinion(case)
    await dora.send(f"/cases/{case}/reveal")
    assert "Why this case came to you" in (await dora.get(f"/cases/{case}")).text
    assert (await dora.sign(case)).headers["location"] == f"/cases/{case}/done"
    assert "Decision released" in (await dora.get(f"/cases/{case}/done")).text


async def test_no_list_shows_a_foreign_case_even_once_it_is_open_and_claimed(away: Ward) -> None:
    case = await away.case()
    dora = await at_the_glass(away)
    for step in ("/glass", f"/worklist/{case}/claim"):
        await dora.send(step, **({"case": case, "reason": REASON} if step == "/glass" else {}))
        for path in ("/worklist", "/worklist/list", "/worklist/print"):
            page = await dora.get(path)
            assert page.status_code == 200
            assert case not in page.text
        await dora.get("/glass")
    assert (await dora.get(f"/cases/{case}")).status_code == 200


async def test_a_case_held_through_the_glass_is_handed_back_and_to_nobody_who_may_not_see_it(
    away: Ward,
) -> None:
    case = await away.case()
    dora = await at_the_glass(away)
    await dora.send("/glass", case=case, reason=REASON)
    await dora.send(f"/worklist/{case}/claim")
    for path in ("/duty/handover", "/duty/handover/print"):
        assert case in (await dora.get(path)).text, "whoever holds it finds it at the end of the shift"
    await dora.get("/duty/handover")
    note = {f"note-{case}": "call theatre"}
    refused = await dora.send("/duty/handover", case=(case,), to="emil", **note)
    assert (refused.status_code, "does not work at the site" in refused.text) == (422, True)
    assert (await entries(away, case))[-1].type != "claim.ended"
    assert (
        (await dora.send("/duty/handover", case=(case,), to="", **note)).headers["location"].endswith("?done")
    )
    ended = (await entries(away, case))[-1]
    assert (ended.type, ended.actor) == ("claim.ended", away.people["dora"].id)
    assert case not in (await dora.get("/duty/handover")).text


async def test_the_glass_closes_after_an_hour_and_opens_to_one_person_and_one_case(away: Ward) -> None:
    case, other = await away.case(), await away.case()
    dora = await at_the_glass(away)
    await dora.send("/glass", case=case, reason=REASON)
    assert (await dora.get(f"/cases/{case}")).status_code == 200
    assert (await dora.get(f"/cases/{other}")).status_code == 404
    assert (await (await away.logged_in("emil")).get(f"/cases/{case}")).status_code == 404
    away.clock.advance(timedelta(hours=1))
    try:
        assert (await (await away.logged_in("dora")).get(f"/cases/{case}")).status_code == 404
    finally:
        away.clock.advance(-timedelta(hours=1))


async def test_the_page_says_what_it_does_before_it_is_done(away: Ward) -> None:
    page = unescape((await (await away.logged_in("dora")).get("/glass")).text).replace("\u00a0", " ")
    assert "to you alone, for 1 hour" in page
    assert "Your name, the time and your reason are written to the audit log" in page


# --- who may -------------------------------------------------------------------------------------------------------


async def test_only_who_may_break_the_glass_is_led_to_it(away: Ward) -> None:
    for login, shown in (("dora", True), ("emil", False), ("anna", False)):
        page = await (await away.logged_in(login)).get("/worklist")
        assert ('href="/glass"' in page.text) is shown, login


@pytest.mark.parametrize(
    ("login", "role", "also"),
    [
        ("glass-alone", Role.EMERGENCY_ACCESS, frozenset()),
        ("glass-auditor", Role.AUDITOR, EMERGENCY),
        ("glass-author", Role.POLICY_AUTHOR, EMERGENCY),
        ("glass-reviewer", Role.REVIEWER, frozenset()),
        ("glass-administrator", Role.ADMINISTRATOR, frozenset()),
    ],
)
async def test_whoever_lacks_one_of_the_two_rights_is_refused(
    away: Ward, login: str, role: Role, also: frozenset[Role]
) -> None:
    await away.person(login, role, "south", also=also)
    case = await away.case()
    before = len(await entries(away, case))
    browser = await away.logged_in(login)
    refused = await browser.get("/glass")
    assert (refused.status_code, "You may not do this" in refused.text) == (403, True)
    assert browser.token, "the form below is refused for want of the right, not of a token"
    sent = await browser.send("/glass", case=case, reason=REASON)
    assert sent.status_code == 403
    assert case not in sent.text
    assert len(await entries(away, case)) == before


async def test_a_senior_arbiter_with_emergency_access_may(away: Ward) -> None:
    await away.person("greta", Role.SENIOR_ARBITER, "south", also=EMERGENCY)
    case = await away.case()
    greta = await at_the_glass(away, "greta")
    assert (await greta.send("/glass", case=case, reason=REASON)).status_code == 303


@pytest.mark.parametrize("token", ["", "A" * 43])
async def test_without_the_sessions_token_the_glass_holds(away: Ward, token: str) -> None:
    case = await away.case()
    dora = await at_the_glass(away)
    dora.token = token
    assert (await dora.send("/glass", case=case, reason=REASON)).status_code == 403
    assert (await dora.get(f"/cases/{case}")).status_code == 404


# --- refusals, each with its advice ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({"case": "", "reason": REASON}, "Enter the id of the case"),
        ({"case": " ", "reason": REASON}, "Enter the id of the case"),
        ({"case": "c_nobody", "reason": REASON}, "There is no case with this id"),
        ({"case": "../work", "reason": REASON}, "There is no case with this id"),
        ({"case": "c_" + "a" * 100, "reason": REASON}, "There is no case with this id"),
        ({"case": "c_nobody", "reason": ""}, "Give the reason"),
        ({"case": "c_nobody", "reason": " \r\n "}, "Give the reason"),
        ({"case": "c_nobody", "reason": "x" * 2001}, "Use 2,000 characters or fewer"),
        ({"case": "c_nobody", "reason": "\x00"}, "Remove characters that cannot be read"),
        ({"case": "x" * 201, "reason": REASON}, "Use fewer characters"),
    ],
)
async def test_a_form_that_cannot_be_followed_comes_back_with_advice(
    away: Ward, fields: dict[str, str], advice: str
) -> None:
    dora = await at_the_glass(away)
    answer = await dora.send("/glass", **fields)
    assert answer.status_code == 422
    page = unescape(answer.text)
    assert "<title>Error: Break the glass" in page
    assert advice in page


async def test_what_was_typed_comes_back_as_text(away: Ward) -> None:
    dora = await at_the_glass(away)
    page = (await dora.send("/glass", case='"><script>', reason="<b>why</b>")).text
    assert "&#34;&gt;&lt;script&gt;" in page
    assert "&lt;b&gt;why&lt;/b&gt;" in page
    assert "<script>" not in page


@pytest.mark.parametrize(
    "fields",
    [{"case": ("c_a", "c_b")}, {"until": "forever"}, {"site": "north"}],
    ids=["two cases", "an unknown field", "a site"],
)
async def test_a_form_that_no_page_sent_is_refused_whole(
    away: Ward, fields: dict[str, str | tuple[str, ...]]
) -> None:
    dora = await at_the_glass(away)
    sent = {"csrf_token": dora.token, "case": "c_a", "reason": REASON} | fields
    assert (await dora.send_raw("/glass", sent)).status_code == 400


async def test_without_a_reason_nothing_is_opened_or_written(away: Ward) -> None:
    case = await away.case()
    before = len(await entries(away, case))
    dora = await at_the_glass(away)
    assert (await dora.send("/glass", case=case, reason="")).status_code == 422
    assert len(await entries(away, case)) == before
    assert (await dora.get(f"/cases/{case}")).status_code == 404


async def test_ones_own_site_has_no_glass(away: Ward) -> None:
    await away.person("hugo", also=EMERGENCY)
    case = await away.case()
    before = len(await entries(away, case))
    hugo = await at_the_glass(away, "hugo")
    answer = await hugo.send("/glass", case=case, reason=REASON)
    assert answer.status_code == 422
    assert "at one of your own sites" in answer.text
    assert len(await entries(away, case)) == before


async def test_a_case_that_is_not_with_the_clinicians_says_so_once_it_is_open(away: Ward) -> None:
    case = await away.case()
    await cancel(away.house, away.client, case, "patient discharged")
    assert (await view_case(away.house, away.client, case)).phase is Phase.CANCELLED
    dora = await at_the_glass(away)
    answer = await dora.send("/glass", case=case, reason=REASON)
    assert answer.status_code == 409
    assert "nothing waits for a reviewer in this case" in answer.text
    assert SUBJECT not in answer.text
    assert (await entries(away, case))[-1].type == "glass.broken"


async def test_a_foreign_case_that_a_colleague_holds_stays_the_colleagues(away: Ward) -> None:
    case = await away.case()
    await away.claimed(case, "anna")
    dora = await at_the_glass(away)
    assert (await dora.send("/glass", case=case, reason=REASON)).status_code == 303
    for answer in (await dora.get(f"/cases/{case}"), await dora.send(f"/worklist/{case}/claim")):
        assert answer.status_code == 409
        for secret in (SUBJECT, "Anna", "Respiratory"):
            assert secret not in answer.text


async def test_a_link_breaks_nothing(away: Ward) -> None:
    case = await away.case()
    dora = await at_the_glass(away)
    assert (await dora.get(f"/glass?case={case}&reason=because")).status_code == 200
    assert (await dora.get(f"/cases/{case}")).status_code == 404
