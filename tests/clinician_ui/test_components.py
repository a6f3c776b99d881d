"""The design system's components as templates get them, beside what the design system itself makes of the same parameters."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from jinja2 import Environment, UndefinedError
from markupsafe import Markup

from clinician_ui import components, rendering
from clinician_ui.assets import require_built
from clinician_ui.components import Components
from clinician_ui.pages import create_pages
from clinician_ui.rendering import create_environment
from clinician_ui.texts import ENGLISH, Language, speaking
from tests.clinician_ui.conftest import SUBJECT, Ward
from tests.clinician_ui.pseudo import pseudo_language
from tests.clinician_ui.test_pseudo import PAGES, revealed, with_everybody

TYPED = "the words that somebody typed"
FILES = {"backLink": "back-link", "passwordInput": "password-input", "skipLink": "skip-link"}
CASES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("backLink", {"href": "/worklist", "text": "Work list"}),
    ("button", {"text": "Sign", "variant": "secondary", "preventDoubleClick": True}),
    ("button", {"text": "Sign", "variant": "secondary", "preventDoubleClick": False}),
    ("button", {"html": Markup("Remove <span>it</span>"), "attributes": {"formnovalidate": True}}),
    ("checkboxes", {"name": "facts", "idPrefix": "ask", "items": [{"value": "age", "text": "Age"}]}),
    ("checkboxes", {"name": "facts", "items": [{"value": "age", "text": "Age", "checked": True}]}),
    ("input", {"label": {"text": "Login"}, "id": "login", "name": "login", "spellcheck": False}),
    ("input", {"label": {"text": "How sure?"}, "id": "sure", "name": "sure", "value": "80", "suffix": "%"}),
    ("passwordInput", {"label": {"text": "Password"}, "id": "password", "name": "password"}),
    ("radios", {"name": "option", "items": [{"value": "a", "text": "A", "hint": {"text": "yours"}}]}),
    (
        "radios",
        {"name": "option", "items": [{"value": "a", "text": "A"}], "errorMessage": {"text": "Choose"}},
    ),
    (
        "select",
        {"id": "site", "name": "site", "label": {"text": "Site"}, "items": [{"value": "n", "text": "N"}]},
    ),
    ("skipLink", {"href": "#maincontent"}),
    ("tag", {"text": "<b>Overdue</b>", "colour": "red"}),
    ("tag", {"text": Markup("<b>Overdue</b>"), "colour": "red"}),
    (
        "textarea",
        {"label": {"text": "Note", "size": "s"}, "id": "note", "name": "note", "rows": 1, "value": ""},
    ),
    ("textarea", {"label": {"text": "Note", "size": "s"}, "id": "note", "name": "note", "value": TYPED}),
)


@pytest.fixture
def environment(built: Path) -> Environment:
    """The templates' environment, in which nothing was made yet."""
    return create_environment(require_built(built))


@pytest.fixture
def nhs(environment: Environment) -> Components:
    found = environment.globals["nhs"]
    assert isinstance(found, Components)
    return found


def made_by_the_design_system(environment: Environment, name: str, parameters: Mapping[str, Any]) -> str:
    """What its own macro makes, imported as its documentation tells."""
    path = f"nhsuk/components/{FILES.get(name, name)}/macro.jinja"
    source = f'{{% from "{path}" import {name} %}}{{{{ {name}(parameters) }}}}'
    return environment.from_string(source).render(parameters=parameters)


@pytest.mark.parametrize("order", [CASES, CASES[::-1]], ids=["forwards", "backwards"])
def test_each_component_is_what_the_design_system_makes_however_often_it_is_asked_for(
    environment: Environment, nhs: Components, order: tuple[tuple[str, Mapping[str, Any]], ...]
) -> None:
    languages: tuple[Language, ...] = (ENGLISH, pseudo_language())
    for language, (name, parameters) in itertools.product(languages * 2, order):
        with speaking(language):
            expected = made_by_the_design_system(environment, name, parameters)
            assert getattr(nhs, name)(parameters) == expected, (name, parameters)


def test_its_own_words_are_of_the_language_that_is_spoken(nhs: Components) -> None:
    skip = {"href": "#maincontent"}
    plain = nhs.skipLink(skip)
    with speaking(pseudo_language()):
        foreign = nhs.skipLink(skip)
    assert "Skip to main content" in plain
    assert "Skip to main content" not in foreign
    assert nhs.skipLink(skip) == plain


