"""Attacks on every address there is, whatever it is for: a page that is added later is attacked with the others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from html import unescape
from typing import Any, cast

import httpx
import pytest
from starlette.routing import Mount, Route

from arbiter.documents.canonical import decode
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.dossier import load_dossier
from tests.clinician_ui.conftest import SPLIT, Browser, Ward, phase

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAMS_FOR_SECONDS = 1.0
OPEN = frozenset({"/login", "/"})
"""What answers anybody: the log-in page, and the way to it."""


def routes(ward: Ward) -> Iterator[Route]:
    application = cast(Any, ward.pages)
    while not hasattr(application, "routes"):
        application = application._application
    for route in application.routes:
        if not isinstance(route, Mount):
            assert isinstance(route, Route)
            yield route


def addresses(ward: Ward, method: str, case: str) -> list[str]:
    """Every address that takes this method, about that case where it is about one."""
    taking = [route.path for route in routes(ward) if method in (route.methods or ())]
    return sorted({re.sub(r"\{[^}]*\}", case, path) for path in taking})


async def asked(browser: Browser, path: str) -> httpx.Response | None:
    """The answer, or None where the address streams."""
    try:
        async with asyncio.timeout(STREAMS_FOR_SECONDS):
            return await browser.get(path)
    except TimeoutError:
        return None


async def words_of_the_panel(ward: Ward, case: CaseId, *, decided: bool = False) -> set[str]:
    """What the certificate says of members, reasons and the verdict, word for word; one that `decided` gives no reason."""
    async with ward.house.store.read() as transaction:
        dossier = await load_dossier(ward.house, transaction, case)
    document = decode(dossier.latest("certificate").content)
    seats = {str(opinion["title"]) for opinion in document["opinions"]}
    rationales = {str(opinion["rationale"]) for opinion in document["opinions"] if opinion.get("rationale")}
    reasons = {str(reason["sentence"]) for reason in document["verdict"].get("reasons", ())}
    said = seats | rationales | reasons | {str(document["plain"])}
    assert len(seats) > 2
    assert bool(reasons) is not decided
    return said


async def test_no_address_shows_the_panel_to_whoever_has_not_committed_an_opinion(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    forbidden = await words_of_the_panel(ward, case)
    anna = await ward.claimed(case)
    paths = addresses(ward, "GET", case)
    assert f"/cases/{case}" in paths
    for path in paths:
        for variant in (path, f"{path}?phase=revealed&panel=1&opinion=unchanged", f"{path}/", path.upper()):
            answer = await asked(anna, variant)
            if answer is not None:
                text = unescape(answer.text) + str(answer.headers)
                assert not [word for word in forbidden if word in text], variant
    assert await phase(ward, case) is Phase.CLAIMED


async def test_no_address_shows_the_decision_to_whoever_has_not_read_the_case_for_an_audit(
    ward: Ward,
) -> None:
    case = await ward.drawn()
    forbidden = await words_of_the_panel(ward, case, decided=True)
    anna = await ward.claimed(case)
    for path in addresses(ward, "GET", case):
        answer = await asked(anna, path)
        if answer is not None:
            text = unescape(answer.text) + str(answer.headers)
            assert not [word for word in forbidden if word in text], path


async def test_no_form_shows_the_panel_to_whoever_has_not_committed_an_opinion(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    forbidden = await words_of_the_panel(ward, case)
    anna = await ward.claimed(case)
    for path in addresses(ward, "POST", case):
        if path in {"/login", "/logout"}:
            continue
        answer = await anna.send(path)
        text = unescape(answer.text) + str(answer.headers)
        assert not [word for word in forbidden if word in text], path
        if await phase(ward, case) is Phase.ESCALATED:
            # The form gave the case back, as it should.
            anna = await ward.claimed(case)


async def test_a_colleague_who_holds_nothing_is_shown_nothing_of_a_revealed_case(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    forbidden = await words_of_the_panel(ward, case)
    anna = await ward.claimed(case)
    await anna.opinion(case)
    await anna.send(f"/cases/{case}/reveal")
    assert [word for word in forbidden if word in unescape((await anna.get(f"/cases/{case}")).text)]
    ben = await ward.logged_in("ben")
    for path in addresses(ward, "GET", case):
        answer = await asked(ben, path)
        if answer is not None:
            assert not [word for word in forbidden if word in unescape(answer.text)], path


async def test_no_address_answers_whoever_is_not_logged_in(ward: Ward) -> None:
    case = await ward.case()
    for method in ("GET", "POST"):
        for path in addresses(ward, method, case):
            if path in OPEN:
                continue
            stranger = ward.browser()
            answer = await (stranger.get(path) if method == "GET" else stranger.send(path))
            assert answer.status_code in {303, 401}, (method, path)
            assert answer.status_code == 401 or answer.headers["location"].startswith("/login"), path
            assert case not in answer.text


async def test_every_form_needs_the_token_of_its_own_session(ward: Ward) -> None:
    case = await ward.case()
    anna, ben = await ward.claimed(case), await ward.logged_in("ben")
    await ben.get("/worklist")
    for path in addresses(ward, "POST", case):
        if path == "/login":
            continue
        for token in ("", "A" * 43, ben.token):
            answer = await anna.send_raw(path, {"csrf_token": token})
            assert answer.status_code == 403, (path, token)
        assert (await anna.send_raw(path, {})).status_code == 403, path
        forged = await anna.send_raw(path, {"csrf_token": anna.token}, sec_fetch_site="cross-site")
        assert forged.status_code == 403, path
    assert await phase(ward, case) is Phase.CLAIMED


async def test_no_answer_may_be_kept_by_a_browser_or_a_proxy(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    for path in addresses(ward, "GET", case):
        answer = await asked(anna, path)
        if answer is not None:
            assert answer.headers.get("cache-control") == "no-store", path
            assert answer.headers["content-security-policy"].startswith("default-src 'self'"), path
            assert "'unsafe-inline'" not in answer.headers["content-security-policy"]


async def test_no_page_runs_a_script_or_a_style_of_its_own(ward: Ward) -> None:
    case = await ward.case(SPLIT)
    anna = await ward.claimed(case)
    await anna.opinion(case)
    await anna.send(f"/cases/{case}/reveal")
    for path in addresses(ward, "GET", case):
        answer = await asked(anna, path)
        if answer is not None and "html" in answer.headers.get("content-type", ""):
            assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", answer.text), path
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", answer.text), path
