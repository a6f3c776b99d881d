"""Forged forms: every form there is, sent in every way that no page of ours sends it, moves nothing and leaves no entry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio

from arbiter.identity.roles import Role
from arbiter.model import CaseId
from clinician_ui.pages import create_pages
from clinician_ui.routes import live
from tests.clinician_ui.attacks import addresses
from tests.clinician_ui.conftest import Browser, Ward
from tests.clinician_ui.test_live_list import heard
from tests.clinician_ui.visits import address
from tests.houses import PASSWORD, types_of

__all__ = ["address"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

URLENCODED: Final = "application/x-www-form-urlencoded"
OPEN: Final = {"/login", "/logout"}
Forgery = Callable[[Browser, str, Mapping[str, str]], Awaitable[httpx.Response]]
"""Sends the fields to a path with the browser's cookies, and its token in some place where it does not belong."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def people(ward: Ward) -> None:
    await ward.person("ada", Role.AUDITOR)


def in_the_address(browser: Browser, path: str, fields: Mapping[str, str]) -> Awaitable[httpx.Response]:
    query = urlencode({"csrf_token": browser.token})
    return browser.http.post(
        f"{path}?{query}", content=urlencode(fields), headers={"Content-Type": URLENCODED}
    )


def all_in_the_address(browser: Browser, path: str, fields: Mapping[str, str]) -> Awaitable[httpx.Response]:
    query = urlencode({"csrf_token": browser.token, **fields})
    return browser.http.post(f"{path}?{query}", headers={"Content-Type": URLENCODED})


def in_a_header(browser: Browser, path: str, fields: Mapping[str, str]) -> Awaitable[httpx.Response]:
    names = ("X-CSRF-Token", "X-CSRFToken", "X-XSRF-TOKEN", "csrf_token")
    headers = {"Content-Type": URLENCODED, **dict.fromkeys(names, browser.token)}
    return browser.http.post(path, content=urlencode(fields), headers=headers)


def in_a_cookie(browser: Browser, path: str, fields: Mapping[str, str]) -> Awaitable[httpx.Response]:
    cookie = "; ".join(f"{name}={value}" for name, value in browser.http.cookies.items())
    headers = {"Content-Type": URLENCODED, "Cookie": f"{cookie}; csrf_token={browser.token}"}
    return browser.http.post(path, content=urlencode(fields), headers=headers)


def as_json(browser: Browser, path: str, fields: Mapping[str, str]) -> Awaitable[httpx.Response]:
    return browser.http.post(path, json={"csrf_token": browser.token, **fields})


def as_plain_text(browser: Browser, path: str, fields: Mapping[str, str]) -> Awaitable[httpx.Response]:
    # What a form of another site can send without asking first: `enctype="text/plain"`.
    body = urlencode({"csrf_token": browser.token, **fields})
    return browser.http.post(path, content=body, headers={"Content-Type": "text/plain"})


def as_json_in_plain_text(
    browser: Browser, path: str, fields: Mapping[str, str]
) -> Awaitable[httpx.Response]:
    body = json.dumps({"csrf_token": browser.token, **fields, "ignored": "="})
    return browser.http.post(path, content=body, headers={"Content-Type": "text/plain"})


def without_a_type(browser: Browser, path: str, fields: Mapping[str, str]) -> Awaitable[httpx.Response]:
    return browser.http.post(path, content=urlencode({"csrf_token": browser.token, **fields}))


def in_another_charset(browser: Browser, path: str, fields: Mapping[str, str]) -> Awaitable[httpx.Response]:
    body = urlencode({"csrf_token": browser.token, **fields}).encode("utf-16")
    return browser.http.post(path, content=body, headers={"Content-Type": f"{URLENCODED}; charset=utf-16"})


def with_another_method(browser: Browser, path: str, fields: Mapping[str, str]) -> Awaitable[httpx.Response]:
    body = urlencode({"csrf_token": browser.token, "_method": "POST", **fields})
    headers = {"Content-Type": URLENCODED, "X-HTTP-Method-Override": "POST"}
    return browser.http.request("PUT", path, content=body, headers=headers)


def from_another_site(browser: Browser, path: str, fields: Mapping[str, str]) -> Awaitable[httpx.Response]:
    return browser.send_raw(path, {"csrf_token": browser.token, **fields}, Sec_Fetch_Site="cross-site")


FORGERIES: Final[tuple[Forgery, ...]] = (
    in_the_address,
    all_in_the_address,
    in_a_header,
    in_a_cookie,
    as_json,
    as_plain_text,
    as_json_in_plain_text,
    without_a_type,
    in_another_charset,
    with_another_method,
    from_another_site,
)
FIELDS: Final = {"option": "urgent-review", "confidence": "80", "note": "x", "reason": "x", "wait": "5"}


