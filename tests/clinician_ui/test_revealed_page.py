"""The revealed panel as markup: what members wrote stays text, nothing nudges, nothing is another patient's."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from arbiter.protocols.loader import read_shipped
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import Falsehood, RefusedCitation
from clinician_ui.assets import Assets, require_built
from clinician_ui.forms import Draft
from clinician_ui.presenters.case import case_page
from clinician_ui.presenters.handling import handling_part
from clinician_ui.presenters.handover import note_words
from clinician_ui.presenters.panel import panel_page
from clinician_ui.presenters.readers import readers_part
from clinician_ui.presenters.signing import signing_part
from clinician_ui.rendering import Renderer
from tests.clinician_ui.certificates import CASE, certificate, cites, drawn, revealed, seat
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Facts, Ward
from tests.clinician_ui.test_presenters import HERE
from tests.panels.misbehaving_server import MARKUP

HOSTILE = {
    "markup": MARKUP,
    "an end of everything": "</bdi></td></tr></table></section></main></body></html><h1>Sign here</h1>",
    "an attribute": "\" autofocus onfocus='alert(1)' x=\"",
    "a direction that is never ended": "\u202e\u2067\u200f\u061cetirw ot",
    "a word of 10,000 characters": "W" * 10_000,
    "a link": "[urgent](https://evil.example/) https://evil.example/ www.evil.example",
    "a template": "{{ 7*7 }} {% include 'layout.jinja' %} %(title)s {title}",
    "an entity": "&lt;script&gt; &amp;#60;b&amp;#62; &#60;i&#62;",
    "a comment": "<!-- --!> <![CDATA[ ]]> <?php",
}


class Marked(HTMLParser):
    """A page taken apart: each element with its attributes, and every text with the elements that it stands in."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, tuple[str, ...]]] = []
        self.comments: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input", "br", "img", "hr"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> ends nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((data, tuple(self._open)))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def attributes(self, name: str) -> Iterator[str | None]:
        return (attributes[name] for _, attributes in self.elements if name in attributes)


def page_of(document: dict[str, Any], *draws: Any, own: OwnOpinion | None = None, built: Path) -> str:
    """The revealed page, rendered with the real templates."""
    assert built.is_dir()
    assets: Assets = require_built()
    case, page = revealed(document, own, *draws), case_page(CASE, HERE)
    visitor = SimpleNamespace(principal=SimpleNamespace(name="Anna"), csrf_token="t", home="/worklist")
    return Renderer(assets, demonstration=False).text(
        "case_revealed",
        visitor=visitor,
        page=page,
        panel=panel_page(case, page),
        signing=signing_part("Anna", case.shown, HERE, passkey=False),
        handling=handling_part((), confers=False),
        readers=readers_part(case, page),
        notes=note_words(case.notes, HERE),
        unchanged=False,
        draft=Draft(),
        mistakes=(),
        errors={},
    )


