"""The form that signs: who proves what again, what was shown, and what the page says when it has changed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from html import unescape

import httpx
import pytest

from arbiter.documents.canonical import decode
from arbiter.identity.accounts import MOST_FAILURES, find_account, unlock_account
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, FactStatus
from arbiter.protocols.intake import RawFact
from arbiter.workflow.amending import amend
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.certifying import MEANING
from arbiter.workflow.dossier import load_dossier
from tests.clinician_ui.conftest import SPLIT, Browser, Ward, phase
from tests.houses import PASSWORD, settle

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRONG = "Login or password is wrong"
CHANGED = "What you were shown has changed"


async def to_sign(ward: Ward, own: str = "urgent-review", login: str = "anna") -> tuple[Browser, CaseId]:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case, login)
    await browser.opinion(case, own)
    await browser.send(f"/cases/{case}/reveal")
    await browser.get(f"/cases/{case}")
    return browser, case


async def signature(ward: Ward, case: CaseId) -> dict[str, object]:
    async with ward.house.store.read() as transaction:
        return decode((await load_dossier(ward.house, transaction, case)).latest("signature").content)


async def certificate(ward: Ward, case: CaseId) -> dict[str, dict[str, object]]:
    async with ward.house.store.read() as transaction:
        return decode((await load_dossier(ward.house, transaction, case)).latest("certificate").content)


async def failures(ward: Ward, login: str) -> int:
    return (await find_account(ward.house.identities, login)).failed_logins


async def test_the_meaning_the_name_and_the_time_stand_beside_the_form(ward: Ward) -> None:
    browser, case = await to_sign(ward)
    page = unescape((await browser.get(f"/cases/{case}")).text)
    form = page[page.index(f'action="/cases/{case}/sign"') :]
    assert MEANING in form
    assert "<strong>Anna:</strong>" in form
    assert "<time datetime=" in form
    assert (datetime.now(UTC).astimezone().tzname() or "?") in form
    assert 'name="login"' in form
    assert 'value="anna"' not in form, "what is entered again is not entered for the signer"


@pytest.mark.parametrize(
    ("login", "password"),
    [("anna", "wrong wrong wrong"), ("ben", PASSWORD), ("nobody", PASSWORD), ("anna ben", PASSWORD)],
)
async def test_either_component_wrong_says_one_thing_and_counts_to_the_signers_lock(
    ward: Ward, login: str, password: str
) -> None:
    browser, case = await to_sign(ward)
    before, bens = await failures(ward, "anna"), await failures(ward, "ben")
    answer = await browser.sign(case, login=login, password=password, reason="kept words")
    assert answer.status_code == 422
    assert WRONG in answer.text
    assert "kept words" in answer.text
    assert await phase(ward, case) is Phase.REVEALED
    assert (await failures(ward, "anna"), await failures(ward, "ben")) == (before + 1, bens)
    await unlock_account(ward.house.identities, ward.people["anna"].id)


@pytest.mark.parametrize(("login", "password"), [("", PASSWORD), ("anna", ""), ("  ", PASSWORD)])
async def test_a_component_left_out_is_asked_for_and_costs_no_attempt(
    ward: Ward, login: str, password: str
) -> None:
    browser, case = await to_sign(ward)
    before = await failures(ward, "anna")
    answer = await browser.sign(case, login=login, password=password)
    assert answer.status_code == 422
    assert "to sign" in answer.text
    assert await failures(ward, "anna") == before


async def test_a_colleagues_own_login_and_password_never_sign_for_anna(ward: Ward) -> None:
    """Ben proves that he is Ben, and Anna's case stays unsigned: by her session it is hers alone to sign."""
    browser, case = await to_sign(ward)
    answer = await browser.sign(case, login="ben", password=PASSWORD)
    assert answer.status_code == 422
    assert await phase(ward, case) is Phase.REVEALED


async def test_ten_wrong_signatures_lock_the_account_even_for_the_right_password(ward: Ward) -> None:
    await ward.person("lotte")
    browser, case = await to_sign(ward, login="lotte")
    for _ in range(MOST_FAILURES):
        assert (await browser.sign(case, login="ben")).status_code == 422
    answer = await browser.sign(case)
    assert answer.status_code == 422
    assert WRONG in answer.text
    assert await phase(ward, case) is Phase.REVEALED


async def test_the_login_may_be_typed_with_capitals(ward: Ward) -> None:
    browser, case = await to_sign(ward)
    assert (await browser.sign(case, login=" Anna ")).status_code == 303


