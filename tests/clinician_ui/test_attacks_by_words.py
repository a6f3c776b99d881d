"""Whatever anybody writes, in whatever place, is text on every page that shows it: no element, no attribute, no formula comes of it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
import pytest_asyncio

from arbiter.store.database import Database
from clinician_ui.downtime import DowntimeFile
from clinician_ui.presenters.oversight import NAMES
from tests.clinician_ui.scrawled import MARKUP, PLAIN, TURNED, Scrawled, a_scrawled_ward

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def written(
    module_database: Database, built: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Scrawled]]:
    assert built.is_dir()
    folder = tmp_path_factory.mktemp("scrawled")
    async with a_scrawled_ward(folder, module_database, PLAIN, MARKUP, TURNED) as found:
        yield found


class Taken(HTMLParser):
    """A page taken apart: its elements with the names of their attributes, its addresses, comments and text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.addresses: list[str] = []
        self.comments: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        named = {"href", "src", "action", "formaction", "content", "data", "poster", "srcset"}
        self.addresses += [value or "" for name, value in attrs if name in named]

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        self.text += data


NEVER: Final = {"base", "iframe", "object", "embed", "img", "style", "b", "i"}
HARMLESS: Final = re.compile(r"[/#?][^/\\].*|[/?]|[a-z0-9 ,.=-]+", re.ASCII | re.DOTALL)


def harmless(page: str) -> Taken:
    """A page taken apart that runs nothing of its own and leads nowhere else."""
    found = Taken(page)
    assert found.comments == []
    for tag, attributes in found.elements:
        assert tag not in NEVER, tag
        assert tag != "script" or "src" in attributes
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "srcdoc"}], tag
    assert [each for each in found.addresses if not HARMLESS.fullmatch(each)] == []
    return found


async def test_every_page_that_shows_it_has_the_elements_of_a_page_of_plain_words(
    written: list[Scrawled],
) -> None:
    plain, *others = written
    for other in others:
        seen = 0
        for (login, path), (own, place) in zip(plain.pages, other.pages, strict=True):
            quiet = await (await plain.ward.logged_in(login)).get(path)
            loud = await (await other.ward.logged_in(own)).get(place)
            assert quiet.status_code == loud.status_code == 200, place
            told = [harmless(answer.text).elements for answer in (loud, quiet)]
            if path == "/audit/entries":
                # How many there are is not the same at both sites.
                told = [sorted(set(each)) for each in told]
            assert told[0] == told[1], place
            assert own == login.replace(plain.words.name, other.words.name)
            seen += other.words.line[:40] in Taken(loud.text).text
        assert seen > len(other.pages) // 2, "they are shown, or nothing is shown here"


FORMS: Final[tuple[tuple[str, str, Mapping[str, str]], ...]] = (
    ("anna", "/cases/{blind}/opinion", {"option": "", "confidence": "{text}", "note": "{text}"}),
    ("anna", "/cases/{blind}/opinion", {"option": "{text}", "confidence": "5", "rests_on": "{text}"}),
    ("anna", "/cases/{blind}/renew", {"note": "{text}", "option": "{text}", "confidence": "{line}"}),
    ("anna", "/cases/{blind}/refer", {"reason": "{text}\u2028x"}),
    ("anna", "/cases/{blind}/defer", {"wait": "5", "reason": ""}),
    ("anna", "/cases/{blind}/ask-facts", {"note": "{text}"}),
    ("anna", "/cases/{blind}/conflict", {"reason": "x\x00{text}"}),
    ("anna", "/cases/{signed}/opinion", {"option": "urgent-review", "confidence": "5", "note": "{text}"}),
    ("anna", "/cases/{signed}/correct", {"reason": "{text}\u2028x"}),
    ("anna", "/duty/handover", {"case": "{blind}", "to": "{text}", "note-{blind}": "{text}"}),
    ("anna", "/account/passkeys", {"name": "{line}", "passkey": "{text}"}),
    ("anna", "/login", {"login": "{line}", "password": "{text}", "next": "{text}"}),
    ("dana", "/cases/{handed}/sign", {"option": "{line}", "reason": "{text}", "login": "{line}"}),
    ("dana", "/cases/{handed}/attendance", {"attendees": "{text}"}),
    ("ada", "/audit/find", {"case": "{text}"}),
    ("ada", "/audit/receipt", {"receipt": "{text}", "certificate": "{text}"}),
    ("ada", "/audit/exports", {"cases": "{text}", "since": "{line}", "until": "{line}"}),
    ("nobody", "/login", {"login": "{line}", "password": "{line}", "next": "{text}"}),
)
ASKED: Final = (
    ("anna", "/worklist?protocol={query}&said={query}"),
    ("anna", "/cases/{query}"),
    ("anna", "/{query}"),
    ("anna", "/mine?before={query}"),
    ("anna", "/duty/handover?{query}"),
    ("anna", "/cases/{signed}/done?again={query}&signed={query}"),
    ("nobody", "/login?next={query}"),
    ("ada", "/audit/entries?kind={query}&site={query}&since={query}&until={query}&before={query}"),
    ("pia", "/oversight?from={query}&to={query}&protocol={query}&site={query}"),
)


