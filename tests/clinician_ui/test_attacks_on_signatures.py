"""Attacks on a signature: of a colleague's case, past a lease, about another page, with a passkey's answer to something else."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import httpx
import pytest
import pytest_asyncio

from arbiter.documents.signing import ASKED_FOR
from arbiter.identity.roles import Role
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.review import LEASE
from tests.clinician_ui.conftest import SPLIT, Browser, Ward, phase
from tests.houses import PASSWORD, types_of
from tests.passkeys import SoftPasskey

pytestmark = pytest.mark.asyncio(loop_scope="module")

URGENT: Final = "urgent-review"
KEYS: Final = {"anna": SoftPasskey(), "ben": SoftPasskey()}
Fields = dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def passkeys(ward: Ward) -> None:
    await ward.person("clara", Role.SENIOR_ARBITER)
    for login, key in KEYS.items():
        browser = await ward.logged_in(login)
        await browser.get("/account")
        asked = await browser.send("/account/passkeys/ask", name="key", password=PASSWORD)
        made = key.make(json.dumps(asked.json()["options"]))
        assert (await browser.send("/account/passkeys", name="key", passkey=made)).status_code == 303


async def to_sign(ward: Ward, login: str = "anna", case: CaseId | None = None) -> tuple[Browser, CaseId]:
    """A browser in front of a form that signs what it shows."""
    case = await ward.case(SPLIT) if case is None else case
    browser = await ward.claimed(case, login)
    await browser.opinion(case, URGENT)
    await browser.send(f"/cases/{case}/reveal")
    await browser.get(f"/cases/{case}")
    return browser, case


async def post(browser: Browser, case: CaseId, fields: Fields) -> httpx.Response:
    return await browser.send(f"/cases/{case}/sign", **fields)


async def is_signed(ward: Ward, case: CaseId) -> bool:
    return EntryType.SIGNED in await types_of(ward.house, case)


# --- somebody else's, and too late -----------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["ben", "clara"])
async def test_what_a_colleague_is_shown_is_signed_by_nobody_else(ward: Ward, login: str) -> None:
    anna, case = await to_sign(ward)
    seen_over_the_shoulder = await anna.signature(case)
    other = await ward.logged_in(login)
    await other.get("/worklist")
    for who in (login, "anna"):
        # With the own password, and with the one that Anna typed.
        answer = await post(other, case, seen_over_the_shoulder | {"login": who})
        assert answer.status_code in {409, 422}
        assert "CART" not in answer.text
    passkey = await other.send(f"/cases/{case}/sign/passkey", **seen_over_the_shoulder)
    assert (passkey.status_code, set(passkey.json())) == (422, {"message"})
    assert await phase(ward, case) is Phase.REVEALED
    assert not await is_signed(ward, case)


async def test_past_the_lease_nothing_is_signed_though_nobody_has_ended_it_yet(ward: Ward) -> None:
    anna, case = await to_sign(ward)
    fields = await anna.signature(case)
    ward.clock.advance(LEASE)
    assert (await post(anna, case, fields)).status_code == 409
    assert (await anna.send(f"/cases/{case}/renew")).status_code == 409
    while await expire_due(ward.house):
        continue
    assert (await post(anna, case, fields)).status_code == 409
    assert not await is_signed(ward, case)


async def test_what_was_shown_before_a_lease_ran_out_is_not_signed_under_a_colleagues(ward: Ward) -> None:
    anna, case = await to_sign(ward)
    fields = await anna.signature(case)
    ward.clock.advance(LEASE)
    while await expire_due(ward.house):
        continue
    await to_sign(ward, "ben", case)
    assert (await post(anna, case, fields)).status_code == 409
    forms: dict[str, Fields] = {
        "refer": {"reason": "x"},
        "defer": {"reason": "x", "wait": "5"},
        "ask-facts": {"facts": "lactate"},
        "conflict": {"reason": "x"},
        "attendance": {"attendees": "clara"},
        "correct": {"reason": "x"},
        "draft": {"step": "sign", "reason": "x"},
        "renew": {},
        "reveal": {},
        "opinion": {"option": "continue-monitoring", "confidence": "5", "note": "x"},
    }
    for path, sent in forms.items():
        assert (await anna.send(f"/cases/{case}/{path}", **sent)).status_code in {403, 409}, path
    assert await phase(ward, case) is Phase.REVEALED
    assert not await is_signed(ward, case)


# --- about another page ----------------------------------------------------------------------------------------------


async def test_the_hash_of_another_page_signs_nothing(ward: Ward) -> None:
    anna, case = await to_sign(ward)
    fields = await anna.signature(case)
    other, elsewhere = await to_sign(ward)
    await anna.send(f"/cases/{case}/hand-back")
    ben, _ = await to_sign(ward, "ben", case)
    for shown in (
        fields["shown"],
        (await other.signature(elsewhere))["shown"],
        fields["shown"].upper(),
        fields["shown"][:-1],
        "0" * 64,
        "",
    ):
        answer = await post(ben, case, await ben.signature(case) | {"shown": shown})
        assert answer.status_code == 422, shown
    assert not await is_signed(ward, case)


# --- a passkey's answer to something else ----------------------------------------------------------------------------


async def answered(browser: Browser, case: CaseId, login: str = "anna", **changes: str) -> str:
    """What a passkey says to a decision that its owner was asked about."""
    fields = await browser.signature(case) | changes
    asked = await browser.send(f"/cases/{case}/sign/passkey", **fields)
    assert asked.status_code == 200
    return KEYS[login].sign(json.dumps(asked.json()["options"]))


async def of_another_case(ward: Ward, _anna: Browser, _case: CaseId) -> str:
    browser, case = await to_sign(ward)
    return await answered(browser, case)


async def for_another_option(_ward: Ward, anna: Browser, case: CaseId) -> str:
    return await answered(anna, case, option="continue-monitoring", reason="another")


async def for_another_reason(_ward: Ward, anna: Browser, case: CaseId) -> str:
    return await answered(anna, case, reason="another")


async def of_a_colleague(ward: Ward, _anna: Browser, _case: CaseId) -> str:
    ben, elsewhere = await to_sign(ward, "ben")
    return await answered(ben, elsewhere, "ben")


async def by_a_colleagues_key(_ward: Ward, anna: Browser, case: CaseId) -> str:
    asked = await anna.send(f"/cases/{case}/sign/passkey", **await anna.signature(case))
    return KEYS["ben"].sign(json.dumps(asked.json()["options"]))


async def too_late(ward: Ward, anna: Browser, case: CaseId) -> str:
    answer = await answered(anna, case)
    ward.clock.advance(ASKED_FOR)
    return answer


async def of_before_the_page_changed(ward: Ward, anna: Browser, case: CaseId) -> str:
    answer = await answered(anna, case)
    await anna.send(f"/cases/{case}/hand-back")
    ben = await ward.claimed(case, "ben")
    await ben.get("/duty/handover")
    await ben.send("/duty/handover", case=case, **{f"note-{case}": "sign it, never mind"})
    assert (await anna.send(f"/worklist/{case}/claim")).status_code == 303
    await anna.get(f"/cases/{case}")
    return answer


async def from_another_address(_ward: Ward, anna: Browser, case: CaseId) -> str:
    asked = await anna.send(f"/cases/{case}/sign/passkey", **await anna.signature(case))
    return KEYS["anna"].sign(json.dumps(asked.json()["options"]), origin="http://evil.example:8400")


async def without_the_users_pin(_ward: Ward, anna: Browser, case: CaseId) -> str:
    asked = await anna.send(f"/cases/{case}/sign/passkey", **await anna.signature(case))
    return KEYS["anna"].sign(json.dumps(asked.json()["options"]), flags=1)


LIES: Final[tuple[Callable[[Ward, Browser, CaseId], Awaitable[str]], ...]] = (
    of_another_case,
    for_another_option,
    for_another_reason,
    of_a_colleague,
    by_a_colleagues_key,
    too_late,
    of_before_the_page_changed,
    from_another_address,
    without_the_users_pin,
)


@pytest.mark.parametrize("lie", LIES)
async def test_a_passkeys_answer_to_anything_else_signs_nothing_even_beside_the_right_password(
    ward: Ward, lie: Callable[[Ward, Browser, CaseId], Awaitable[str]]
) -> None:
    anna, case = await to_sign(ward)
    answer = await lie(ward, anna, case)
    refused = await post(anna, case, await anna.signature(case) | {"passkey": answer})
    assert refused.status_code == 422
    assert "The passkey could not be checked, and nothing was signed" in refused.text
    assert not await is_signed(ward, case)


async def test_a_passkeys_answer_signs_once_and_nothing_more(ward: Ward) -> None:
    anna, case = await to_sign(ward)
    answer = await answered(anna, case)
    fields = await anna.signature(case) | {"passkey": answer, "login": "", "password": ""}
    assert (await post(anna, case, fields)).headers["location"] == f"/cases/{case}/done"
    again, elsewhere = await to_sign(ward)
    refused = await post(again, elsewhere, await again.signature(elsewhere) | {"passkey": answer})
    assert refused.status_code == 422
    assert not await is_signed(ward, elsewhere)
    await post(anna, case, fields)
    assert (await types_of(ward.house, case)).count(EntryType.SIGNED) == 1


async def test_a_lease_is_not_claimed_past_while_it_lasts(ward: Ward) -> None:
    anna, case = await to_sign(ward)
    ben = await ward.logged_in("ben")
    await ben.get("/worklist")
    for ahead in (timedelta(0), LEASE - timedelta(minutes=1)):
        ward.clock.advance(ahead)
        for path in (f"/worklist/{case}/claim", f"/duty/{case}/claim"):
            answer = await ben.send(path)
            assert answer.headers.get("location", f"/duty/{case}") == f"/duty/{case}", path
        taken = await ben.send("/worklist/next")
        assert taken.headers["location"] != f"/cases/{case}"
        assert (await ben.send(f"/cases/{case}/hand-back")).status_code == 303
        await ben.send("/duty/handover", case=case, to="ben", **{f"note-{case}": "mine now"})
        await ben.send(f"/worklist/{case}/acknowledge")
        await ben.send("/duty/take-over", case=case)
        assert await phase(ward, case) is Phase.REVEALED
    assert (await post(anna, case, await anna.signature(case))).status_code == 303
