"""A reviewer's way through the pages, on the real house: in order, once each, and past no step."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest

from arbiter.identity.sites import add_site
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, RiskClass
from arbiter.workflow.certifying import MEANING
from arbiter.workflow.closing import cancel
from arbiter.workflow.reading import view_case
from tests.clinician_ui.conftest import SUBJECT, Browser, Facts, Ward

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPLIT: Facts = {
    "respiratory_rate": (Decimal(24), "/min"),
    "heart_rate": (Decimal(112), "/min"),
    "age": (Decimal(80), "a"),
}
"""CART (24 breaths: 12, pulse 112: 4, age 80: 9) reaches 25 of the 20 it asks for; NEWS2 (2 + 2) and MEWS stay below 5."""


async def phase(ward: Ward, case: CaseId) -> Phase:
    return (await view_case(ward.house, ward.client, case)).phase


# --- the whole way -------------------------------------------------------------------------------------------------


async def test_a_case_goes_from_the_list_to_a_released_decision(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case)
    answer = await browser.opinion(case, "continue-monitoring")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/cases/{case}")
    locked = await browser.get(f"/cases/{case}")
    assert "Your opinion is locked" in locked.text
    assert (await browser.send(f"/cases/{case}/reveal")).headers["location"] == f"/cases/{case}"

    revealed = unescape((await browser.get(f"/cases/{case}")).text)
    cart, news2 = revealed.index("CART (Churpek 2012)"), revealed.index("NEWS2 (RCP 2017)")
    assert cart < news2, "dissent comes first"
    assert "1 of 3: Urgent review" in revealed
    assert "2 of 3: Continue monitoring" in revealed
    assert "The members disagree with one another" in revealed
    assert "Differs from you" in revealed
    assert "80% sure" in revealed
    assert MEANING in revealed
    assert "Anna" in revealed

    refused = await browser.sign(case, "urgent-review", reason="")
    assert refused.status_code == 422
    assert "Give a reason" in refused.text
    signed = await browser.sign(case, "urgent-review", reason="CART convinces me")
    assert (signed.status_code, signed.headers["location"]) == (303, f"/cases/{case}/done")
    done = unescape((await browser.get(f"/cases/{case}/done")).text)
    assert "Decision released" in done
    assert "Urgent review by a clinician" in done
    assert await phase(ward, case) is Phase.RELEASED


async def test_a_missing_reason_is_named_together_with_a_missing_password(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    await browser.opinion(case, "urgent-review")
    await browser.send(f"/cases/{case}/reveal")
    both = await browser.sign(case, "continue-monitoring", reason=" ", password="")
    assert 'id="reason-error"' in both.text
    assert 'id="password-error"' in both.text
    kept = await browser.sign(case, "urgent-review", reason="", password="")
    assert 'id="reason-error"' not in kept.text


async def test_keeping_ones_opinion_needs_no_reason(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    await browser.opinion(case, "urgent-review")
    await browser.send(f"/cases/{case}/reveal")
    assert (await browser.sign(case, "urgent-review", reason="")).status_code == 303


async def test_a_panel_that_was_not_asked_is_not_shown_as_undecided(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    await browser.opinion(case)
    await browser.send(f"/cases/{case}/reveal")
    revealed = (await browser.get(f"/cases/{case}")).text
    assert "Was not asked" in revealed
    assert "No common answer" not in revealed


async def test_in_an_emergency_the_panel_may_be_seen_first_and_the_page_says_so(ward: Ward) -> None:
    case = await ward.case({"consciousness": ("pain", None)}, RiskClass.EMERGENCY)
    browser = await ward.claimed(case)
    assert "Show the panel first" in (await browser.get(f"/cases/{case}")).text
    assert (await browser.send(f"/cases/{case}/reveal")).status_code == 303
    revealed = (await browser.get(f"/cases/{case}")).text
    assert "Policy let you see the panel first" in revealed
    assert (await browser.sign(case, reason="")).status_code == 422
    assert (await browser.sign(case, reason="unresponsive")).status_code == 303


# --- the list ------------------------------------------------------------------------------------------------------


async def test_the_list_shows_no_patient_and_no_reason(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    page = (await (await ward.logged_in()).get("/work")).text
    assert case in page
    for secret in (SUBJECT, "visit-1", "disagree", "treatment", "NEWS2", "escalat", "per minute", "mmHg"):
        assert secret not in page.replace(case, ""), secret


async def test_a_claimed_case_leaves_the_others_lists_but_for_its_number(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    mine, others = (await anna.get("/work")).text, (await (await ward.logged_in("ben")).get("/work")).text
    assert f'href="/cases/{case}"' in mine
    assert case not in others
    assert "with colleagues" in others


async def test_the_refreshed_list_is_the_list_alone(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.logged_in()
    part = await browser.get("/work/list", HX_Request="true")
    assert case in part.text
    assert "<html" not in part.text
    assert (await browser.send(f"/work/{case}/claim")).status_code == 303


# --- out of turn ---------------------------------------------------------------------------------------------------


async def test_a_case_that_somebody_else_holds_is_a_conflict_page(ward: Ward) -> None:
    case = await ward.case()
    await ward.claimed(case, "anna")
    ben = await ward.logged_in("ben")
    await ben.get("/work")
    for answer in (
        await ben.get(f"/cases/{case}"),
        await ben.get(f"/cases/{case}/done"),
        await ben.send(f"/work/{case}/claim"),
        await ben.opinion(case),
        await ben.send(f"/cases/{case}/reveal"),
        await ben.sign(case),
        await ben.send(f"/cases/{case}/renew"),
    ):
        assert answer.status_code == 409
        assert "Someone else holds this case" in answer.text
        for secret in ("Anna", SUBJECT, "Respiratory"):
            assert secret not in answer.text
    assert (await ben.send(f"/cases/{case}/hand-back")).headers["location"] == "/work"
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
    assert "The password is wrong" in answer.text
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
    assert (await browser.send(f"/cases/{case}/hand-back")).headers["location"] == "/work"
    waiting = (await browser.get(f"/cases/{case}")).text
    assert "This case waits for a reviewer" in waiting
    assert SUBJECT not in waiting
    assert (await browser.send(f"/work/{case}/claim")).status_code == 303


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
    list_page = await dora.get("/work")
    assert case not in list_page.text
    assert "Nothing waits for a reviewer at your sites" in list_page.text
    for answer in (
        await dora.get(f"/cases/{case}"),
        await dora.get(f"/cases/{case}/done"),
        await dora.send(f"/work/{case}/claim"),
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


# --- twice ---------------------------------------------------------------------------------------------------------


async def test_every_form_sent_twice_does_what_it_does_once(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.logged_in()
    await browser.get("/work")
    for _ in range(2):
        assert (await browser.send(f"/work/{case}/claim")).headers["location"] == f"/cases/{case}"
    for _ in range(2):
        assert (await browser.opinion(case, "urgent-review")).headers["location"] == f"/cases/{case}"
    for _ in range(2):
        assert (await browser.send(f"/cases/{case}/reveal")).headers["location"] == f"/cases/{case}"
    revealed = (await browser.get(f"/cases/{case}")).text
    own = revealed[revealed.index("Your opinion, before the panel") :][:400]
    assert "Urgent review" in own, "the first opinion stands"
    assert (await browser.opinion(case, "urgent-review")).headers["location"] == f"/cases/{case}"
    for option in ("urgent-review", "continue-monitoring"):
        assert (await browser.sign(case, option, reason="r")).headers["location"] == f"/cases/{case}/done"
    done = (await browser.get(f"/cases/{case}/done")).text
    assert "Urgent review by a clinician" in done, "the first signature stands"
    assert (await browser.get(f"/cases/{case}")).headers["location"] == f"/cases/{case}/done"
    for _ in range(2):
        assert (await browser.send(f"/cases/{case}/hand-back")).headers["location"] == "/work"
    assert await phase(ward, case) is Phase.RELEASED


UNCHANGED = "Your opinion was locked already; it is unchanged"


@pytest.mark.parametrize(
    "change",
    [
        {"option": "continue-monitoring"},
        {"confidence": "81"},
        {"note": "as I see it now"},
        {"rests_on": ("spo2",)},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_another_opinion_after_the_lock_is_said_to_be_dropped(
    ward: Ward, change: dict[str, str | tuple[str, ...]]
) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    sent = {"option": "urgent-review", "confidence": "80", "note": "as I see it"} | change
    assert (await browser.opinion(case)).headers["location"] == f"/cases/{case}"
    for _ in range(2):
        answer = await browser.send(f"/cases/{case}/opinion", **sent)
        assert answer.headers["location"] == f"/cases/{case}?opinion=unchanged"
        assert UNCHANGED in (await browser.get(answer.headers["location"])).text
        assert UNCHANGED not in (await browser.get(f"/cases/{case}")).text
        if await phase(ward, case) is Phase.OPINION_COMMITTED:
            await browser.send(f"/cases/{case}/reveal")
    revealed = (await browser.get(f"/cases/{case}")).text
    own = revealed[revealed.index("Your opinion, before the panel") :][:600]
    assert "Urgent review" in own
    assert "80% sure" in own


async def test_before_there_is_an_opinion_no_address_says_that_one_is_locked(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    assert "unchanged" not in (await browser.get(f"/cases/{case}?opinion=unchanged")).text
    await browser.send(f"/cases/{case}/hand-back")
    assert "unchanged" not in (await browser.get(f"/cases/{case}?opinion=unchanged")).text


async def test_somebody_elses_second_opinion_is_a_conflict_and_not_compared(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    await anna.opinion(case)
    ben = await ward.logged_in("ben")
    await ben.get("/work")
    for option in ("urgent-review", "continue-monitoring"):
        assert (await ben.opinion(case, option)).status_code == 409


# --- practice ------------------------------------------------------------------------------------------------------

TRAINING = "For practice: it decides nothing about anybody"


async def test_a_training_case_is_marked_on_every_page_about_it(ward: Ward) -> None:
    case = await ward.case(SPLIT, training=True)
    real = await ward.case(SPLIT)
    browser = await ward.logged_in()
    marks = {path: (await browser.get(path)).text for path in ("/work", "/work/print")}
    assert all(text.count("Training") == 1 for text in marks.values())
    assert TRAINING in (await browser.get(f"/cases/{case}")).text
    assert TRAINING not in (await browser.get(f"/cases/{real}")).text
    await browser.send(f"/work/{case}/claim")
    assert TRAINING in (await browser.get(f"/cases/{case}")).text
    assert TRAINING in (await browser.opinion(case, confidence="wrong")).text
    await browser.opinion(case)
    assert TRAINING in (await browser.get(f"/cases/{case}")).text
    await browser.send(f"/cases/{case}/reveal")
    assert TRAINING in (await browser.get(f"/cases/{case}")).text
    assert TRAINING in (await browser.sign(case, password="")).text
    await browser.sign(case)
    done = (await browser.get(f"/cases/{case}/done")).text
    assert "Decision released" in done
    assert TRAINING in done


async def test_a_training_case_is_marked_while_its_seal_is_awaited(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unsealed(*_args: object) -> None:
        return None

    case = await ward.case(training=True)
    browser = await ward.claimed(case)
    monkeypatch.setattr("clinician_ui.case_pages.review.signed_case", unsealed)
    monkeypatch.setattr("clinician_ui.case_pages.SEAL_WAIT_SECONDS", 0.0)
    waiting = (await browser.get(f"/cases/{case}/done")).text
    assert "the log is being sealed" in waiting
    assert TRAINING in waiting


# --- forms ---------------------------------------------------------------------------------------------------------


async def test_a_form_with_mistakes_comes_back_with_what_was_typed(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    answer = await browser.opinion(case, "urgent-review", confidence="very", note='<b>"typed"</b>')
    assert answer.status_code == 422
    assert "<title>Error: Your opinion" in answer.text
    assert 'href="#confidence"' in answer.text
    assert 'id="confidence-error"' in answer.text
    assert 'value="very"' in answer.text
    assert "&lt;b&gt;&#34;typed&#34;&lt;/b&gt;" in answer.text
    assert 'value="urgent-review" checked' in answer.text
    assert await phase(ward, case) is Phase.CLAIMED


async def test_holding_a_case_for_longer_keeps_what_was_typed(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    ward.clock.advance(timedelta(minutes=12))
    before = (await browser.get(f"/cases/{case}")).text
    assert "arbiter-claim--ending" in before
    answer = await browser.send(
        f"/cases/{case}/renew",
        option="continue-monitoring",
        confidence="5x",
        rests_on=("spo2",),
        note="half a thou",
    )
    assert answer.status_code == 200
    assert "arbiter-claim--ending" not in answer.text
    for kept in ('value="continue-monitoring" checked', 'value="5x"', 'value="spo2" checked', "half a thou"):
        assert kept in answer.text


@pytest.mark.parametrize(
    "fields",
    [
        {"option": "discharge"},
        {"rests_on": ("spo2", "star_sign")},
        {"option": ("urgent-review", "continue-monitoring")},
        {"decided_by": "panel"},
    ],
    ids=["unknown option", "unknown fact", "two options", "unknown field"],
)
async def test_a_form_that_no_page_sent_is_refused_whole(ward: Ward, fields: dict[str, str]) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    sent = {"csrf_token": browser.token, "option": "urgent-review", "confidence": "1", "note": "n"} | fields
    assert (await browser.send_raw(f"/cases/{case}/opinion", sent)).status_code == 400
    assert await phase(ward, case) is Phase.CLAIMED


async def test_a_signature_for_an_option_nobody_offered_is_refused(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    await browser.opinion(case)
    await browser.send(f"/cases/{case}/reveal")
    assert (await browser.sign(case, "discharge", reason="r")).status_code == 400
    assert await phase(ward, case) is Phase.REVEALED


@pytest.mark.parametrize("body", [b"{}", b"a=" + b"x" * 70_000, b"csrf_token=%ff"])
async def test_an_unreadable_form_is_refused(ward: Ward, body: bytes) -> None:
    browser: Browser = await ward.logged_in()
    kind = "application/json" if body == b"{}" else "application/x-www-form-urlencoded"
    answer = await browser.http.post("/cases/c_x/opinion", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "could not be read" in answer.text


# --- when the house fails ------------------------------------------------------------------------------------------


async def test_a_failure_is_a_calm_page_without_details(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_args: object) -> None:
        raise RuntimeError(f"the secret {SUBJECT}")

    browser = await ward.logged_in()
    monkeypatch.setattr("clinician_ui.work_pages.review.work_list", broken)
    answer = await browser.get("/work")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "RuntimeError" not in answer.text
    assert SUBJECT not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
