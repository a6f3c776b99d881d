"""The page stands alone, is well formed, and what comes from outside never becomes part of it."""

from __future__ import annotations

import dataclasses
import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from arbiter.evaluation.figures.answers import HardCase
from arbiter.evaluation.figures.report import Report
from arbiter.evaluation.page import render
from arbiter.evaluation.plots.drawing import figure, style, svg_of

VOID = {"meta", "link", "br", "img", "input", "hr"}
HOSTILE = (
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "\u202eetiled\u202c\u2066x",
    "nul\x00bell\x07esc\x1b[31m",
    "a" * 10_000,
    "javascript:alert(1)",
    "&lt;script&gt;",
    "\ud800 alone",
)


class Strict(HTMLParser):
    """Takes a page apart and remembers what does not nest."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) != len(names):
            self.faults.append(f"{tag} has an attribute twice")
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes what is not open")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(page: str) -> Strict:
    parser = Strict()
    parser.feed(page)
    parser.close()
    return parser


@pytest.fixture(params=["ward", "theatre"])
def page(request: pytest.FixtureRequest, pages: Path) -> str:
    return (pages / f"{request.param}.html").read_text(encoding="utf-8")


def test_every_element_is_closed_where_it_was_opened(page: str) -> None:
    found = parsed(page)
    assert (found.faults, found.open) == ([], [])


def test_no_id_comes_twice_and_every_reference_has_its_target(page: str) -> None:
    found = parsed(page)
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = re.findall(r'(?:href="#|url\(#|aria-labelledby=")([^")]+)', page)
    assert wanted
    assert set(wanted) <= set(ids)


def test_nothing_is_loaded_and_nothing_runs(page: str) -> None:
    found = parsed(page)
    tags = {tag for tag, _ in found.tags}
    assert not tags & {
        "script",
        "link",
        "img",
        "image",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "foreignobject",
    }
    for tag, attributes in found.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in {"href", "src", "xlink:href", "action"}:
                assert (value or "").startswith("#"), (tag, name, value)
    without_namespaces = page.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|data:", without_namespaces)
    policy = next(attributes["content"] for tag, attributes in found.tags if attributes.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_each_plot_has_a_name_a_caption_and_a_table_behind_it(page: str) -> None:
    found = parsed(page)
    plots = [attributes for tag, attributes in found.tags if tag == "svg"]
    count = {name: sum(tag == name for tag, _ in found.tags) for name in ("figure", "figcaption", "details")}
    assert len(plots) == count["figure"] == count["figcaption"] == count["details"] >= 3
    assert all(attributes.get("role") == "img" and attributes.get("aria-label") for attributes in plots)
    assert all(
        re.search(r"<table>", behind) for behind in re.findall(r"<details>.*?</details>", page, re.DOTALL)
    )


def test_text_in_plots_is_text(page: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert all("<text" in drawing and "<metadata" not in drawing for drawing in drawings)


def test_there_is_one_heading_of_the_first_rank_and_none_skips_one(page: str) -> None:
    ranks = [int(tag[1]) for tag, _ in parsed(page).tags if re.fullmatch(r"h[1-6]", tag)]
    assert ranks.count(1) == 1
    assert ranks[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(ranks))


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_id_never_becomes_markup(ward: Report, hostile: str) -> None:
    assert ward.decisions is not None
    spoilt = dataclasses.replace(
        ward,
        decisions=dataclasses.replace(ward.decisions, hardest=(HardCase(hostile, hostile, hostile, 0.5),)),
        provenance=dataclasses.replace(
            ward.provenance,
            cases_file=hostile,
            labels=(dataclasses.replace(ward.provenance.labels[0], name=hostile),),
        ),
    )
    page = render(spoilt)
    before, after = parsed(render(ward)), parsed(page)
    assert (after.faults, after.open) == ([], [])
    assert {tag for tag, _ in after.tags} <= {tag for tag, _ in before.tags}
    shown = re.findall(r"<bdi>(.*?)</bdi>", page, re.DOTALL)
    assert len(shown) == 1
    assert len(shown[0]) < 600
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown[0])


def test_a_title_with_dollars_and_tags_is_drawn_as_it_is() -> None:
    with style():
        drawn, (axes,) = figure(1.0)
        axes.set_xlabel("<b>$x^2$</b> & </svg><script>")
    svg = svg_of(drawn, "plot", '"><script>alert(1)</script>')
    found = parsed(svg)
    assert (found.faults, found.open) == ([], [])
    assert "script" not in {tag for tag, _ in found.tags}
    assert "<b>$x^2$</b> & </svg><script>" in "".join(found.text)


def test_a_plot_drawn_twice_is_the_same_and_another_has_other_ids() -> None:
    def drawn(name: str) -> str:
        with style():
            own, (axes,) = figure(1.0)
            axes.plot([0, 1], [0, 1], marker="o")
        return svg_of(own, name, "x")

    assert drawn("one") == drawn("one")
    ids = [set(re.findall(r'id="([^"]+)"', drawn(name))) for name in ("one", "two")]
    assert ids[0].isdisjoint(ids[1])