# --- kept, changed, adopted -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "option", "fate"),
    [
        ("urgent-review", "urgent-review", "kept"),
        ("continue-monitoring", "urgent-review", "changed"),
        ("urgent-review", "continue-monitoring", "adopted"),
    ],
)
async def test_what_became_of_the_own_opinion_is_named_where_it_is_recorded(
    ward: Ward, own: str, option: str, fate: str
) -> None:
    browser, case = await to_sign(ward, own)
    shown = browser.shown[f"/cases/{case}"]
    signed = await browser.sign(case, option, reason="" if fate == "kept" else "the trend")
    assert signed.status_code == 303
    kept = await signature(ward, case)
    assert (kept["own_opinion"], kept["way"], kept["format"]) == (fate, "password", "arbiter/signature/v2")
    told = (await certificate(ward, case))["decision"]["signature"]
    assert isinstance(told, dict)
    assert (told["own_opinion"], told["shown"], told["way"]) == (fate, shown, "password")
    assert [step for step in await replay_case(ward.house, case) if not step.same] == []
    done = unescape((await browser.get(f"/cases/{case}/done")).text)
    assert fate.capitalize() in done
    assert shown in done
    assert "Login and password" in done
    assert "in the log" in done


# --- what was shown -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", ["", "0" * 64, "x", "' OR 1=1"])
async def test_a_form_about_another_page_signs_nothing_and_shows_what_there_is(
    ward: Ward, shown: str
) -> None:
    browser, case = await to_sign(ward)
    answer = await browser.sign(case, shown=shown, reason="kept words")
    assert answer.status_code == 422
    assert CHANGED in answer.text
    assert f'value="{browser.shown[f"/cases/{case}"]}"' in answer.text
    assert "kept words" in answer.text
    assert await phase(ward, case) is Phase.REVEALED


async def test_a_hash_that_came_twice_or_is_too_long_is_no_form_of_ours(ward: Ward) -> None:
    browser, case = await to_sign(ward)
    fields = await browser.signature(case)
    twice = await browser.send(f"/cases/{case}/sign", **(fields | {"shown": ("0" * 64, fields["shown"])}))
    assert twice.status_code == 400
    long = await browser.send(f"/cases/{case}/sign", **(fields | {"shown": "0" * 65}))
    assert long.status_code in {400, 422}
    assert await phase(ward, case) is Phase.REVEALED


async def test_an_old_tab_signs_nothing_after_the_facts_were_amended(ward: Ward) -> None:
    browser, case = await to_sign(ward)
    old = await browser.signature(case)
    integration = ward.client
    fresh = RawFact(Decimal(26), "/min", ward.clock.now(), FactStatus.FINAL.value, "test")
    await amend(ward.house, integration, case, {"respiratory_rate": fresh})
    await settle(ward.house)
    gone = await browser.send(f"/cases/{case}/sign", **old)
    assert gone.status_code == 409
    assert "Nothing was changed" in gone.text
    await browser.get("/worklist")
    assert (await browser.send(f"/worklist/{case}/claim")).status_code == 303
    await browser.get(f"/cases/{case}")
    await browser.opinion(case)
    await browser.send(f"/cases/{case}/reveal")
    answer = await browser.send(f"/cases/{case}/sign", **old)
    assert answer.status_code == 422
    assert CHANGED in answer.text
    assert await phase(ward, case) is Phase.REVEALED
    del browser.shown[f"/cases/{case}"]
    assert (await browser.sign(case)).status_code == 303