@pytest.mark.parametrize("forge", FORGERIES)
async def test_a_forged_form_moves_nothing_wherever_it_is_sent(ward: Ward, forge: Forgery) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    before = await types_of(ward.house, case)
    paths = [path for path in addresses(ward, "POST", case) if path not in OPEN]
    assert len(paths) > 25
    for path in paths:
        answer = await forge(browser, path, {**FIELDS, "case": case})
        assert answer.status_code in {400, 403, 405}, path
        assert "Nothing was changed" in answer.text, path
    assert await types_of(ward.house, case) == before


async def test_no_address_that_is_only_looked_at_moves_a_case(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.claimed(case)
    before = await types_of(ward.house, case)
    query = urlencode({"csrf_token": browser.token, **FIELDS})
    for method in ("GET", "HEAD", "OPTIONS", "TRACE", "PATCH", "DELETE"):
        for path in addresses(ward, "POST", case):
            answer = await browser.http.request(method, f"{path}?{query}")
            assert answer.status_code in {200, 303, 403, 404, 405, 409}, (method, path)
    # To look at a case is an entry; nothing else is.
    assert set((await types_of(ward.house, case))[len(before) :]) <= {"case.read"}


async def test_the_token_of_a_session_before_this_one_is_no_token(ward: Ward) -> None:
    case = await ward.case()
    earlier = await ward.logged_in()
    await earlier.get("/worklist")
    browser = await ward.claimed(case)
    for path in addresses(ward, "POST", case):
        if path not in OPEN:
            forged = {"csrf_token": earlier.token, **FIELDS}
            assert (await browser.send_raw(path, forged)).status_code == 403, path


async def test_every_form_of_an_auditor_needs_the_token_too(ward: Ward) -> None:
    case = await ward.case()
    browser = await ward.logged_in("ada")
    await browser.get("/audit")
    for path in addresses(ward, "POST", case):
        if path.startswith("/audit"):
            for token in ("", "A" * 43):
                assert (await browser.send_raw(path, {"csrf_token": token})).status_code == 403, path


# --- sessions ------------------------------------------------------------------------------------------------------


async def test_outside_a_demonstration_every_cookie_is_bound_to_this_host_and_to_encryption(
    ward: Ward,
) -> None:
    settings = ward.house.settings.model_copy(update={"secure_cookies": True})
    secure = replace(ward, pages=create_pages(replace(ward.house, settings=settings)))
    browser = secure.browser()
    browser.http.base_url = httpx.URL("https://127.0.0.1")
    answers = [await browser.get("/login")]
    answers.append(await browser.send("/login", login="anna", password=PASSWORD))
    await browser.get("/worklist")
    answers.append(await browser.send("/logout"))
    cookies = [cookie for answer in answers for cookie in answer.headers.get_list("set-cookie")]
    assert len(cookies) == 4
    for cookie in cookies:
        assert cookie.startswith("__Host-arbiter-")
        assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert "Domain" not in cookie


async def test_a_second_log_in_gives_a_new_session_and_a_new_token(ward: Ward) -> None:
    browser = ward.browser()
    seen = set()
    for _ in range(2):
        await browser.get("/login")
        await browser.send("/login", login="anna", password=PASSWORD)
        await browser.get("/worklist")
        seen |= {browser.http.cookies["arbiter-session"], browser.token}
        await browser.send("/logout")
    assert len(seen) == 4


async def test_a_cookie_that_another_host_tosses_in_opens_nothing(ward: Ward) -> None:
    browser = await ward.logged_in()
    own = browser.http.cookies["arbiter-session"]
    stranger = ward.browser()
    for tossed in ("A" * 43, "", "x" * 4_000, own[::-1], f'"{own}"x'):
        answer = await stranger.http.get("/worklist", headers={"Cookie": f"arbiter-session={tossed}"})
        assert answer.status_code == 303, tossed


async def test_logging_out_ends_the_open_stream_and_every_tab(
    ward: Ward, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.05)
    case = await ward.case()
    browser = await ward.claimed(case)
    begun = asyncio.Event()
    listening = asyncio.create_task(heard(address, browser, b"never said", begun))
    async with asyncio.timeout(20):
        await begun.wait()
        stolen = browser.http.cookies["arbiter-session"]
        assert (await browser.send("/logout")).status_code == 303
        await listening
    tab = ward.browser()
    tab.http.cookies.set("arbiter-session", stolen)
    for method in ("GET", "POST"):
        for path in addresses(ward, method, CaseId(case)):
            if path not in OPEN | {"/"}:
                answer = await (tab.get(path) if method == "GET" else tab.send(path, **FIELDS))
                assert answer.status_code == 303, path
                assert answer.headers["location"].startswith("/login"), path
