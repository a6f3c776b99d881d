"""A reviewer's way through the pages, on the real house: from the list to a released decision, real or for practice."""

from __future__ import annotations

from html import unescape

import pytest

from arbiter.lifecycle.states import Phase
from arbiter.model import RiskClass
from arbiter.workflow.certifying import MEANING
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Ward, phase

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
    page = (await (await ward.logged_in()).get("/worklist")).text
    assert case in page
    for secret in (SUBJECT, "visit-1", "disagree", "treatment", "NEWS2", "escalat", "per minute", "mmHg"):
        assert secret not in page.replace(case, ""), secret


async def test_a_claimed_case_leaves_the_others_lists_but_for_its_number(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    mine, others = (
        (await anna.get("/worklist")).text,
        (await (await ward.logged_in("ben")).get("/worklist")).text,
    )
    assert f'href="/cases/{case}"' in mine
    assert case not in others
    assert "with colleagues" in others


async def test_the_refreshed_list_is_the_list_alone(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.logged_in()
    part = await browser.get("/worklist/list", HX_Request="true")
    assert case in part.text
    assert "<html" not in part.text
    assert (await browser.send(f"/worklist/{case}/claim")).status_code == 303


# --- practice ------------------------------------------------------------------------------------------------------

TRAINING = "For practice: it decides nothing about anybody"


async def test_a_training_case_is_marked_on_every_page_about_it(ward: Ward) -> None:
    case = await ward.case(SPLIT, training=True)
    real = await ward.case(SPLIT)
    browser = await ward.logged_in()
    marks = {path: (await browser.get(path)).text for path in ("/worklist", "/worklist/print")}
    assert all(text.count("Training") == 1 for text in marks.values())
    assert TRAINING in (await browser.get(f"/cases/{case}")).text
    assert TRAINING not in (await browser.get(f"/cases/{real}")).text
    await browser.send(f"/worklist/{case}/claim")
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
    monkeypatch.setattr("clinician_ui.routes.signing.review.signed_case", unsealed)
    waiting = await browser.http.get(f"/cases/{case}/done")
    assert "the log is being sealed" in waiting.text
    assert waiting.headers["refresh"] == f"1; url=/cases/{case}/done?again=2"
    assert TRAINING in waiting.text


@pytest.mark.parametrize(
    ("query", "refresh"),
    [
        ("again=2", "2; url={done}?again=4"),
        ("again=32", "32; url={done}?again=32"),
        ("again=2&signed=before", "2; url={done}?again=4&signed=before"),
        ("again=0", "1; url={done}?again=2"),
        ("again=-1&signed=https://evil.example/", "1; url={done}?again=2"),
        ("again=2%0d%0aSet-Cookie:x", "1; url={done}?again=2"),
    ],
)
async def test_a_page_that_awaits_its_seal_asks_ever_more_seldom_and_for_itself_alone(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, query: str, refresh: str
) -> None:
    async def unsealed(*_args: object) -> None:
        return None

    case = await ward.case()
    browser = await ward.claimed(case)
    monkeypatch.setattr("clinician_ui.routes.signing.review.signed_case", unsealed)
    answer = await browser.http.get(f"/cases/{case}/done?{query}")
    assert answer.headers["refresh"] == refresh.format(done=f"/cases/{case}/done")
    assert "set-cookie" not in answer.headers
