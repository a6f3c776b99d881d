"""Each hazard and each decision record has all its parts, is listed, and names a check that is there."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from arbiter.lifecycle.states import Phase
from arbiter.model import ReasonCode
from arbiter.protocols.loader import read_shipped, shipped
from tests.pages import NAMED_TEST, ROOT, code_spans, name_of, text_of

DECISIONS = sorted((ROOT / "compliance" / "decisions").glob("*.md"))
_HAZARD = re.compile(r"^## (H-\d\d) ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
each_decision = pytest.mark.parametrize("page", DECISIONS, ids=name_of)


@dataclass(frozen=True)
class Hazard:
    """A section of the hazard log."""

    id: str
    title: str
    body: str

    def field(self, name: str) -> str:
        found = re.search(rf"^- \*\*{name}\*\* (.+?)(?=^- \*\*|\Z)", self.body, re.MULTILINE | re.DOTALL)
        assert found is not None, f"{self.id} says nothing of {name}"
        return found[1]


HAZARDS = [
    Hazard(*match) for match in _HAZARD.findall((ROOT / "compliance" / "hazards.md").read_text("utf-8"))
]


def test_hazards_are_numbered_without_gap() -> None:
    assert [hazard.id for hazard in HAZARDS] == [f"H-{number:02}" for number in range(1, len(HAZARDS) + 1)]
    assert len(HAZARDS) >= 15


def test_the_index_of_hazards_names_each_as_its_section_does() -> None:
    rows = re.findall(r"^\| (H-\d\d) \| (.+?) \| (controlled|in part|open) \|$", _hazard_page(), re.MULTILINE)
    assert [row[:2] for row in rows] == [(hazard.id, hazard.title) for hazard in HAZARDS]


def _hazard_page() -> str:
    return text_of(ROOT / "compliance" / "hazards.md")


@pytest.mark.parametrize("hazard", HAZARDS, ids=lambda hazard: hazard.id)
def test_a_hazard_has_cause_harm_control_proof_and_what_is_left(hazard: Hazard) -> None:
    for name in ("Cause", "Harm", "Residual"):
        assert hazard.field(name).strip()
    controls = re.findall(r"`([\w/.-]+\.(?:py|yaml|jinja))`", hazard.field("Control"))
    assert controls, f"{hazard.id} names no file that controls it"
    proofs = [name for _, name in NAMED_TEST.findall(hazard.field("Shown by")) if name]
    assert proofs or "nothing yet" in hazard.field("Shown by"), f"{hazard.id} names no test"


def test_every_reason_state_and_rule_named_is_one() -> None:
    known = {code.value for code in ReasonCode} | {phase.value for phase in Phase}
    known |= {rule.id for name in shipped() for rule in read_shipped(name).protocol.rules}
    spans = code_spans(ROOT / "compliance" / "hazards.md")
    assert {span for span in spans if re.fullmatch(r"[a-z]+(-[a-z]+)+", span)} <= known


@each_decision
def test_a_decision_record_has_its_parts_and_fits_a_page(page: Path) -> None:
    text = text_of(page)
    assert re.fullmatch(r"# \d{4} .+", text.splitlines()[0])
    assert text.startswith(f"# {page.name[:4]} ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Check"]
    assert len(text.splitlines()) <= 60


@each_decision
def test_a_decision_record_names_a_check_that_is_there(page: Path) -> None:
    check = text_of(page).split("## Check\n", 1)[1]
    contracts = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    held = [contract["name"] for contract in contracts if f"“{contract['name']}”" in check]
    assert held or any(name for _, name in NAMED_TEST.findall(check))


def test_decision_records_are_numbered_without_gap_and_listed() -> None:
    assert [page.name[:4] for page in DECISIONS] == [
        f"{number:04}" for number in range(1, len(DECISIONS) + 1)
    ]
    index = text_of(ROOT / "compliance" / "README.md")
    titles = [text_of(page).splitlines()[0].removeprefix("# ") for page in DECISIONS]
    assert re.findall(r"^- \[(\d{4} .+?)\]\(decisions/(.+?)\)$", index, re.MULTILINE) == [
        (title, page.name) for title, page in zip(titles, DECISIONS, strict=True)
    ]
