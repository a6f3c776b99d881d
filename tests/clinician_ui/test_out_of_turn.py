"""What a reviewer may not do yet, or not at all, leads to a page that says so and moves nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arbiter.identity.sites import add_site
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.closing import cancel
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Ward, phase

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_case_that_somebody_else_holds_is_a_conflict_page(ward: Ward) -> None:
    case = await ward.case()
    await ward.claimed(case, "anna")
    ben = await ward.logged_in("ben")
    await ben.get("/worklist")
    for answer in (
        await ben.get(f"/cases/{case}"),
        await ben.get(f"/cases/{case}/done"),
        await ben.send(f"/worklist/{case}/claim"),
        await ben.opinion(case),
        await ben.send(f"/cases/{case}/reveal"),
        await ben.sign(case),
        await ben.send(f"/cases/{case}/renew"),
    ):
        assert answer.status_code == 409
        assert "Someone else holds this case" in answer.text
        for secret in ("Anna", SUBJECT, "Respiratory"):
            assert secret not in answer.text
    assert (await ben.send(f"/cases/{case}/hand-back")).headers["location"] == "/worklist"
    assert await phase(ward, case) is Phase.CLAIMED


async def test_nobody_sees_the_panel_before_giving_an_opinion(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case)
    assert (await browser.send(f"/cases/{case}/reveal")).status_code == 409
    assert (await browser.sign(case)).status_code == 409
    assert (await browser.sign(case, option="")).status_code == 409, (
        "a form with a mistake reveals nothing either"
    )
    assert (await browser.send(f"/cases/{case}/sign")).status_code == 409
    assert await phase(ward, case) is Phase.CLAIMED


async def test_a_locked_opinion_shows_no_panel_until_it_is_asked_for(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case)
    await browser.opinion(case)
    for answer in (
        await browser.get(f"/cases/{case}"),
        await browser.sign(case),
        await browser.sign(case, option=""),
    ):
        assert "Churpek" not in answer.text
    assert await phase(ward, case) is Phase.OPINION_COMMITTED


async def test_nothing_is_signed_with_a_wrong_password(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    await browser.opinion(case)
    await browser.send(f"/cases/{case}/reveal")
    answer = await browser.sign(case, reason="kept words", password="wrong wrong wrong")
    assert answer.status_code == 422
    assert "Login or password is wrong" in answer.text
    assert "kept words" in answer.text
    assert "wrong wrong wrong" not in answer.text
    assert await phase(ward, case) is Phase.REVEALED


async def test_somebody_elses_password_does_not_sign(ward: Ward) -> None:
    await ward.person("carol", password="another long password")
    case = await ward.case()
    browser = await ward.claimed(case)
    await browser.opinion(case)
    await browser.send(f"/cases/{case}/reveal")
    assert (await browser.sign(case, password="another long password")).status_code == 422
    assert await phase(ward, case) is Phase.REVEALED


async def test_a_lapsed_claim_opens_nothing(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    ward.clock.advance(timedelta(minutes=16))
    answer = await browser.get(f"/cases/{case}")
    assert answer.status_code in {200, 409}
    assert "Respiratory" not in answer.text
    assert (await browser.opinion(case)).status_code == 409


async def test_a_case_handed_back_can_be_claimed_from_its_own_address(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    assert (await browser.send(f"/cases/{case}/hand-back")).headers["location"] == "/worklist"
    waiting = (await browser.get(f"/cases/{case}")).text
    assert "This case waits for a reviewer" in waiting
    assert SUBJECT not in waiting
    assert (await browser.send(f"/worklist/{case}/claim")).status_code == 303


@pytest.mark.parametrize(
    "path", ["/cases/c_doesnotexist", "/cases/%00", "/cases/'", "/cases/c_x/done", "/cases/a%0d%0ab"]
)
async def test_a_case_that_does_not_exist_is_not_found(ward: Ward, path: str) -> None:
    answer = await (await ward.logged_in()).get(path)
    assert answer.status_code == 404
    assert "Page not found" in answer.text


async def test_another_sites_case_does_not_exist(ward: Ward) -> None:
    await add_site(ward.house.identities, "south", "South Hospital")
    await ward.person("dora", site="south")
    case = await ward.case()
    dora = await ward.logged_in("dora")
    list_page = await dora.get("/worklist")
    assert case not in list_page.text
    assert "Nothing waits for a reviewer at your sites" in list_page.text
    for answer in (
        await dora.get(f"/cases/{case}"),
        await dora.get(f"/cases/{case}/done"),
        await dora.send(f"/worklist/{case}/claim"),
        await dora.opinion(case),
        await dora.sign(case),
    ):
        assert answer.status_code in {404, 409}
        assert SUBJECT not in answer.text
    assert await phase(ward, case) is Phase.ESCALATED


async def test_a_cancelled_case_is_gone_from_under_the_reviewer(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    await cancel(ward.house, ward.client, case, "patient discharged")
    assert (await browser.get(f"/cases/{case}")).status_code == 409
    assert (await browser.opinion(case)).status_code == 409


# --- what somebody wrote into a form that comes too late --------------------------------------------------------------

HOSTILE = "</p><script>alert(1)</script> afraid of the night"
SHOWN = "&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt; afraid of the night"


async def test_an_opinion_that_comes_too_late_gives_its_writer_their_own_words_back_as_text(
    ward: Ward,
) -> None:
    case = await ward.case(SPLIT)
    anna = await ward.claimed(case)
    ward.clock.advance(timedelta(minutes=16))
    answer = await anna.opinion(case, note=HOSTILE)
    assert answer.status_code == 409
    assert SHOWN in answer.text
    assert "<script>alert" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    for path in ("/worklist", f"/cases/{case}"):
        assert "afraid of the night" not in (await anna.get(path)).text, "it is shown once"


async def test_a_signature_that_comes_too_late_gives_its_reason_back_and_no_password(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    anna = await ward.claimed(case)
    await anna.opinion(case)
    await anna.send(f"/cases/{case}/reveal")
    await anna.get(f"/cases/{case}")
    fields = await anna.signature(case) | {"reason": "kept words"}
    ward.clock.advance(timedelta(minutes=16))
    answer = await anna.send(f"/cases/{case}/sign", **fields)
    assert answer.status_code == 409
    assert "kept words" in answer.text
    assert fields["password"] not in answer.text


async def test_words_come_back_only_to_the_page_that_sent_them_and_only_to_whoever_may_see_the_case(
    ward: Ward,
) -> None:
    case = await ward.case(SPLIT)
    anna = await ward.claimed(case)
    ben = await ward.logged_in("ben")
    await ben.get("/worklist")
    await anna.opinion(case, note="what Anna thinks")
    answer = await ben.opinion(case, note="what Ben thinks")
    assert "what Ben thinks" in answer.text
    assert "what Anna thinks" not in answer.text
    forged = {"csrf_token": "A" * 43, "option": "urgent-review", "confidence": "80", "note": "forged words"}
    refused = await ben.send_raw(f"/cases/{case}/opinion", forged)
    assert (refused.status_code, "forged words" in refused.text) == (403, False)
    lost = await ben.opinion(CaseId("c_doesnotexist"), note="lost words")
    assert (lost.status_code, "lost words" in lost.text) == (404, False)
    nobody = await ward.browser().send_raw(f"/cases/{case}/opinion", forged)
    assert "forged words" not in nobody.text
    assert "own-words" not in (await ben.opinion(case, note="  ")).text


async def test_words_longer_than_any_form_takes_come_back_shortened(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    anna = await ward.claimed(case)
    ward.clock.advance(timedelta(minutes=16))
    answer = await anna.opinion(case, note="x" * 60_000)
    assert answer.status_code in {409, 422}
    assert "x" * 4_001 not in answer.text
