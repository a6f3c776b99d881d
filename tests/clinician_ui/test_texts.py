"""What the pages say can be said in another language: the catalogue is whole, is found, and is spoken for a whole request."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp

from arbiter.errors import ConfigurationError
from arbiter.settings import Mode, Settings
from clinician_ui.assets import STATIC
from clinician_ui.texts import (
    DOMAIN,
    ENGLISH,
    Language,
    Speaking,
    _,
    language_named,
    ngettext,
    noted,
    speaking,
    spoken,
)
from tests.clinician_ui.pseudo import TEMPLATE, pseudo, pseudo_language
from tests.pages import ROOT

ROOM = STATIC.parent


# --- the catalogue -----------------------------------------------------------------------------------------------


def gathered(to: Path) -> bytes:
    """Return what `make texts` would write, by its own command."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.search(r"^texts:.*\n\t.*pybabel (--quiet extract .*)$", makefile, re.MULTILINE)
    assert found is not None
    words = [f"--output={to}" if word.startswith("--output=") else word for word in shlex.split(found[1])]
    command = [sys.executable, "-m", "babel.messages.frontend", *words]
    subprocess.run(command, cwd=ROOM, check=True, capture_output=True)
    return to.read_bytes()


def test_the_committed_template_holds_every_text_of_the_pages(tmp_path: Path) -> None:
    if gathered(tmp_path / "gathered.pot") != TEMPLATE.read_bytes():
        pytest.fail(
            "clinician_ui/languages/clinician_ui.pot is not what `make texts` gathers: run it", pytrace=False
        )


def test_every_place_of_a_text_has_a_name() -> None:
    with TEMPLATE.open("rb") as file:
        for message in read_po(file):
            for text in (message.id,) if isinstance(message.id, str) else message.id:
                assert not re.search(r"\{\}|\{\d|%[sd]", text), text


def test_a_translator_makes_a_catalogue_of_it_that_is_spoken(tmp_path: Path) -> None:
    with TEMPLATE.open("rb") as file:
        welsh = read_po(file, locale="cy")
    message = welsh.get("Log in")
    assert message is not None
    message.string = "Mewngofnodi"
    put(tmp_path, "cy", welsh)
    with speaking(language_named("cy", tmp_path)):
        assert _("Log in") == "Mewngofnodi"
        assert spoken().tag == "cy"
        # What is not translated yet is said in English, not left out.
        assert _("Log out") == "Log out"


def put(folder: Path, name: str, catalogue: Catalog) -> None:
    path = folder / name / "LC_MESSAGES" / f"{DOMAIN}.mo"
    path.parent.mkdir(parents=True)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    path.write_bytes(compiled.getvalue())


def test_each_language_forms_its_plural_by_its_own_rule(tmp_path: Path) -> None:
    polish = Catalog(locale="pl")
    polish.add(("{number} case", "{number} cases"), ("{number} sprawa", "{number} sprawy", "{number} spraw"))
    put(tmp_path, "pl", polish)
    with speaking(language_named("pl", tmp_path)):
        said = [ngettext("{number} case", "{number} cases", number) for number in (1, 2, 5, 22)]
    assert said == ["{number} sprawa", "{number} sprawy", "{number} spraw", "{number} sprawy"]


# --- which language ----------------------------------------------------------------------------------------------


def test_english_needs_no_catalogue() -> None:
    assert language_named("en") is ENGLISH
    assert language_named("en", Path("/nowhere")) is ENGLISH


