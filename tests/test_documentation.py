"""Every page of the documentation names only what is there, and uses no word that it must not."""

from __future__ import annotations

import re
from pathlib import Path

from arbiter import __version__
from arbiter.settings import PREFIX, ClientSettings, Settings
from tests.cli.commands import every_command
from tests.pages import FENCE, NAMED_TEST, ROOT, code_spans, each_page, prose_of, text_of

_IN_TREE = re.compile(
    r"(?!.*/v\d+$)(?:arbiter|clinician_ui|migrations|compliance|tests|benchmarks|requirements|\.ci)(?:/[\w.-]+)*/?"
    r"|Makefile|LICENSE|pyproject\.toml|[A-Z]+\.md"
)


@each_page
def test_no_variable_is_named_that_the_code_does_not_read(page: Path) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields | ClientSettings.model_fields}
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", text_of(page))) <= known


@each_page
def test_every_make_target_named_is_one(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    spans = "\n".join([*code_spans(page), *(found["body"] for found in FENCE.finditer(text_of(page)))])
    assert set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)", spans)) <= targets


@each_page
def test_every_file_and_folder_named_is_there(page: Path) -> None:
    named = [NAMED_TEST.sub(r"\1", span) for span in code_spans(page)]
    missing = [path for path in named if _IN_TREE.fullmatch(path) and not (ROOT / path).exists()]
    assert missing == []


@each_page
def test_every_test_named_is_there(page: Path) -> None:
    missing = [
        f"{path}::{name}"
        for path, name in NAMED_TEST.findall(text_of(page))
        if name and not re.search(rf"^\s*(?:async )?def {name}\(", text_of(ROOT / path), re.MULTILINE)
    ]
    assert missing == []


@each_page
def test_every_command_of_arbiter_named_is_one(page: Path) -> None:
    plain: set[str] = set()
    grouped: set[str] = set()
    for path, _ in every_command():
        (plain if len(path) == 1 else grouped).add(" ".join(path[:2]))
    spans = "\n".join([*code_spans(page), *(found["body"] for found in FENCE.finditer(text_of(page)))])
    for first, second in re.findall(
        r"(?:(?<=bin/)|(?<![/\w.@-]))arbiter ([a-z]+)(?: ([a-z][a-z-]+))?", spans
    ):
        assert first in plain or f"{first} {second}" in grouped, f"arbiter {first} {second}"


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors_of(file), target


def anchors_of(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_no_page_names_where_it_was_written(page: Path) -> None:
    forbidden = re.compile(
        r"/(?:work|home|root|tmp|Users)/|\bissues? #?\d|(?<![\w&])#\d+\b|\bsession \d|pypi\.org|npmjs|index-url|"
        r"\b(?:lead|brief)'s\b|\bTODO\b|\bFIXME\b",
        re.IGNORECASE,
    )
    assert forbidden.findall(text_of(page)) == []


@each_page
def test_no_page_has_a_trailing_space_or_an_endless_line(page: Path) -> None:
    lines = text_of(page).splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert [line for line in lines if len(line) > 160 and not line.startswith("|")] == []


def test_the_newest_change_is_of_this_version() -> None:
    versions = re.findall(r"^## \[(.+?)\]", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert __version__ in versions[:2]
