"""The audit pages: a case's trail, entries, receipts, exports. For auditors of the case's site alone; nothing of what a case holds."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from arbiter.audit.entry import Entry
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.lifecycle.entries import DOCUMENTS, OPTIONAL_DOCUMENTS, EntryType
from arbiter.model import CaseId
from arbiter.store.exports import JobState
from arbiter.store.log.chains import load_entries
from arbiter.workflow.exports.jobs import ask_for_export
from arbiter.workflow.exports.selecting import selection_of
from arbiter.workflow.reading import certificate, receipt
from clinician_ui.presenters import entry_words
from tests.clinician_ui.conftest import SUBJECT, Browser, Ward
from tests.clinician_ui.visits import Visit, address, both_ways, chromium, visit
from tests.houses import PASSWORD, settle, types_of

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def auditors(ward: Ward) -> AsyncIterator[None]:
    await add_site(ward.house.identities, "south", "South Hospital")
    await ward.person("ada", Role.AUDITOR)
    await ward.person("sol", Role.AUDITOR, site="south")
    await ward.person("diana", Role.AUDITOR, also=frozenset({Role.DISCLOSURE}))
    await ward.person("olga", Role.FLEET_OPERATOR)
    yield


async def decided(ward: Ward) -> CaseId:
    case = await ward.case()
    anna = await ward.claimed(case)
    await anna.opinion(case)
    await anna.send(f"/cases/{case}/reveal")
    assert (await anna.sign(case)).status_code == 303
    await settle(ward.house)
    return case


# --- trails ----------------------------------------------------------------------------------------------------------


async def test_a_trail_has_every_entry_in_words_with_who_and_its_hash(ward: Ward) -> None:
    case = await decided(ward)
    ada = await ward.logged_in("ada")
    await ada.get("/audit")
    led = await ada.send("/audit/find", case=f"  {case} ")
    assert (led.status_code, led.headers["location"]) == (303, f"/audit/cases/{case}")
    page = (await ada.get(led.headers["location"])).text
    async with ward.house.store.read() as transaction:
        rows = await load_entries(transaction, case)
    assert page.count('class="arbiter-entry"') == len(rows)
    for _, body, index in rows:
        entry = Entry.from_bytes(body)
        assert entry_words.OF_CASES[entry.type] in page.replace("&#39;", "'")
        assert "Not sealed yet" in page if index is None else f"leaf {index}" in page
    assert "Anna" in page
    assert "Commits to: the certificate" in page
    assert SUBJECT not in page
    assert "urgent-review" not in page


async def test_looking_at_the_log_leaves_no_entry(ward: Ward) -> None:
    case = await decided(ward)
    before = await types_of(ward.house, case)
    ada = await ward.logged_in("ada")
    for path in ("/audit", f"/audit/cases/{case}", "/audit/entries", "/audit/receipt", "/audit/exports"):
        assert (await ada.get(path)).status_code == 200
    assert await types_of(ward.house, case) == before


async def test_another_sites_auditor_finds_nothing_of_the_case(ward: Ward) -> None:
    case = await decided(ward)
    sol = await ward.logged_in("sol")
    await sol.get("/audit")
    assert (await sol.get(f"/audit/cases/{case}")).status_code == 404
    refused = await sol.send("/audit/find", case=case)
    assert (refused.status_code, "no case with this id at your sites" in refused.text) == (422, True)
    for query in ("", "?kind=case.decided", "?site=south"):
        assert case not in (await sol.get(f"/audit/entries{query}")).text
    assert (await sol.get("/audit/entries?site=north")).status_code == 404
    await sol.get("/audit/exports")
    assert (await sol.send("/audit/exports", cases=case)).status_code == 422
    assert (await sol.send("/audit/exports", sites="north")).status_code == 422


@pytest.mark.parametrize("login", ["anna", "olga"])
async def test_nobody_but_an_auditor_gets_there(ward: Ward, login: str) -> None:
    case = await decided(ward)
    browser = await ward.logged_in(login)
    for path in ("/audit", "/audit/entries", "/audit/receipt", "/audit/exports", f"/audit/cases/{case}"):
        answer = await browser.get(path)
        assert answer.status_code == 403
        assert "released" not in answer.text
    for path, values in (
        ("/audit/find", {"case": case}),
        ("/audit/receipt", {"receipt": "{}"}),
        ("/audit/exports", {"cases": case}),
        ("/audit/exports/e_" + "a" * 24 + "/delete", {}),
    ):
        assert (await browser.send(path, **values)).status_code == 403


async def test_what_may_be_a_patients_number_is_in_no_address_and_no_redirect(ward: Ward) -> None:
    ada = await ward.logged_in("ada")
    await ada.get("/audit")
    answer = await ada.send("/audit/find", case=SUBJECT)
    assert answer.status_code == 422
    assert "location" not in answer.headers
    assert (await ada.get("/audit/find")).headers["location"] == "/audit"
    assert (await ada.get("/audit/cases/MRN7714403")).status_code == 404


async def test_forms_without_the_token_ask_for_nothing(ward: Ward) -> None:
    case = await decided(ward)
    ada = await ward.logged_in("ada")
    await ada.get("/audit")
    for path in ("/audit/find", "/audit/receipt", "/audit/exports"):
        assert (await ada.send_raw(path, {"csrf_token": "A" * 43, "case": case})).status_code == 403
        values = {"csrf_token": ada.token, "case": case}
        assert (await ada.send_raw(path, values, Sec_Fetch_Site="cross-site")).status_code == 403


async def test_entries_are_found_by_kind_and_time_and_a_bad_time_is_said(ward: Ward) -> None:
    case = await decided(ward)
    ada = await ward.logged_in("ada")
    page = (await ada.get("/audit/entries?kind=decision.signed")).text
    assert f"/audit/cases/{case}" in page
    assert "case.claimed" not in page.partition("<ol")[2]
    none = (await ada.get("/audit/entries?since=2031-01-01T00:00")).text
    assert "fits" in none
    assert "<ol" not in none
    for query in (
        "since=yesterday",
        "until=MRN+1",
        "since=2026-03-02T00:00&until=2026-03-01T00:00",
        "since=0001-01-01",
    ):
        assert (await ada.get(f"/audit/entries?{query}")).status_code in {200, 422}
    assert (await ada.get("/audit/entries?since=yesterday")).status_code == 422
    assert (await ada.get("/audit/entries?until=9999-12-31T23:59")).status_code == 200
    assert (await ada.get("/audit/entries?before=" + "9" * 15)).status_code == 200


async def test_every_kind_and_every_document_has_words() -> None:
    assert set(entry_words.OF_CASES) == set(EntryType)
    named = frozenset().union(*DOCUMENTS.values(), *OPTIONAL_DOCUMENTS.values())
    assert set(entry_words.DOCUMENTS) >= named


# --- receipts --------------------------------------------------------------------------------------------------------


async def a_receipt(ward: Ward) -> tuple[str, str]:
    case = await decided(ward)
    return (
        (await receipt(ward.house, ward.client, case)).decode(),
        (await certificate(ward.house, ward.client, case)).decode(),
    )


def states(page: str) -> list[str]:
    return re.findall(r"nhsuk-tag[^>]*>\s*(Passed|Failed|Not reached)", page)


async def test_a_genuine_receipt_passes_each_check_and_shows_nothing_it_opens(ward: Ward) -> None:
    given, opened = await a_receipt(ward)
    ada = await ward.logged_in("ada")
    await ada.get("/audit/receipt")
    page = (await ada.send("/audit/receipt", receipt=given, certificate=opened)).text
    assert "The receipt is genuine" in page
    assert states(page) == ["Passed"] * 6
    key = ward.house.verifiers[0]
    assert f"signed by {key.label}" in page
    assert f"arbiter audit verify-receipt receipt.json --key {key.encode()}" in page
    assert "urgent-review" not in page
    assert SUBJECT not in page


@pytest.mark.parametrize(
    ("spoil", "passed"),
    [
        (lambda text: "{}", 0),
        (lambda text: text[:-1], 0),
        (lambda text: "<script>alert(1)</script>", 0),
        (lambda text: _with(text, entry=lambda entry: entry.replace("case.decided", "case.released")), 3),
        (lambda text: _with(text, entry=lambda entry: entry + " "), 1),
        (lambda text: _with(text, proof=lambda proof: proof.replace("log.hospital", "log.other")), 2),
        (lambda text: _with(text, proof=lambda proof: re.sub(r"index \d+", "index 0", proof)), 3),
        (lambda text: _opening(text, "content", "eHl6"), 4),
        (lambda text: _opening(text, "name", "facts"), 4),
    ],
    ids=[
        "empty",
        "cut",
        "markup",
        "another type",
        "another spelling",
        "another log",
        "another place",
        "other content",
        "other name",
    ],
)
async def test_a_spoilt_receipt_fails_at_the_check_that_finds_it(
    ward: Ward, spoil: object, passed: int
) -> None:
    given, _ = await a_receipt(ward)
    assert callable(spoil)
    ada = await ward.logged_in("ada")
    await ada.get("/audit/receipt")
    answer = await ada.send("/audit/receipt", receipt=spoil(given))
    assert answer.status_code == 200
    assert "The receipt does not check out" in answer.text
    assert states(answer.text)[:passed] == ["Passed"] * passed
    assert states(answer.text)[passed] == "Failed"
    assert set(states(answer.text)[passed + 1 :]) <= {"Not reached"}
    assert "<script>alert" not in answer.text


def _with(text: str, **changes: object) -> str:
    document = json.loads(text)
    for field, change in changes.items():
        assert callable(change)
        document[field] = change(document[field])
    return json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _opening(text: str, field: str, value: str) -> str:
    document = json.loads(text)
    document["openings"][0][field] = value
    return json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


async def test_another_certificate_is_told_apart(ward: Ward) -> None:
    (given, _), (_, other) = await a_receipt(ward), await a_receipt(ward)
    ada = await ward.logged_in("ada")
    await ada.get("/audit/receipt")
    page = (await ada.send("/audit/receipt", receipt=given, certificate=other)).text
    assert "The receipt does not check out" in page
    assert states(page) == ["Passed"] * 5 + ["Failed"]


async def upload(browser: Browser, **files: bytes) -> httpx.Response:
    return await browser.http.post(
        "/audit/receipt",
        data={"csrf_token": browser.token, "receipt": "", "certificate": ""},
        files={name: ("r.json", content, "application/json") for name, content in files.items()},
    )


async def test_a_file_is_taken_as_what_is_pasted_and_too_large_or_too_many_are_refused(ward: Ward) -> None:
    given, opened = await a_receipt(ward)
    ada = await ward.logged_in("ada")
    await ada.get("/audit/receipt")
    page = await upload(ada, receipt_file=given.encode(), certificate_file=opened.encode())
    assert states(page.text) == ["Passed"] * 6
    assert (await upload(ada, receipt_file=b"")).status_code == 422
    assert (await upload(ada, receipt_file=b"\xff\xfe")).status_code == 400
    assert (await upload(ada, receipt_file=b"x" * (1024 * 1024))).status_code == 400
    assert (await upload(ada, receipt_file=b"x", certificate_file=b"y", third=b"z")).status_code == 400
    assert (await upload(ada, other=b"x")).status_code == 400
    answer = await ada.http.post(
        "/audit/receipt",
        content=b"--x\r\nnonsense",
        headers={"Content-Type": "multipart/form-data"},
    )
    assert answer.status_code == 400


# --- exports ---------------------------------------------------------------------------------------------------------


async def test_an_auditor_asks_for_an_export_fetches_and_deletes_it(ward: Ward) -> None:
    case = await decided(ward)
    ada = await ward.logged_in("ada")
    await ada.get("/audit/exports")
    assert (await ada.send("/audit/exports", cases=case)).status_code == 303
    await ward.exports_have_ended("ada")
    page = (await ada.get("/audit/exports")).text
    (export,) = set(re.findall(r"/audit/exports/(e_[a-z2-7]{24})/file", page))
    answer = await ada.get(f"/audit/exports/{export}/file")
    assert answer.headers["content-disposition"] == f'attachment; filename="{export}.zip"'
    assert "no-store" in answer.headers["cache-control"]
    assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None
    assert "log.exported" in await types_of(ward.house, "house")
    diana = await ward.logged_in("diana")
    await diana.get("/audit/exports")
    assert export not in (await diana.get("/audit/exports")).text
    assert (await diana.get(f"/audit/exports/{export}/file")).status_code == 404
    assert (await diana.send(f"/audit/exports/{export}/delete")).status_code == 404
    assert (await ada.send(f"/audit/exports/{export}/delete")).status_code == 303
    assert (await ada.get(f"/audit/exports/{export}/file")).status_code == 404
    assert export not in (await ada.get("/audit/exports")).text


@pytest.mark.parametrize("named", ["\x00", "c_\x00", "c_\u00e4", "c_" + "a" * 5_000])
async def test_what_can_be_no_case_is_refused_beside_the_form(ward: Ward, named: str) -> None:
    ada = await ward.logged_in("ada")
    await ada.get("/audit/exports")
    refused = await ada.send("/audit/exports", cases=named)
    assert refused.status_code == 422
    assert "is not yours to export" in refused.text


async def test_documents_in_the_clear_take_the_right_to_disclose(ward: Ward) -> None:
    case = await decided(ward)
    ada = await ward.logged_in("ada")
    assert "In the clear".lower() not in (await ada.get("/audit/exports")).text
    refused = await ada.send("/audit/exports", cases=case, payloads="yes")
    assert (refused.status_code, "You may not take documents" in refused.text) == (422, True)
    assert "in the clear: this is" in (await (await ward.logged_in("diana")).get("/audit/exports")).text


async def test_an_export_of_an_account_that_is_disabled_meanwhile_is_not_made(ward: Ward) -> None:
    case = await decided(ward)
    gus = await ward.person("gus", Role.AUDITOR)
    # Disabled first, or the house, which makes what is asked for by itself, might be quicker.
    await ward.house.identities.disable_account(gus.id, ward.clock.now())
    exported = (await types_of(ward.house, "house")).count("log.exported")
    await ask_for_export(ward.house, gus, selection_of(cases=[case]))
    (export,) = await ward.exports_have_ended("gus")
    assert export.state is JobState.FAILED
    assert (await types_of(ward.house, "house")).count("log.exported") == exported


async def test_too_many_exports_and_a_crafted_id_are_said(ward: Ward) -> None:
    case = await decided(ward)
    await ward.person("max", Role.AUDITOR)
    browser = await ward.logged_in("max")
    await browser.get("/audit/exports")
    for _ in range(3):
        assert (await browser.send("/audit/exports", cases=case)).status_code == 303
    refused = await browser.send("/audit/exports", cases=case)
    assert (refused.status_code, "Too many exports" in refused.text) == (422, True)
    for crafted in ("e_abc", "e_" + "A" * 24, "..%2f..%2fkeys"):
        assert (await browser.get(f"/audit/exports/{crafted}/file")).status_code == 404
    assert (await browser.send("/audit/exports", cases=case, extra="1")).status_code == 400
    for export in set(re.findall(r"e_[a-z2-7]{24}", (await browser.get("/audit/exports")).text)):
        assert (await browser.send(f"/audit/exports/{export}/delete")).status_code == 303


# --- in a browser ----------------------------------------------------------------------------------------------------


@both_ways
async def test_an_auditor_finds_a_trail_and_checks_a_receipt(
    ward: Ward, address: str, chromium: Chromium, scripted: bool, tmp_path: Path
) -> None:
    given, _ = await a_receipt(ward)
    case = json.loads(json.loads(given)["entry"])["case"]
    async with visit(chromium, address, scripted=scripted) as visited:
        page = visited.page
        await _log_in(visited)
        await visited.look("the log")
        await visited.press("Show its trail")
        await expect(page.get_by_role("alert")).to_contain_text("Enter the id of the case")
        await visited.look("the log, with a mistake")
        await page.get_by_label("Find a case").fill(case)
        await visited.press("Show its trail")
        await page.wait_for_url(f"**/audit/cases/{case}")
        await expect(page.get_by_text("The clinician signed")).to_be_visible()
        await visited.look("a trail")
        await visited.go("/audit/entries?kind=case.decided")
        await visited.look("entries")
        await visited.go("/audit/receipt")
        await visited.look("receipt")
        file = tmp_path / "receipt.json"
        file.write_text(given)
        await page.get_by_label("Or its file", exact=True).set_input_files(file)
        await visited.press("Check it")
        await expect(page.get_by_role("heading", level=2)).to_have_text("The receipt is genuine")
        await visited.look("a genuine receipt")
        await page.get_by_label("Receipt", exact=True).fill(given[:-1])
        await visited.press("Check it")
        await expect(page.get_by_role("heading", level=2)).to_have_text("The receipt does not check out")
        await visited.look("a spoilt receipt")
        await visited.go("/audit/exports")
        await page.get_by_label("Cases").fill(case)
        await visited.press("Ask for it")
        await page.wait_for_url("**/audit/exports")
        await visited.look("exports")
        for button in await page.get_by_role("button", name=re.compile("^Delete")).all():
            await button.click()
            break


async def _log_in(visited: Visit) -> None:
    page = visited.page
    await visited.go("/audit")
    await page.get_by_label("Login").fill("ada")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await visited.press("Log in")
    await page.wait_for_url("**/audit")
