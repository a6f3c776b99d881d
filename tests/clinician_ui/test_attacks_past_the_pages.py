"""Ways around the pages: a reviewer who holds a case asks every other door of the service for what the panel said, with all they have."""

from __future__ import annotations

import re
from base64 import b64encode
from html import unescape
from typing import Final

import httpx
import pytest
import pytest_asyncio

from arbiter.api.app import create_app
from arbiter.api.security import route_rules
from arbiter.identity.accounts import change_account, list_accounts
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.serving import build_app
from tests.clinician_ui.attacks import EXPORT
from tests.clinician_ui.conftest import ORIGIN, SPLIT, Browser, Ward
from tests.clinician_ui.test_every_route import words_of_the_panel
from tests.houses import PASSWORD, SITE, settle

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILLED: Final = {"export": EXPORT, "seq": "1", "protocol": "deterioration", "path:path": "0/000"}
OF_THE_LOG: Final = ("/v1/audit/checkpoint", "/v1/audit/keys", "/v1/audit/tile/0/000")
PUBLIC: Final = {*OF_THE_LOG, "/healthz", "/readyz", "/openapi.json", "/fhir/metadata"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pager(ward: Ward) -> str:
    """The token of the pager that a reviewer carries."""
    house = ward.house
    roles, sites = frozenset({Role.PAGING_CLIENT}), frozenset({SITE})
    _, token = await register_client(house.identities, house.clock, house.chance, "pager", roles, sites)
    return token


def doors(ward: Ward, case: CaseId) -> list[tuple[str, str]]:
    """Every method and address of the service that is no page, about that case."""
    filled = {**FILLED, "case": case}
    return sorted(
        (method, re.sub(r"\{([^}]*)\}", lambda found: filled[found[1]], path))
        for method, path, _rule in route_rules(create_app(ward.house))
    )


def credentials(browser: Browser, pager: str) -> dict[str, dict[str, str]]:
    """All that a reviewer could show at another door."""
    session = browser.http.cookies["arbiter-session"]
    basic = b64encode(f"{browser.login}:{PASSWORD}".encode()).decode()
    return {
        "the cookie alone": {},
        "the session as a token": {"Authorization": f"Bearer {session}"},
        "the session as a client's token": {"Authorization": f"Bearer arb_c{'a' * 16}_{session}"},
        "the form's token": {"Authorization": f"Bearer {browser.token}"},
        "login and password": {"Authorization": f"Basic {basic}"},
        "the pager": {"Authorization": f"Bearer {pager}"},
    }


def at_every_door(ward: Ward, browser: Browser) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=build_app(ward.house), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=browser.http.cookies)


@pytest.mark.parametrize("kind", ["an escalation", "an audit"])
async def test_no_other_door_tells_whoever_holds_a_case_what_the_panel_said(
    ward: Ward, pager: str, kind: str
) -> None:
    case = await (ward.case(SPLIT) if kind == "an escalation" else ward.drawn())
    forbidden = await words_of_the_panel(ward, case, decided=kind == "an audit")
    browser = await ward.claimed(case)
    paths = doors(ward, case)
    assert len(paths) > 35
    async with at_every_door(ward, browser) as everywhere:
        for shown, headers in credentials(browser, pager).items():
            for method, path in paths:
                answer = await everywhere.request(method, path, headers=headers)
                text = unescape(answer.text) + str(answer.headers)
                assert not [word for word in forbidden if word in text], (shown, method, path)
                if path not in PUBLIC:
                    answered = path.endswith("/acknowledge") and shown == "the pager"
                    assert answer.status_code in ({409} if answered else {401, 403}), (shown, method, path)
                    assert case not in str(answer.headers), (shown, method, path)


async def test_what_anybody_may_read_of_the_log_names_no_case_and_no_kind_of_entry(ward: Ward) -> None:
    case = await ward.drawn()
    browser = await ward.claimed(case)
    await settle(ward.house)
    async with at_every_door(ward, browser) as everywhere:
        size = int((await everywhere.get(OF_THE_LOG[0])).text.splitlines()[1])
        for path in (*OF_THE_LOG, f"/v1/audit/tile/0/000.p/{size}"):
            text = (await everywhere.get(path)).content
            for word in (case, "audit.drawn", "released", "panel", browser.login):
                assert word.encode() not in text, path


@pytest.mark.parametrize("reviews", [Role.REVIEWER, Role.SENIOR_ARBITER])
async def test_who_changes_from_auditing_to_reviewing_fetches_no_export_of_before(
    ward: Ward, reviews: Role
) -> None:
    case = await ward.drawn()
    login = f"was-auditor-{reviews}"
    await ward.person(login, Role.AUDITOR, also=frozenset({Role.DISCLOSURE}))
    browser = await ward.logged_in(login)
    await browser.get("/audit/exports")
    assert (await browser.send("/audit/exports", cases=case, payloads="yes")).status_code == 303
    await ward.exports_have_ended(login)
    page = (await browser.get("/audit/exports")).text
    (export,) = set(re.findall(r"/audit/exports/(e_[a-z2-7]{24})/file", page))
    unmade = await browser.send("/audit/exports", cases=await ward.drawn(), payloads="yes")
    assert unmade.status_code == 303

    row = next(row for row in await list_accounts(ward.house.identities) if row.login == login)
    await change_account(ward.house.identities, row, [reviews], row.sites)
    await ward.exports_have_ended(login)
    for path in (f"/audit/exports/{export}/file", "/audit/exports", f"/audit/cases/{case}", "/oversight"):
        assert (await browser.get(path)).status_code == 403, path
    # What was taken away in the clear was a read, and whoever has read a decision reads it for no audit.
    await browser.get("/worklist")
    assert (await browser.send(f"/worklist/{case}/claim")).status_code == 409