def said_everywhere(text: str) -> tuple[dict[str, Any], Any]:
    """A certificate in which members say this text wherever they may say anything."""
    document = certificate(
        seat("a", "no", evidence=[cites("respiratory_rate", text, finding=text)], rationale=text),
        seat("b", "yes", evidence=[cites("respiratory_rate", "24", finding=text)], rationale=text),
        seat("c", None, "abstained", rationale=text),
        seat(
            "m", None, "invalid", samples=3, rationale="refused: ungrounded: a cited value is not the case's"
        ),
        plain=text,
    )
    return document, drawn(
        "m", RefusedCitation("heart_rate", text, text, "yes", Falsehood.OTHER_VALUE, 3), refused=3
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_member_writes_never_becomes_markup(text: str, built: Path) -> None:
    plain = Marked(page_of(*said_everywhere("a finding"), built=built))
    hostile = Marked(page_of(*said_everywhere(text), built=built))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert [sorted(attributes) for _, attributes in hostile.elements] == [
        sorted(attributes) for _, attributes in plain.elements
    ]
    assert hostile.comments == plain.comments == []
    assert sorted(map(str, hostile.attributes("href"))) == sorted(map(str, plain.attributes("href")))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_member_writes_stands_isolated_and_whole(text: str, built: Path) -> None:
    page = Marked(page_of(*said_everywhere(text), built=built))
    holding = [inside for found, inside in page.texts if text in found]
    assert len(holding) >= 10
    assert {inside[-1] for inside in holding} == {"bdi"}, "in an element that ends its direction with it"
    assert not any(text in (value or "") for _, attributes in page.elements for value in attributes.values())


def test_the_reviewers_own_note_is_isolated_too(built: Path) -> None:
    own = OwnOpinion("yes", 70, ("respiratory_rate",), MARKUP)
    page = Marked(page_of(certificate(seat("a", "no")), own=own, built=built))
    (inside,) = [inside for found, inside in page.texts if MARKUP in found]
    assert inside[-1] == "bdi"


def test_nothing_is_chosen_for_the_reviewer_whatever_the_panel_says(built: Path) -> None:
    for document in (
        certificate(seat("a", "yes", family="a"), seat("b", "yes", family="b"), verdict=_leaning("yes")),
        certificate(seat("a", "no"), seat("b", "yes")),
    ):
        for own in (None, OwnOpinion("yes", 99, (), "")):
            page = Marked(page_of(document, own=own, built=built))
            choices = [it for tag, it in page.elements if tag == "input" and it.get("name") == "option"]
            assert len(choices) == 2
            assert not any("checked" in it or "autofocus" in it for it in choices)


def _leaning(option: str) -> dict[str, Any]:
    return {"kind": "escalate", "leading": option, "reasons": [], "numbers": [], "wanted": []}


def test_the_light_is_words_and_a_shape_and_not_a_colour_alone(built: Path) -> None:
    page = Marked(
        page_of(certificate(seat("a", "yes", family="a"), seat("b", "yes", family="b")), built=built)
    )
    words = " ".join(text for text, _ in page.texts)
    assert "Green: the families that answered agree" in words
    assert "2 of 2 independent families say “Yes, now”." in words
    (light,) = [it for tag, it in page.elements if tag == "svg" and "arbiter-light" in str(it.get("class"))]
    assert light["aria-hidden"] == "true", "the words beside it say it all"


def test_every_drawing_says_in_words_what_it_shows_or_stands_beside_them(built: Path) -> None:
    document = certificate(
        seat("a", "yes", votes={"yes": 2, "no": 1}, samples=3),
        seat("b", "no"),
        verdict=_leaning("yes")
        | {"numbers": [{"name": "between", "value": "0.6"}, {"name": "within", "value": "0.1"}]},
    )
    drawings = [it for tag, it in Marked(page_of(document, built=built)).elements if tag == "svg"]
    labels = [str(it["aria-label"]) for it in drawings if it.get("role") == "img"]
    assert "Samples of Score a. 2 of 3 samples: Yes, now. 1 of 3 samples: No." in labels
    assert "Between members: 0.60 of 1, limit 0.50" in labels
    assert all(it.get("role") == "img" or it.get("aria-hidden") == "true" for it in drawings)


def test_every_place_in_the_contents_is_on_the_page(built: Path) -> None:
    for document in (certificate(seat("a", "yes")), certificate(seat("a", None, "not-heard")), certificate()):
        page = Marked(page_of(document, built=built))
        places = set(page.attributes("id"))
        assert {str(href)[1:] for href in page.attributes("href") if str(href).startswith("#")} <= places


def test_no_id_is_given_twice(built: Path) -> None:
    ids = list(Marked(page_of(*said_everywhere("x"), built=built)).attributes("id"))
    assert len(ids) == len(set(ids))


# --- over HTTP ---------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_of_another_patient_is_on_a_revealed_page(ward: Ward) -> None:
    others: Facts = {**SPLIT, "lactate": (Decimal("3.7"), "mmol/L"), "temperature": (Decimal("39.4"), "Cel")}
    other, mine = await ward.case(others), await ward.case(SPLIT)
    for case in (other, mine):
        browser = await ward.claimed(case)
        await browser.opinion(case, note=f"a note on {case}")
        await browser.send(f"/cases/{case}/reveal")
    pages = {case: (await browser.get(f"/cases/{case}")).text for case in (other, mine)}
    assert "39.4" in pages[other]
    assert "3.7" in pages[other]
    for foreign in (other, "39.4", "3.7", f"a note on {other}"):
        assert foreign not in pages[mine], foreign
    assert SUBJECT in pages[mine]
    assert pages[mine].count(SUBJECT) == pages[other].count(SUBJECT)


@pytest.mark.asyncio(loop_scope="module")
async def test_rules_are_told_with_who_answers_for_them(ward: Ward) -> None:
    case = await ward.case({"lactate": (Decimal("2.6"), "mmol/L")})
    browser = await ward.claimed(case)
    await browser.opinion(case)
    await browser.send(f"/cases/{case}/reveal")
    page = (await browser.get(f"/cases/{case}")).text
    told = [rule for rule in read_shipped("deterioration").protocol.rules if f">{rule.id}<" in page]
    assert told
    assert all(f", answered for by {rule.owner}" in page for rule in told)