def filled(template: str, at: Scrawled, **more: str) -> str:
    known = {"text": at.words.text, "line": at.words.line, **more, **at.cases}
    return re.sub(r"\{([a-z]+)\}", lambda found: known[found[1]], template)


@pytest.mark.parametrize(("person", "path", "fields"), FORMS, ids=[f"{who} {at}" for who, at, _ in FORMS])
async def test_a_form_that_comes_back_has_what_was_typed_as_text(
    written: list[Scrawled], person: str, path: str, fields: Mapping[str, str]
) -> None:
    shapes = []
    for at in written:
        browser = at.ward.browser() if person == "nobody" else await at.ward.logged_in(at.login(person))
        await browser.get("/login" if person == "nobody" else "/account")
        typed = {filled(name, at): filled(value, at) for name, value in fields.items()}
        answer = await browser.send(filled(path, at), **typed)
        # A session's holder is not let in twice.
        assert answer.status_code in {200, 400, 403, 409, 422}, path
        shapes.append((answer.status_code, harmless(answer.text).elements))
    assert all(shape == shapes[0] for shape in shapes)


@pytest.mark.parametrize(("person", "path"), ASKED)
async def test_an_address_that_says_anything_is_not_believed(
    written: list[Scrawled], person: str, path: str
) -> None:
    for at in written:
        browser = at.ward.browser() if person == "nobody" else await at.ward.logged_in(at.login(person))
        answer = await browser.http.get(filled(path, at, query=quote(at.words.text, safe="")))
        assert answer.status_code in {200, 303, 400, 404, 422}, path
        harmless(answer.text)
        assert "evil" not in answer.headers.get("location", "").partition("?")[0]
        assert "alert" not in "".join(
            f"{name}{value}" for name, value in answer.headers.items() if name != "location"
        )


async def test_the_list_for_a_downtime_runs_nothing_either(written: list[Scrawled]) -> None:
    downtime = DowntimeFile(written[0].ward.house)
    await downtime.write()
    page = downtime.path.read_text(encoding="utf-8")
    assert page.count("<style>") == 1, "its own"
    found = harmless(re.sub(r"<style>.*?</style>", "", page, count=1, flags=re.DOTALL))
    assert all(at.words.line[:40] in found.text for at in written)


@pytest.mark.parametrize("table", NAMES)
async def test_no_cell_of_a_table_is_a_formula(written: list[Scrawled], table: str) -> None:
    for at in written:
        browser = await at.ward.logged_in(at.login("pia"))
        answer = await browser.get(f"/oversight/figures.csv?table={table}")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"].startswith("attachment; ")
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert {len(row) for row in rows} == {len(rows[0])}, "nothing written breaks a row"
        for cell in (cell for row in rows for cell in row):
            assert not re.match(r"\s*[=+@\t\r]|\s*-(?!\d)", cell), cell
