"""A reviewer's forms on the real house: mistakes come back with what was typed, what no page sent is refused, failures are calm."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arbiter.lifecycle.states import Phase
from tests.clinician_ui.conftest import SUBJECT, Browser, Ward, phase

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


@pytest.mark.parametrize("note", ["x" * 70_000, "\N{LATIN CAPITAL LETTER U WITH DIAERESIS}" * 12_000])
async def test_a_note_that_is_far_too_long_comes_back_with_what_to_do(ward: Ward, note: str) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    answer = await browser.opinion(case, note=note)
    assert answer.status_code == 422
    assert "Use 2,000 characters or fewer" in answer.text
    assert note[:1_000] in answer.text


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


@pytest.mark.parametrize("body", [b"{}", b"a=" + b"x" * 300_000, b"csrf_token=%ff"])
async def test_an_unreadable_form_is_refused(ward: Ward, body: bytes) -> None:
    browser: Browser = await ward.logged_in()
    kind = "application/json" if body == b"{}" else "application/x-www-form-urlencoded"
    answer = await browser.http.post("/cases/c_x/opinion", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "could not be read" in answer.text


# --- when the house fails ------------------------------------------------------------------------------------------


async def test_a_failure_is_a_calm_page_without_details(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_args: object, **_named: object) -> None:
        raise RuntimeError(f"the secret {SUBJECT}")

    browser = await ward.logged_in()
    monkeypatch.setattr("clinician_ui.routes.work.work_list.look", broken)
    answer = await browser.get("/worklist")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "RuntimeError" not in answer.text
    assert SUBJECT not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
