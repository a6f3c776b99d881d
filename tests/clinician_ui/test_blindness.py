"""Before the reviewer's own opinion is locked, nothing that a browser receives tells of the panel, the reason or others."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape

import httpx
import pytest

from arbiter.model import CaseId, RiskClass
from arbiter.workflow.publishing import protocols
from clinician_ui.rendering import SECURITY_HEADERS
from tests.clinician_ui.conftest import SUBJECT, Facts, Ward

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES: dict[str, Facts] = {
    "disagreement": {
        "respiratory_rate": (Decimal(24), "/min"),
        "heart_rate": (Decimal(112), "/min"),
        "age": (Decimal(80), "a"),
    },
    "denied by policy": {"lactate": (Decimal("2.6"), "mmol/L")},
    "excluded": {"pregnant": (True, None)},
    "an abstention": {"white_cell_count": None, "systolic_bp": (Decimal(88), "mm[Hg]")},
}
FORBIDDEN = (
    "news2",
    "mews",
    "qsofa",
    "sirs",
    "churpek",
    "subbe",
    "escalat",
    "certificate",
    "verdict",
    "disagree",
    "dissent",
    "majority",
    "abstain",
    "policy",
    "exclu",
    "excluded",
    "rule ",
    "threshold",
    "weight",
    "sepsis",
    "audit status",
    "leant",
    "ben",
)


def received(answer: httpx.Response, ward: Ward) -> str:
    """Return everything a browser got, but for the words of the question's own facts and the headers every page has."""
    fixed = {name.lower() for name in SECURITY_HEADERS}
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items() if name not in fixed)
    text = f"{answer.request.url}\n{headers}\n{unescape(answer.text)}".lower()
    facts = protocols(ward.house)[0].question.facts
    words = {word.lower() for spec in facts for word in (spec.name, spec.title, *dict(spec.codes).values())}
    for word in sorted(words, key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(word)}(?!\w)", "", text)
    return text


def members(ward: Ward) -> list[str]:
    seats = protocols(ward.house)[0].seats
    return [seat.title.lower() for seat in seats] + [seat.family.replace("-", " ").lower() for seat in seats]


async def handed_on(ward: Ward, changes: Facts) -> CaseId:
    """A case that another reviewer has held, looked at and handed back."""
    case = await ward.case(changes)
    ben = await ward.claimed(case, "ben")
    await ben.send(f"/cases/{case}/hand-back")
    return case


@pytest.mark.parametrize("reason", CASES)
async def test_the_blind_page_tells_nothing(ward: Ward, reason: str) -> None:
    case = await handed_on(ward, CASES[reason])
    anna = await ward.claimed(case)
    pages = [
        await anna.get(f"/cases/{case}"),
        await anna.opinion(case, confidence="wrong"),
        await anna.send(f"/cases/{case}/renew", note="typed"),
        await anna.get("/worklist"),
    ]
    for answer in pages:
        text = received(answer, ward)
        # The reviewer is told that a panel exists and comes next, never what it is or said.
        for word in (*FORBIDDEN, *members(ward)):
            assert not re.search(rf"\b{re.escape(word)}", text), word


async def test_the_reason_of_a_case_does_not_alter_the_page_around_its_facts(ward: Ward) -> None:
    shapes = set()
    for reason in ("disagreement", "denied by policy", "excluded"):
        case = await ward.case(CASES[reason])
        anna = await ward.claimed(case)
        text = (await anna.get(f"/cases/{case}")).text
        text = re.sub(r'<section class="arbiter-sheet">.*?</section>', "", text, flags=re.DOTALL)
        text = re.sub(r'<div class="nhsuk-inset-text">.*?</div>', "", text, flags=re.DOTALL)
        text = re.sub(r'<details class="[^"]*arbiter-timeline">.*?</details>', "", text, flags=re.DOTALL)
        text = text.replace(case, "CASE").replace(anna.token, "TOKEN")
        shapes.add(re.sub(r"\d+", "N", text))
    assert len(shapes) == 1


async def test_no_patient_stands_in_an_address_a_title_or_a_header(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    answer = await anna.get(f"/cases/{case}")
    assert SUBJECT in answer.text
    title = re.search(r"<title>(.*?)</title>", answer.text, re.DOTALL)
    assert title is not None
    assert SUBJECT not in title[1] + str(answer.url) + str(answer.headers)
    assert all(SUBJECT not in link for link in re.findall(r'(?:href|action)="([^"]*)"', answer.text))


async def test_an_emergency_that_shows_the_panel_first_tells_so_only_to_whoever_claimed_it(
    ward: Ward,
) -> None:
    case = await ward.case(CASES["disagreement"], RiskClass.EMERGENCY)
    ben = await ward.logged_in("ben")
    for path in ("/worklist", f"/cases/{case}"):
        assert "panel" not in (await ben.get(path)).text