@pytest.mark.parametrize("name", ["xx", "de", "", "EN", "../en", "cy/../cy", "en-GB", "e" * 200, "cy\n"])
def test_a_language_without_a_catalogue_stops_the_start_and_says_which_there_are(
    tmp_path: Path, name: str
) -> None:
    put(tmp_path, "cy", Catalog(locale="cy"))
    with pytest.raises(ConfigurationError, match=r"ARBITER_LANGUAGE: expected one of cy, en, got"):
        language_named(name, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a catalogue", b"\xde\x12\x04\x95" + b"\xff" * 40])
def test_a_catalogue_that_cannot_be_read_stops_the_start(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, "cy", Catalog(locale="cy"))
    (tmp_path / "cy" / "LC_MESSAGES" / f"{DOMAIN}.mo").write_bytes(content)
    with pytest.raises(ConfigurationError, match="the catalogue of cy cannot be read"):
        language_named("cy", tmp_path)


@pytest.mark.parametrize("name", ["english", "en-GB", "..", "EN", "e", "cy_", "cy_gb", ""])
def test_a_setting_that_names_no_language_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    with pytest.raises(ValueError, match="language"):
        Settings(data=Path("x"), mode=Mode.DEMONSTRATION, language=name)


@pytest.mark.parametrize(
    ("name", "tag", "direction"),
    [("cy", "cy", "ltr"), ("pt_BR", "pt-BR", "ltr"), ("ar", "ar", "rtl"), ("he_IL", "he-IL", "rtl")],
)
def test_a_page_is_told_its_language_and_its_direction(
    tmp_path: Path, name: str, tag: str, direction: str
) -> None:
    put(tmp_path, name, Catalog(locale="en"))
    found = language_named(name, tmp_path)
    assert (found.tag, found.direction) == (tag, direction)


# --- for a whole request -----------------------------------------------------------------------------------------


async def said(application: ASGIApp) -> str:
    sent: list[bytes] = []

    async def send(message: dict[str, object]) -> None:
        body = message.get("body", b"")
        assert isinstance(body, bytes)
        sent.append(body)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    asgi = {"version": "3.0", "spec_version": "2.4"}
    scope = {"type": "http", "asgi": asgi, "method": "GET", "path": "/", "headers": [], "query_string": b""}
    await application(scope, receive, send)  # type: ignore[arg-type] # Starlette's message is any mapping
    return b"".join(sent).decode()


async def test_a_request_is_answered_in_one_language_and_leaves_it_behind() -> None:
    async def page(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        await PlainTextResponse(_("Log in"))(scope, receive, send)

    assert await said(Speaking(page, pseudo_language())) == pseudo("Log in")
    assert _("Log in") == "Log in"
    assert spoken() is ENGLISH


async def test_what_is_said_while_an_answer_streams_is_said_in_it_too() -> None:
    async def lines() -> AsyncIterator[str]:
        for text in ("Log in", "Log out"):
            yield _(text)

    async def page(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        Request(scope, receive)
        await StreamingResponse(lines())(scope, receive, send)

    assert await said(Speaking(page, pseudo_language())) == pseudo("Log in") + pseudo("Log out")


def test_a_block_that_fails_gives_the_language_back() -> None:
    with pytest.raises(RuntimeError), speaking(Language("cy", leftwards=False, texts=NullTranslations())):
        raise RuntimeError
    assert spoken() is ENGLISH


def test_a_noted_text_is_itself() -> None:
    assert noted("Sign the decision") == "Sign the decision"


# --- the language of the tests -----------------------------------------------------------------------------------


@given(st.text("abcXYZ {}%()s<b>/&;.", max_size=60))
def test_the_pseudo_language_has_no_plain_letter_outside_its_places(text: str) -> None:
    outside = re.sub(r"\{[^{}]*\}|%\(\w+\)[sd]|<[^<>]*>|&\w+;", "", pseudo(text))
    assert not re.search("[A-Za-z]", outside)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("due in {length}", ["{length}"]),
        ("%(part)s of <strong>%(whole)s</strong>", ["%(part)s", "<strong>", "%(whole)s", "</strong>"]),
    ],
)
def test_the_pseudo_language_keeps_places_and_marks(text: str, places: list[str]) -> None:
    kept = re.findall(r"\{\w+\}|%\(\w+\)s|</?\w+>", pseudo(text))
    assert kept == places


def test_the_pseudo_language_is_a_third_longer() -> None:
    text = "Nothing was changed. Go back, reload the page, and send the form again."
    assert 1.3 <= len(pseudo(text)) / len(text) <= 1.42
