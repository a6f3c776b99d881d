"""An auditor's day: the trail of a signed case, its receipt checked, its export asked for, fetched and checked offline; no patient."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, expect

from arbiter.audit.note import VerifierKey
from arbiter.errors import VerificationError
from arbiter.model import CaseId
from arbiter.verifying.report import verify
from tests.clinician_ui.conftest import SUBJECT, Ward
from tests.clinician_ui.steps import enters_login_and_password, forgives
from tests.clinician_ui.test_audit_page import a_receipt, auditors
from tests.clinician_ui.visits import Visit, address, both_ways, chromium, visit

__all__ = ["address", "auditors", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

# In the order of a signed case; the log holds more between them.
STORY = (
    "case.received",
    "case.escalated",
    "case.claimed",
    "review.committed",
    "panel.revealed",
    "decision.signed",
)


async def comes_from_the_log_in(visited: Visit, login: str) -> None:
    await visited.go("/audit")
    await enters_login_and_password(visited, login)
    await visited.page.wait_for_url("**/audit")


async def finds_the_trail(visited: Visit, case: CaseId) -> None:
    await visited.page.get_by_label("Find a case").fill(case)
    await visited.press("Show its trail")


async def reads_who_did_what_and_nothing_of_the_patient(page: Page, case: CaseId) -> None:
    await page.wait_for_url(f"**/audit/cases/{case}")
    entries = page.locator(".arbiter-entry")
    assert await entries.count() > 6
    kinds = [kind for kind in await entries.locator(".arbiter-code.arbiter-quiet").all_inner_texts() if kind]
    places = [kinds.index(kind) for kind in STORY]
    assert places == sorted(places), "oldest first"
    signed = entries.filter(has_text="decision.signed")
    await expect(signed).to_contain_text("Anna")
    await expect(signed).to_contain_text("Commits to:")
    await expect(signed).to_contain_text("Sealed as leaf")
    words = await page.get_by_role("main").inner_text()
    assert [word for word in (SUBJECT, "urgent-review", "as I see it") if word in words] == []


async def finds_it_again_among_the_signatures(visited: Visit, case: CaseId) -> None:
    page = visited.page
    await visited.go("/audit")
    await page.get_by_role("main").get_by_role("link", name="Entries").click()
    await page.get_by_label("What it says").select_option("decision.signed")
    await visited.press("Show entries")
    await page.get_by_role("link", name=case).click()
    await page.wait_for_url(f"**/audit/cases/{case}")


async def checks_the_receipt(visited: Visit, receipt: str, certificate: str, verdict: str) -> None:
    page = visited.page
    await visited.go("/audit/receipt")
    await page.get_by_label("Receipt", exact=True).fill(receipt)
    await page.get_by_label("Certificate, if you have it").fill(certificate)
    await visited.press("Check it")
    await expect(page.get_by_role("heading", level=2)).to_have_text(verdict)


async def asks_for_an_export(visited: Visit, case: CaseId) -> None:
    await visited.go("/audit/exports")
    await visited.page.get_by_label("Cases").fill(case)
    await visited.press("Ask for it")
    await expect(visited.page.get_by_role("link", name="Show it as it stands now")).to_be_visible()


async def fetches_it(visited: Visit, folder: Path) -> Path:
    page = visited.page
    await page.get_by_role("link", name="Show it as it stands now").click()
    await visited.look("an export that is ready")
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Download").click()
    file = folder / (await downloading.value).suggested_filename
    await (await downloading.value).save_as(file)
    return file


def checks_it_offline(ward: Ward, file: Path, case: CaseId) -> None:
    """With the key that the auditor has from elsewhere, and with nothing of the house."""
    verified = verify(file, (VerifierKey.parse(ward.house.signer.verifier_key),))
    assert str(case) in str(verified.evidence)
    spoilt = file.with_name("spoilt.zip")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    spoilt.write_bytes(content)
    with pytest.raises(VerificationError):
        verify(spoilt, (VerifierKey.parse(ward.house.signer.verifier_key),))


@both_ways
async def test_an_auditor_follows_a_signed_case_to_an_export_that_is_checked_offline(
    ward: Ward, address: str, chromium: Chromium, scripted: bool, tmp_path: Path
) -> None:
    # given: a case that Anna has signed, and what its requester was given
    receipt, certificate = await a_receipt(ward)
    case = CaseId(json.loads(json.loads(receipt)["entry"])["case"])
    async with visit(chromium, address, scripted=scripted) as ada:
        await comes_from_the_log_in(ada, "ada")
        # when, then: the trail
        await finds_the_trail(ada, case)
        await reads_who_did_what_and_nothing_of_the_patient(ada.page, case)
        await finds_it_again_among_the_signatures(ada, case)
        # when, then: the receipt, and one that somebody changed
        await checks_the_receipt(ada, receipt, certificate, "The receipt is genuine")
        changed = receipt.replace("case.decided", "case.released")
        await checks_the_receipt(ada, changed, certificate, "The receipt does not check out")
        # when, then: the export
        await asks_for_an_export(ada, case)
        await ward.exports_have_ended("ada")
        checks_it_offline(ward, await fetches_it(ada, tmp_path), case)
        await ada.page.get_by_role("button", name="Delete").click()
        await expect(ada.page.get_by_text("You have none.")).to_be_visible()


@both_ways
async def test_another_sites_auditor_finds_neither_the_trail_nor_a_way_to_its_export(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    receipt, _ = await a_receipt(ward)
    case = CaseId(json.loads(json.loads(receipt)["entry"])["case"])
    async with visit(chromium, address, scripted=scripted) as sol:
        await comes_from_the_log_in(sol, "sol")
        await finds_the_trail(sol, case)
        await expect(sol.page.get_by_role("alert")).to_contain_text("no case with this id at your sites")
        await sol.go(f"/audit/cases/{case}")
        await expect(sol.page.get_by_role("heading", level=1)).to_have_text("Page not found")
        await sol.go("/audit/exports")
        await sol.page.get_by_label("Cases").fill(case)
        await sol.press("Ask for it")
        await expect(sol.page.get_by_role("alert")).to_be_visible()
        await expect(sol.page.get_by_text("You have none.")).to_be_visible()
        forgives(sol, "status of 404")
