"""Passkeys in a real browser with a virtual authenticator, from the account's page to what an outsider checks of the signature."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import Browser as Chromium
from playwright.async_api import Route, expect

from arbiter.audit.export.manifest import Selection
from arbiter.audit.note import VerifierKey
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.verifying.report import verify, words_of
from clinician_ui.pages import create_pages
from tests.clinician_ui.conftest import SPLIT, Ward, phase
from tests.clinician_ui.visits import Visit, _Server, chromium, log_in, visit
from tests.exports import an_auditor, export_to
from tests.houses import PASSWORD, settle

__all__ = ["chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(ward: Ward) -> AsyncIterator[str]:
    """Serve the pages of a house that knows its address, by the name that browsers keep passkeys for."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://localhost:{listening.getsockname()[1]}"
        settings = ward.house.settings.model_copy(update={"public_url": address})
        pages = create_pages(replace(ward.house, settings=settings))
        server = _Server(uvicorn.Config(pages, log_config=None, lifespan="off", ws="none", access_log=False))
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0.01)
        yield address
        server.should_exit = True
        await serving


class Authenticator:
    """Chromium's virtual authenticator: a passkey inside the device, opened by its user."""

    def __init__(self, session: Any, identity: str) -> None:
        self._session, self._id = session, identity

    async def let_user_be_verified(self, verified: bool) -> None:
        told = {"authenticatorId": self._id, "isUserVerified": verified}
        await self._session.send("WebAuthn.setUserVerified", told)


async def authenticator(visited: Visit) -> Authenticator:
    session = await visited.page.context.new_cdp_session(visited.page)
    await session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    added = await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return Authenticator(session, added["authenticatorId"])


async def add_passkey(visited: Visit, name: str) -> None:
    page = visited.page
    await visited.go("/account")
    await page.get_by_label("What do you call it?").fill(name)
    await page.get_by_label("Your password, once more").fill(PASSWORD)
    await page.get_by_role("button", name="Add a passkey", exact=True).click()
    await expect(page.locator("strong", has_text=name)).to_be_visible()


async def to_sign(ward: Ward, visited: Visit, login: str) -> CaseId:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case, login)
    await browser.opinion(case, "continue-monitoring")
    await browser.send(f"/cases/{case}/reveal")
    await visited.go(f"/cases/{case}")
    return case


async def choose(visited: Visit) -> None:
    await visited.page.get_by_label("Urgent review by a clinician").check()
    await visited.page.get_by_label("Reason").fill("The dissent convinces me.")


async def test_a_passkey_is_added_signs_a_case_and_an_outsider_checks_it(
    ward: Ward, place: str, chromium: Chromium, tmp_path: Path
) -> None:
    async with visit(chromium, place) as visited:
        page = visited.page
        await authenticator(visited)
        await log_in(visited)
        await visited.go("/account")
        await visited.look("account without a passkey")
        await add_passkey(visited, "ward tablet")
        await visited.look("account with a passkey")
        case = await to_sign(ward, visited, "anna")
        await visited.look("a case to sign with a passkey")
        button = page.get_by_role("button", name="Sign with a passkey")
        await button.click()
        await expect(page.locator("[data-passkey-said]")).to_contain_text("Select your decision")
        await choose(visited)
        await button.click()
        await page.wait_for_url(f"**/cases/{case}/done*")
        await expect(page.get_by_text("Passkey, with your PIN, fingerprint or face")).to_be_visible()
        await visited.look("done with a passkey")
    await settle(ward.house)
    auditor, _ = await an_auditor(ward.house, Role.DISCLOSURE, name="journey")
    keys = (VerifierKey.parse(ward.house.signer.verifier_key),)
    for selection, told in (
        (Selection(payloads=True), "of the register gives to"),
        (Selection(cases=(case,), payloads=True), "key as stated in the case"),
    ):
        await export_to(ward.house, auditor, selection, tmp_path / "export.zip")
        verified = verify(tmp_path / "export.zip", keys)
        (found,) = [step for step in verified.signatures if step.case == case]
        assert found.good
        assert told in found.said
        assert any(
            "signed with a passkey of localhost, its user verified" in line for line in words_of(verified)
        )


async def test_without_its_users_pin_a_passkey_signs_nothing_and_removed_it_is_not_offered(
    ward: Ward, place: str, chromium: Chromium
) -> None:
    await ward.person("uma")
    async with visit(chromium, place) as visited:
        page = visited.page
        device = await authenticator(visited)
        await log_in(visited, "uma")
        await add_passkey(visited, "uma's key")
        case = await to_sign(ward, visited, "uma")
        await choose(visited)
        await device.let_user_be_verified(False)
        await page.get_by_role("button", name="Sign with a passkey").click()
        await expect(page.locator("[data-passkey-said]")).to_contain_text("nothing was signed")
        assert await phase(ward, case) is Phase.REVEALED
        await device.let_user_be_verified(True)
        await visited.go("/account")
        await page.get_by_role("button", name="Remove uma's key").click()
        await expect(page.get_by_text("What it signed stays signed.")).to_be_visible()
        await visited.look("account with a removed passkey")
        await visited.go(f"/cases/{case}")
        await expect(page.get_by_role("link", name="Add a passkey")).to_be_visible()
        await expect(page.get_by_role("button", name="Sign with a passkey")).to_have_count(0)
        assert await phase(ward, case) is Phase.REVEALED


@pytest.mark.parametrize(
    "arrives", [False, True], ids=["before the server has it", "after the server has it"]
)
async def test_a_line_lost_while_signing_leaves_no_doubt_whether_it_is_signed(
    ward: Ward, place: str, chromium: Chromium, arrives: bool
) -> None:
    login = f"lina-{arrives}".lower()
    await ward.person(login)
    async with visit(chromium, place) as visited:
        page = visited.page
        await log_in(visited, login)
        case = await to_sign(ward, visited, login)

        async def lose(route: Route) -> None:
            if arrives:
                await route.fetch(max_redirects=0)
            await route.abort()

        await page.route(f"**/cases/{case}/sign", lose)
        for _ in range(2):
            await visited.go(f"/cases/{case}")
            if "/done" in page.url:
                break
            await choose(visited)
            await page.get_by_label("Your login, once more").fill(login)
            await page.get_by_label("Your password, once more").fill(PASSWORD)
            await visited.press("Sign the decision")
            await page.wait_for_url("chrome-error://**")
        await page.unroute(f"**/cases/{case}/sign")
        await visited.go(f"/cases/{case}")
        if arrives:
            await page.wait_for_url(f"**/cases/{case}/done*")
            assert await phase(ward, case) in {Phase.DECIDED, Phase.RELEASED}
        else:
            await expect(page.get_by_role("button", name="Sign the decision")).to_be_visible()
            assert await phase(ward, case) is Phase.REVEALED
        visited.complaints.clear()


async def test_without_javascript_the_account_says_so_and_the_password_signs(
    ward: Ward, place: str, chromium: Chromium
) -> None:
    await ward.person("noah")
    async with visit(chromium, place, scripted=False) as visited:
        page = visited.page
        await log_in(visited, "noah")
        await visited.go("/account")
        await expect(page.get_by_text("Adding a passkey needs JavaScript")).to_be_visible()
        await visited.look("account without JavaScript")
        case = await to_sign(ward, visited, "noah")
        await choose(visited)
        await page.get_by_label("Your login, once more").fill("noah")
        await page.get_by_label("Your password, once more").fill(PASSWORD)
        await visited.press("Sign the decision")
        await page.wait_for_url(f"**/cases/{case}/done*")
