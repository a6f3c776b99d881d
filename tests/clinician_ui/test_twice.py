"""Every form sent twice does what it does once, and whoever sent something else the second time is told that it is dropped."""

from __future__ import annotations

import pytest

from arbiter.lifecycle.states import Phase
from tests.clinician_ui.conftest import Ward, phase

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_form_sent_twice_does_what_it_does_once(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.logged_in()
    await browser.get("/worklist")
    for _ in range(2):
        assert (await browser.send(f"/worklist/{case}/claim")).headers["location"] == f"/cases/{case}"
    for _ in range(2):
        assert (await browser.opinion(case, "urgent-review")).headers["location"] == f"/cases/{case}"
    for _ in range(2):
        assert (await browser.send(f"/cases/{case}/reveal")).headers["location"] == f"/cases/{case}"
    revealed = (await browser.get(f"/cases/{case}")).text
    own = revealed[revealed.index("Your opinion, before the panel") :][:400]
    assert "Urgent review" in own, "the first opinion stands"
    assert (await browser.opinion(case, "urgent-review")).headers["location"] == f"/cases/{case}"
    signed = await browser.sign(case, "urgent-review", reason="r")
    assert signed.headers["location"] == f"/cases/{case}/done"
    for option in ("urgent-review", "continue-monitoring"):
        again = await browser.sign(case, option, reason="r")
        assert again.headers["location"] == f"/cases/{case}/done?signed=before"
    told = (await browser.get(again.headers["location"])).text
    done = (await browser.get(f"/cases/{case}/done")).text
    assert ("signed this case already" in told, "signed this case already" in done) == (True, False)
    assert "Urgent review by a clinician" in done, "the first signature stands"
    assert (await browser.get(f"/cases/{case}")).headers["location"] == f"/cases/{case}/done"
    for _ in range(2):
        assert (await browser.send(f"/cases/{case}/hand-back")).headers["location"] == "/worklist"
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
    await ben.get("/worklist")
    for option in ("urgent-review", "continue-monitoring"):
        assert (await ben.opinion(case, option)).status_code == 409
