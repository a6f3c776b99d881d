"""A case on paper: its timeline and, where its documents are shown, the conclusions, opinions, rules and signatures.

For reading; what counts are the entries and documents beside it. A character that the font lacks is never dropped: it
stands as its Unicode number, such as `[U+0151]`, and the paper says so. The font is DejaVu Sans where the machine has
it, which covers the European names, and else Bitstream Vera, which comes with the PDF library and covers the western ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import reportlab
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from arbiter.adjudication.certificate import TRAINING
from arbiter.adjudication.certifying import headline
from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.entry import Entry
from arbiter.documents.canonical import decode
from arbiter.workflow.dossier import Document

FONTS = (
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    Path(reportlab.__file__).parent / "fonts" / "Vera.ttf",
)
"""The first that is there is used; the last always is."""

_TRIM = 2_000
_TALLEST = 600
"""Points that a cell may be high: one higher than a page fits nowhere, however few characters it has."""
_PADDING = 2


@dataclass(frozen=True, slots=True)
class CasePaper:
    """What a paper is made of: the case, its entries with their places in the log, and its documents if they are shown."""

    case: str
    checkpoint: Checkpoint
    entries: tuple[tuple[int, Entry], ...]
    documents: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class Face:
    """A font by its name, with the characters it has."""

    name: str
    characters: frozenset[int]

    def written(self, text: str) -> str:
        """Return the text as this font can show it: what it lacks as `[U+0151]`, control characters too."""
        return "".join(
            char if ord(char) in self.characters or char == "\n" else f"[U+{ord(char):04X}]" for char in text
        )


@cache
def face(path: Path | None = None) -> Face:
    """Return the font at `path`, or the first of `FONTS` that is there."""
    chosen = path or next(candidate for candidate in FONTS if candidate.is_file())
    font = TTFont(f"Arbiter{chosen.stem}", str(chosen))
    pdfmetrics.registerFont(font)
    # A no-break hyphen and the like are characters too; a space always is.
    return Face(font.fontName, frozenset(font.face.charToGlyph) | {ord(" ")})


def paper_of(paper: CasePaper, font: Path | None = None) -> bytes:
    """Return the paper as PDF. Two papers of the same case under the same checkpoint have the same bytes."""
    out = BytesIO()
    template = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=18 * mm,
        bottomMargin=20 * mm,
        title=f"Case {paper.case}",
        author="Arbiter",
        invariant=1,
    )
    page = _Page(face(font), paper)
    template.build(list(page.story()), onFirstPage=page.foot, onLaterPages=page.foot)
    return out.getvalue()


class _Page:
    def __init__(self, chosen: Face, paper: CasePaper) -> None:
        self._face = chosen
        self._paper = paper
        self._lacking = False
        self._body = ParagraphStyle("body", fontName=chosen.name, fontSize=8.5, leading=11.5)
        self._small = ParagraphStyle("small", parent=self._body, fontSize=7, leading=9)
        self._head = ParagraphStyle("head", parent=self._body, fontSize=11, leading=16, spaceBefore=8)
        self._title = ParagraphStyle("title", parent=self._body, fontSize=15, leading=20)

    def story(self) -> Iterator[Flowable]:
        """Yield what stands on the pages, in order."""
        paper = self._paper
        yield self._text(f"Case {paper.case}", self._title)
        if any(("mode", "training") in entry.versions for _, entry in paper.entries):
            yield self._text(TRAINING)
        checkpoint = paper.checkpoint
        yield self._text(
            f"From the log {checkpoint.origin} under its checkpoint of {checkpoint.size} entries. This paper is for "
            "reading; the entries and documents in the export beside it are what counts."
        )
        for document in paper.documents:
            yield from self._document(document)
        if not paper.documents:
            yield self._text("The case's documents are not part of this export: only its timeline is.")
        yield from self._timeline()
        if self._lacking:
            yield Spacer(0, 8)
            yield self._text(
                "Characters that this paper's font lacks stand as their Unicode numbers, such as [U+0151].",
                self._small,
            )

    def foot(self, canvas: Canvas, _template: Any) -> None:
        """Write the page's number and what the page belongs to."""
        canvas.setFont(self._face.name, 7)
        words = f"Case {self._paper.case}, page {canvas.getPageNumber()}"
        canvas.drawString(18 * mm, 11 * mm, self._face.written(words))

    def _document(self, document: Document) -> Iterator[Flowable]:
        match document.name:
            case "certificate":
                yield from self._certificate(document.seq, decode(document.content))
            case "signature":
                yield from self._signature(document.seq, decode(document.content))
            case "review" | "reading" | "outcome" | "reason":
                yield from self._plain(document.seq, document.name, decode(document.content))
            case _:
                pass

    def _certificate(self, seq: int, certificate: dict[str, Any]) -> Iterator[Flowable]:
        yield self._text(f"Conclusion of entry {seq}: {headline(certificate)}", self._head)
        yield self._text(certificate["plain"])
        rows = [
            (
                opinion["title"],
                opinion["asks"],
                opinion["status"],
                ", ".join(f"{option}: {count}" for option, count in opinion.get("votes", {}).items()),
                opinion.get("rationale", ""),
            )
            for opinion in certificate["opinions"]
        ]
        yield self._text("Opinions", self._head)
        yield self._table(("Member", "Asked", "Status", "Votes", "Rationale"), rows, (34, 26, 20, 34, 60))
        hits = certificate.get("policy", {}).get("hits", [])
        failures = certificate.get("policy", {}).get("failures", [])
        if hits or failures:
            yield self._text("Rules", self._head)
            told = [(hit["rule"], hit["effect"], hit["rationale"]) for hit in hits]
            told += [(failure["rule"], "failed", failure["cause"]) for failure in failures]
            yield self._table(("Rule", "Effect", "Rationale"), told, (44, 30, 100))

    def _signature(self, seq: int, signature: dict[str, Any]) -> Iterator[Flowable]:
        yield self._text(f"Signature of entry {seq}", self._head)
        yield self._text(f"{signature['name']} ({signature['reviewer']}), {signature['signed_at']}")
        yield self._text(f"Option: {signature['option']}. {signature['meaning']}")
        if signature["reason"]:
            yield self._text(f"Reason: {signature['reason']}")

    def _plain(self, seq: int, name: str, document: dict[str, Any]) -> Iterator[Flowable]:
        yield self._text(f"{name.capitalize()} of entry {seq}", self._head)
        for key, value in document.items():
            yield self._text(f"{key}: {value}")

    def _timeline(self) -> Iterator[Flowable]:
        yield self._text("Timeline", self._head)
        rows = [
            (
                str(entry.seq),
                entry.at.isoformat(sep=" ", timespec="seconds"),
                entry.type,
                entry.actor,
                str(index),
            )
            for index, entry in self._paper.entries
        ]
        yield self._table(
            ("No.", "When (UTC)", "What", "Who", "Place in the log"), rows, (12, 46, 46, 46, 24)
        )

    def _table(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], widths_mm: Sequence[int]
    ) -> LongTable:
        cells = [
            [self._cell(text, width * mm - 2 * _PADDING) for text, width in zip(row, widths_mm, strict=True)]
            for row in (columns, *rows)
        ]
        table = LongTable(cells, [width * mm for width in widths_mm], repeatRows=1)
        table.setStyle(
            TableStyle(
                [
                    ("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.grey),
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ("LEFTPADDING", (0, 0), (-1, -1), _PADDING),
                    ("RIGHTPADDING", (0, 0), (-1, -1), _PADDING),
                ]
            )
        )
        return table

    def _cell(self, text: str, width: float) -> Paragraph:
        """Return a cell `width` points wide; what is cut of it stands whole in the document beside."""
        kept = text[:_TRIM]
        while True:
            told = "" if kept == text else " … (cut here; the whole stands in the export's document)"
            cell = self._text(kept + told, self._small)
            if cell.wrap(width, _TALLEST)[1] <= _TALLEST:
                return cell
            kept = kept[: len(kept) * 3 // 4]

    def _text(self, text: str, style: ParagraphStyle | None = None) -> Paragraph:
        written = self._face.written(text)
        self._lacking = self._lacking or written != text
        return Paragraph(escape(written).replace("\n", "<br/>"), style or self._body)