async def test_a_handover_note_that_was_shown_is_signed_with_the_rest(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    anna = await ward.claimed(case)
    await anna.get("/duty/handover")
    form = {"case": case, "to": "", f"note-{case}": "The family asked for a call."}
    assert (await anna.send("/duty/handover", **form)).status_code == 303
    ben = await ward.claimed(case, "ben")
    await ben.opinion(case)
    await ben.send(f"/cases/{case}/reveal")
    assert "The family asked for a call." in (await ben.get(f"/cases/{case}")).text
    assert (await ben.sign(case)).status_code == 303
    async with ward.house.store.read() as transaction:
        note = (await load_dossier(ward.house, transaction, case)).latest("note").content
    page = (await signature(ward, case))["page"]
    assert isinstance(page, dict)
    assert page["handed"] == [sha256(note).hexdigest()]


# --- nobody is logged in any more, and the line is lost ---------------------------------------------------------------


async def test_a_session_that_ended_leads_back_to_the_form_that_signs(ward: Ward) -> None:
    browser, case = await to_sign(ward)
    fields = await browser.signature(case)
    browser.http.cookies.clear()
    answer = await browser.send(f"/cases/{case}/sign", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next=/cases/{case}")
    await browser.get(answer.headers["location"])
    logged_in = await browser.send("/login", login="anna", password=PASSWORD, next=f"/cases/{case}")
    assert logged_in.headers["location"] == f"/cases/{case}"
    assert 'name="shown"' in (await browser.get(f"/cases/{case}")).text
    assert await phase(ward, case) is Phase.REVEALED
    assert (await browser.sign(case)).status_code == 303


async def test_a_signature_sent_again_after_the_line_was_lost_signs_once(ward: Ward) -> None:
    browser, case = await to_sign(ward)
    fields = await browser.signature(case)
    assert (await browser.send(f"/cases/{case}/sign", **fields)).status_code == 303
    again = await browser.send(f"/cases/{case}/sign", **fields)
    assert (again.status_code, again.headers["location"]) == (303, f"/cases/{case}/done?signed=before")
    async with ward.house.store.read() as transaction:
        dossier = await load_dossier(ward.house, transaction, case)
    assert [document.name for document in dossier.documents].count("signature") == 1


# --- a passkey is asked for -------------------------------------------------------------------------------------------


async def ask(browser: Browser, case: CaseId, **changes: str) -> httpx.Response:
    return await browser.send(f"/cases/{case}/sign/passkey", **(await browser.signature(case) | changes))


async def test_whoever_has_no_passkey_is_asked_for_none(ward: Ward) -> None:
    browser, case = await to_sign(ward)
    page = (await browser.get(f"/cases/{case}")).text
    assert "data-passkey" not in page
    assert 'href="/account"' in page
    answer = await ask(browser, case)
    assert (answer.status_code, answer.json().keys()) == (422, {"message"})


@pytest.mark.parametrize(
    "changes", [{"shown": "0" * 64}, {"shown": ""}, {"option": ""}, {"reason": "x" * 2001}]
)
async def test_a_passkey_is_asked_for_no_decision_that_could_not_be_signed(
    ward: Ward, changes: dict[str, str]
) -> None:
    browser, case = await to_sign(ward)
    answer = await ask(browser, case, **changes)
    assert answer.status_code == 422
    assert set(answer.json()) == {"message"}
    assert await phase(ward, case) is Phase.REVEALED


@pytest.mark.parametrize("answer", ["{}", "nonsense", '{"id": 1}'])
async def test_a_made_up_answer_of_a_passkey_signs_nothing(ward: Ward, answer: str) -> None:
    browser, case = await to_sign(ward)
    refused = await browser.sign(case, passkey=answer)
    assert refused.status_code == 422
    assert "The passkey could not be checked, and nothing was signed" in refused.text
    assert await phase(ward, case) is Phase.REVEALED


async def test_a_passkey_cannot_be_asked_about_before_the_panel_is_shown(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case)
    answer = await browser.send(
        f"/cases/{case}/sign/passkey", option="urgent-review", reason="x", shown="0" * 64
    )
    assert answer.status_code == 422
    for word in ("CART", "NEWS2", "dissent", "panel"):
        assert word not in answer.text


# --- one's own account ------------------------------------------------------------------------------------------------


async def test_a_passkey_is_added_only_after_the_password(ward: Ward) -> None:
    browser = await ward.logged_in()
    await browser.get("/account")
    wrong = await browser.send("/account/passkeys/ask", name="key", password="wrong wrong wrong")
    assert wrong.status_code == 422
    assert "options" not in wrong.json()
    right = await browser.send("/account/passkeys/ask", name="key", password=PASSWORD)
    assert right.json()["options"]["rp"]["id"] == "localhost"
    assert right.headers["cache-control"] == "no-store"
    assert (await browser.send("/account/passkeys", name="key", passkey="{}")).status_code == 422
    assert "You have none" in (await browser.get("/account")).text


async def test_only_ones_own_passkeys_are_listed_and_removed(ward: Ward) -> None:
    browser = await ward.logged_in("ben")
    await browser.get("/account")
    assert (await browser.send("/account/passkeys/remove", passkey="0" * 64)).status_code == 404


async def test_an_auditor_has_an_account_page_too(ward: Ward) -> None:
    await ward.person("olga", Role.AUDITOR)
    assert "Olga" in (await (await ward.logged_in("olga")).get("/account")).text
