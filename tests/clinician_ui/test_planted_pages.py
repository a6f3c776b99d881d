"""A planted case's pages are those of a real one until it is signed; then its signer is told at once."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import httpx
import pytest

from arbiter.identity.roles import Role
from arbiter.model import CaseId, RiskClass
from arbiter.protocols.bundle import ExampleFact, LabelledCase
from arbiter.workflow.oversight.planting import Planted, Wanted, plant
from arbiter.workflow.subjects import SubjectRef
from clinician_ui.pages import create_pages
from tests.clinician_ui.conftest import SPLIT, Ward
from tests.houses import CALM, SITE

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

URGENT: Final = "urgent-review"
_OWN_TO_A_CASE: Final = re.compile(
    r"c_[a-z2-7]{24}|MRN [\d-]+|[0-9a-f]{64}|\d\d:\d\d(:\d\d(\.\d+)?)?(\+\d\d:\d\d|Z)?|\d+\xa0(minutes?|seconds?)|csrf_token\" value=\"[^\"]*"
)


async def planted(ward: Ward) -> CaseId:
    house = replace(
        ward.house, settings=ward.house.settings.model_copy(update={"planted_cases": Path("/srv/planted")})
    )
    paula = await ward.person("paula", Role.POLICY_APPROVER)
    chosen = {**CALM, **SPLIT}
    facts = tuple(ExampleFact(name, *value, 5) for name, value in chosen.items() if value is not None)
    line = LabelledCase("one", "one", RiskClass.ROUTINE, facts, URGENT, "invented", None, ())
    wanted = Wanted(
        "deterioration",
        SITE,
        ward.client.id,
        SubjectRef("urn:example:patients", "MRN 7714403-99"),
        "test",
        "visit-1",
    )
    case, became = await plant(house, paula, line, wanted)
    assert became is Planted.ON_THE_LIST
    return case


def told(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return answer.status_code, headers, _OWN_TO_A_CASE.sub("…", answer.text)


async def test_until_it_is_signed_every_page_is_that_of_a_real_case_and_then_it_is_told(ward: Ward) -> None:
    real, invented = await ward.case(SPLIT), await planted(ward)
    browser = await ward.logged_in("anna")
    listed = (await browser.get("/worklist")).text
    assert real in listed
    assert invented in listed
    assert "Training" not in listed
    assert "planted" not in listed.lower()
    for page in ("/duty", "/worklist/print", "/duty/handover", "/duty/handover/print"):
        text = (await browser.get(page)).text
        assert text.count("Training") == 0, page
    pages: dict[CaseId, list[tuple[int, dict[str, str], str]]] = {}
    for case in (real, invented):
        seen = pages.setdefault(case, [])
        seen.append(told(await browser.get(f"/duty/{case}")))
        assert (await browser.send(f"/worklist/{case}/claim")).status_code == 303
        seen.append(told(await browser.get(f"/cases/{case}")))
        for page in ("/duty/handover", "/duty/handover/print"):
            held = (await browser.get(page)).text
            assert case in held
            assert "Training" not in held
            assert "planted" not in held.lower()
        assert (await browser.opinion(case)).status_code == 303
        seen.append(told(await browser.get(f"/cases/{case}")))
        revealed = await browser.send(f"/cases/{case}/reveal")
        if revealed.status_code == 303:
            seen.append(told(await browser.get(f"/cases/{case}")))
        assert (await browser.sign(case)).status_code == 303
    assert pages[real] == pages[invented]
    done = (await browser.get(f"/cases/{invented}/done")).text
    assert "This was a planted case." in done
    assert "You signed the right answer." in done
    assert "This was a planted case." not in (await browser.get(f"/cases/{real}/done")).text


async def test_every_page_says_that_cases_are_planted_where_they_are(ward: Ward) -> None:
    said = "This department sometimes plants invented cases"
    assert said not in (await (await ward.logged_in("anna")).get("/worklist")).text
    settings = ward.house.settings.model_copy(update={"planted_cases": Path("/srv/planted")})
    there = replace(ward, pages=create_pages(replace(ward.house, settings=settings)))
    assert said in (await (await there.logged_in("anna")).get("/worklist")).text
    assert said in (await there.browser().get("/login")).text
