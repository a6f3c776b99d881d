"""The paper of a case in an export: what it shows, in any script and of any length, and the same each time."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from pypdf import PdfReader

from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.export.manifest import Selection
from arbiter.documents.canonical import encode
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.workflow.dossier import Document
from arbiter.workflow.exports.paper import FONTS, CasePaper, face, paper_of
from tests.exports import an_auditor, exported
from tests.workflow.furniture import Furniture, chain, entries_of


async def test_a_paper_shows_timeline_opinions_rules_words_and_signature(furnished: Furniture) -> None:
    house, cases = furnished.house, furnished.cases
    auditor, _ = await an_auditor(house, Role.DISCLOSURE)
    made = await exported(house, auditor, Selection(payloads=True, paper=True), cases)
    members = made.members()

    def text(case: CaseId) -> str:
        pages = PdfReader(BytesIO(members[f"cases/{case}.pdf"])).pages
        return " ".join("\n".join(page.extract_text() for page in pages).split())

    panel, person = text(cases.decided), text(cases.signed)
    name = next(
        n for n in members if n.startswith(f"payloads/{cases.decided}/") and n.endswith("-certificate.json")
    )
    certificate = json.loads(members[name])
    assert " ".join(certificate["plain"].split())[:60] in panel
    for words in ("NEWS2 (RCP 2017)", "Timeline", "case.released", certificate["policy"]["hits"][0]["rule"]):
        assert words in panel
    for words in (
        "Signature of entry",
        "Anna",
        "I have judged this case myself",
        "looks well",
        "decision.signed",
    ):
        assert words in person
    for entry in entries_of(made):
        assert entry.case == HOUSE_CHAIN or entry.type in text(CaseId(entry.case))


def test_no_character_is_dropped_whatever_the_font_lacks() -> None:
    western = face(FONTS[-1])
    assert western.written("Zoë Müller-Åsgård, Łukasz Škoda") == "Zoë Müller-Åsgård, Łukasz Škoda"
    assert western.written("Erdős 李\x07") == "Erd[U+0151]s [U+674E][U+0007]"
    assert all(font.is_file() for font in FONTS[-1:])


@pytest.mark.parametrize(
    ("rationale", "asks"),
    [
        ("fever\n" * 400, "news2"),
        ("m" * 2_000, "news2"),
        ("fever", "w " * 1_000),
        ("\U0001f912" * 1_900, "news2"),
    ],
    ids=["many lines", "no gap", "narrow column", "characters that grow"],
)
def test_what_is_higher_than_a_page_is_cut_and_says_so(rationale: str, asks: str) -> None:
    opinion = {"title": "A", "asks": asks, "status": "valid", "votes": {"yes": 1}, "rationale": rationale}
    certificate = {"decision": {"title": "Go on"}, "plain": "Go on.", "opinions": [opinion, opinion]}
    document = Document(3, "certificate", bytes(32), encode(certificate))
    paper = CasePaper("c_1", Checkpoint("log.example", 5, bytes(32)), (), (document,))
    pages = PdfReader(BytesIO(paper_of(paper))).pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    assert "the whole stands in the export's document" in text
    assert "Timeline" in text


async def test_the_same_case_has_the_same_paper(furnished: Furniture) -> None:
    entries = tuple(enumerate(await chain(furnished.house, furnished.cases.decided)))
    auditor, _ = await an_auditor(furnished.house)
    checkpoint = (
        (await exported(furnished.house, auditor, Selection(), furnished.cases)).manifest().checkpoint
    )
    paper = CasePaper(furnished.cases.decided, checkpoint, entries, ())
    assert paper_of(paper) == paper_of(paper)
    assert paper_of(paper) != paper_of(CasePaper("c_other", checkpoint, entries, ()))
