"""Who gets in, and whose forms are believed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arbiter.identity.roles import Role
from tests.clinician_ui.conftest import Ward
from tests.houses import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")

POSTS = (
    "/logout",
    "/worklist/{}/claim",
    "/worklist/{}/acknowledge",
    *(f"/cases/{{}}/{act}" for act in ("opinion", "reveal", "sign", "sign/passkey", "renew", "hand-back")),
    *(f"/account/{act}" for act in ("passkeys", "passkeys/ask", "passkeys/remove")),
)
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"


# --- logging in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/worklist", "/cases/c_abc", "/cases/c_abc/done"])
async def test_without_a_session_every_page_leads_to_the_log_in_and_back(ward: Ward, path: str) -> None:
    answer = await ward.browser().get(path)
    assert answer.status_code == 303
    expected = "/login" if path == "/worklist" else f"/login?next={path}"
    assert answer.headers["location"] == expected


@pytest.mark.parametrize("path", POSTS)
async def test_without_a_session_no_form_is_taken(ward: Ward, path: str) -> None:
    answer = await ward.browser().send(path.format("c_abc"))
    back = "/login?next=/cases/c_abc" if path.startswith("/cases/") else "/login"
    if path.startswith("/account/"):
        back = "/login?next=/account"
    assert (answer.status_code, answer.headers["location"]) == (303, back)


async def test_an_open_list_without_a_session_is_told_to_leave_the_page(ward: Ward) -> None:
    answer = await ward.browser().get("/worklist/list", HX_Request="true")
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")
    assert answer.text == ""


@pytest.mark.parametrize("path", ["/worklist/", "/cases/c_abc/", "/login/", "//worklist"])
async def test_no_address_leads_to_the_host_that_a_request_names(ward: Ward, path: str) -> None:
    answer = await ward.browser().get(path, host="evil.example")
    assert "evil" not in answer.headers.get("location", "")


async def test_a_log_in_leads_to_the_page_that_was_asked_for(ward: Ward) -> None:
    browser = ward.browser()
    page = await browser.get("/login?next=/cases/c_abc")
    assert 'value="/cases/c_abc"' in page.text
    answer = await browser.send("/login", login="anna", password=PASSWORD, next="/cases/c_abc")
    assert answer.headers["location"] == "/cases/c_abc"


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_a_log_in_leads_to_no_other_host(ward: Ward, path: str) -> None:
    browser = ward.browser()
    page = await browser.http.get("/login", params={"next": path})
    assert "evil.example" not in page.text
    await browser.get("/login")
    answer = await browser.send("/login", login="anna", password=PASSWORD, next=path)
    assert answer.headers["location"] == "/worklist"


async def test_a_wrong_password_and_an_unknown_login_read_the_same(ward: Ward) -> None:
    browser = ward.browser()
    await browser.get("/login")
    wrong = await browser.send("/login", login="anna", password="wrong wrong wrong")
    unknown = await browser.send("/login", login="nobody", password="wrong wrong wrong")
    assert wrong.status_code == unknown.status_code == 422
    assert wrong.text.replace("anna", "nobody") == unknown.text
    assert "There is a problem" in wrong.text
    assert "wrong wrong wrong" not in wrong.text


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(ward: Ward) -> None:
    browser = ward.browser()
    await browser.get("/login")
    answer = await browser.send("/login", login="anna", password=PASSWORD)
    cookie = next(value for value in answer.headers.get_list("set-cookie") if "arbiter-session=" in value)
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


async def test_a_session_planted_before_the_log_in_is_not_taken_over(ward: Ward) -> None:
    browser = ward.browser()
    planted = "A" * 43
    browser.http.cookies.set("arbiter-session", planted)
    await browser.get("/login")
    answer = await browser.send("/login", login="anna", password=PASSWORD)
    assert answer.status_code == 303
    assert planted not in "".join(answer.headers.get_list("set-cookie"))


async def test_a_log_in_form_of_another_browser_is_refused(ward: Ward) -> None:
    attacker, victim = ward.browser(), ward.browser()
    await attacker.get("/login")
    await victim.get("/login")
    victim.token = attacker.token
    answer = await victim.send("/login", login="anna", password=PASSWORD)
    assert answer.status_code == 403
    assert "arbiter-session" not in victim.http.cookies


async def test_a_log_in_without_any_token_is_refused(ward: Ward) -> None:
    answer = await ward.browser().send_raw(
        "/login", {"csrf_token": "", "login": "anna", "password": PASSWORD}
    )
    assert answer.status_code == 403


async def test_logging_out_ends_the_session_itself(ward: Ward) -> None:
    browser = await ward.logged_in()
    await browser.get("/worklist")
    stolen = browser.http.cookies["arbiter-session"]
    answer = await browser.send("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    thief = ward.browser()
    thief.http.cookies.set("arbiter-session", stolen)
    assert (await thief.get("/worklist")).status_code == 303


async def test_logging_out_twice_is_harmless(ward: Ward) -> None:
    browser = await ward.logged_in()
    await browser.get("/worklist")
    for _ in range(2):
        assert (await browser.send("/logout")).headers["location"] == "/login"


async def test_a_link_cannot_log_anybody_out(ward: Ward) -> None:
    browser = await ward.logged_in()
    assert (await browser.get("/logout")).status_code == 405
    assert (await browser.get("/worklist")).status_code == 200


async def test_a_refreshing_list_does_not_keep_a_deserted_session_alive(ward: Ward) -> None:
    browser = await ward.logged_in()
    for _ in range(3):
        assert (await browser.get("/worklist/list", HX_Request="true")).status_code == 200
        ward.clock.advance(timedelta(minutes=10, seconds=1))
    assert (await browser.get("/worklist/list", HX_Request="true")).status_code == 401
    assert (await browser.get("/worklist")).headers["location"] == "/login"


async def test_whoever_keeps_working_keeps_the_session(ward: Ward) -> None:
    browser = await ward.logged_in()
    for _ in range(4):
        ward.clock.advance(timedelta(minutes=10))
        assert (await browser.get("/worklist")).status_code == 200


# --- forms that are not believed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "", "A" * 43, "ä"])
async def test_a_form_without_the_sessions_token_changes_nothing(ward: Ward, token: str | None) -> None:
    case = await ward.case()
    browser = await ward.logged_in()
    fields = {} if token is None else {"csrf_token": token}
    for path in POSTS:
        answer = await browser.send_raw(path.format(case), fields | {"option": "urgent-review"})
        assert answer.status_code == 403, path
        assert "Nothing was changed" in answer.text
    assert f'action="/worklist/{case}/claim"' in (await browser.get("/worklist")).text


async def test_the_token_of_another_session_is_no_token(ward: Ward) -> None:
    case = await ward.case()
    anna, ben = await ward.logged_in("anna"), await ward.logged_in("ben")
    await ben.get("/worklist")
    answer = await anna.send_raw(f"/worklist/{case}/claim", {"csrf_token": ben.token})
    assert answer.status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
async def test_a_form_that_another_site_sent_is_refused(ward: Ward, site: str) -> None:
    case = await ward.case()
    browser = await ward.logged_in()
    await browser.get("/worklist")
    answer = await browser.send_raw(
        f"/worklist/{case}/claim", {"csrf_token": browser.token}, Sec_Fetch_Site=site
    )
    assert answer.status_code == 403


async def test_a_token_sent_twice_is_refused(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.logged_in()
    await browser.get("/worklist")
    answer = await browser.send_raw(f"/worklist/{case}/claim", {"csrf_token": (browser.token, browser.token)})
    assert answer.status_code == 400


# --- everybody else ------------------------------------------------------------------------------------------------


async def test_an_auditor_sees_no_work(ward: Ward) -> None:
    await ward.person("auditor", Role.AUDITOR)
    case = await ward.case()
    browser = await ward.logged_in("auditor")
    for path in ("/worklist", "/worklist/list", f"/cases/{case}", f"/cases/{case}/done"):
        answer = await browser.get(path)
        assert answer.status_code == 403, path
        assert "You may not do this" in answer.text


async def test_a_name_is_text_and_never_markup(ward: Ward) -> None:
    await ward.person("mallory", name="<script>alert(1)</script>\"'")
    page = await (await ward.logged_in("mallory")).get("/worklist")
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>" not in page.text


# --- headers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/login",
        "/worklist",
        "/cases/c_abc",
        "/nowhere",
        "/static/nowhere",
        "/v1/cases",
        "/worklist/c/claim",
    ],
)
async def test_every_answer_forbids_foreign_content_framing_and_sniffing(ward: Ward, path: str) -> None:
    for browser in (ward.browser(), await ward.logged_in()):
        headers = (await browser.get(path)).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/login", "/worklist", "/worklist/list", "/cases/c_abc", "/nowhere"])
async def test_no_page_is_kept_by_a_browser_or_a_proxy(ward: Ward, path: str) -> None:
    assert (await (await ward.logged_in()).get(path)).headers["cache-control"] == "no-store"


async def test_assets_may_be_kept_for_good_and_lead_nowhere_else(ward: Ward) -> None:
    browser = ward.browser()
    page = await browser.get("/login")
    style = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = await browser.get(style)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    for path in ("/static/../pages.py", "/static/%2e%2e/pages.py", "/static/..%2fpages.py", "/static/"):
        assert (await browser.get(path)).status_code == 404, path