@pytest.mark.parametrize("name", ["input", "textarea", "passwordInput"])
def test_a_field_in_which_somebody_typed_is_not_kept(nhs: Components, name: str) -> None:
    field = {"label": {"text": "Note"}, "id": "note", "name": "note"}
    assert TYPED in getattr(nhs, name)({**field, "value": TYPED})
    assert not nhs.kept
    assert TYPED not in getattr(nhs, name)({**field, "value": ""})
    assert len(nhs.kept) == 1


@pytest.mark.parametrize("kind", ["date", "datetime-local", "text"])
def test_a_day_is_kept_and_no_other_words_in_its_place(nhs: Components, kind: str) -> None:
    field = {"label": {"text": "From"}, "id": "since", "name": "since", "type": kind}
    for value in (
        TYPED,
        "2026-03-01 " + TYPED,
        "2026-03-01T12:00Z",
        "1 March",
        "\N{FULLWIDTH DIGIT TWO}026-03-01",
    ):
        assert value in nhs.input({**field, "value": value})
    assert not nhs.kept
    for value in ("2026-03-01", "2026-03-01T12:00"):
        assert value in nhs.input({**field, "value": value})
    assert len(nhs.kept) == 2


@pytest.mark.parametrize("name", ["button", "tag"])
def test_what_carries_a_pages_own_markup_is_not_kept(nhs: Components, name: str) -> None:
    assert TYPED in getattr(nhs, name)({"html": Markup(f"Remove <span>{TYPED}</span>")})
    assert not nhs.kept


@pytest.mark.parametrize("name", ["insetText", "details", "panel", "warningCallout", "notificationBanner"])
def test_what_can_hold_a_cases_content_is_not_kept(nhs: Components, name: str) -> None:
    assert TYPED in getattr(nhs, name)({"text": TYPED, "heading": "Heading", "summary": "Summary"})
    assert not nhs.kept


def test_what_stands_around_other_content_is_not_kept(environment: Environment, nhs: Components) -> None:
    source = '{% call nhs.button({"text": "Send"}) %}{{ words }}{% endcall %}'
    template = environment.from_string(source)
    assert [words in template.render(words=words) for words in ("first words", "second words")] == [
        True,
        True,
    ]
    assert "first words" not in template.render(words="second words")
    assert not nhs.kept


def test_no_more_are_kept_than_is_told(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "MOST_KEPT", 3)
    few = create_environment(require_built(built)).globals["nhs"]
    assert isinstance(few, Components)
    for number in range(9):
        few.tag({"text": str(number)})
    assert [each for each in few.kept if "8" in each or "6" in each]
    assert len(few.kept) == 3


def test_a_component_that_there_is_not_stops_the_page(environment: Environment) -> None:
    template = environment.from_string('{{ nhs.buton({"text": "Send"}) }}')
    with pytest.raises(UndefinedError, match="buton"):
        template.render()


def test_what_comes_from_a_case_is_escaped_each_time(nhs: Components) -> None:
    for _ in range(2):
        made = nhs.tag({"text": "<script>alert(1)</script>"})
        assert "<script>" not in made
        assert "&lt;script&gt;" in made


@pytest.mark.timeout(300)
@pytest.mark.asyncio(loop_scope="module")
async def test_no_page_has_anything_of_a_patient_or_anything_typed_kept(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Components] = []

    class Watched(Components):
        def __init__(self, environment: Environment) -> None:
            super().__init__(environment)
            made.append(self)

    monkeypatch.setattr(rendering, "Components", Watched)
    watched = replace(ward, pages=create_pages(ward.house))
    await with_everybody(watched)
    for look in PAGES.values():
        await look(watched)
    browser, case = await revealed(watched)
    dora, ada = await watched.logged_in("dora"), await watched.logged_in("ada")
    await ada.get("/audit/exports")
    await dora.get("/glass")
    shown_again = [
        await browser.send(f"/cases/{case}/sign", reason=TYPED, login=TYPED),
        await browser.send(f"/cases/{case}/refer", reason=TYPED * 400),
        await browser.send(f"/cases/{case}/defer", reason=TYPED),
        await dora.send("/glass", case=TYPED, reason=TYPED),
        await ada.send("/audit/exports", cases=TYPED, since=TYPED),
        await ada.get(f"/audit/entries?since={quote(TYPED)}"),
    ]
    assert [TYPED in answer.text for answer in shown_again] == [True] * len(shown_again)
    kept = "\n".join(written for each in made for written in each.kept)
    assert "Lock my opinion" in kept
    for words in (
        TYPED,
        "the words that",
        SUBJECT,
        "urn:example:patients",
        "visit-",
        "as I see it",
        "ward system",
    ):
        assert words not in kept
