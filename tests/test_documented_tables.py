"""The README's tables say what the code says: moves, roles, routes, states, settings and what each folder imports."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from enum import Enum
from pathlib import Path
from typing import cast

import pytest

from arbiter.api.app import create_app
from arbiter.api.security import markdown_routes
from arbiter.identity.roles import markdown_table
from arbiter.lifecycle.effects import Effect
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.states import Phase
from arbiter.lifecycle.table import MOVES
from arbiter.settings import PREFIX, ClientSettings, Settings
from arbiter.workflow.house import House
from tests.pages import README, ROOT, text_of


def table_after(mark: str) -> str:
    """The README's table behind `<!-- mark -->`, as it is written."""
    found = re.search(rf"^<!-- {mark} -->\n((?:\|.*\n)+)", text_of(README), re.MULTILINE)
    assert found is not None, f"README.md has no table after <!-- {mark} -->"
    return found[1]


def cells(table: str) -> list[list[str]]:
    """The rows of a table below its heading."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def moves_table() -> str:
    """The table of moves as the README prints it."""
    lines = ["| move | what happens | from | to | entries | effects |", "|---|---|---|---|---|---|"]
    for move in MOVES:
        happens = (move.event.__doc__ or "").splitlines()[0]
        row = (
            f"`{move.event.__name__}`",
            happens,
            _phases(move.sources),
            _phases(move.targets),
            ", ".join(f"`{entry}`" for entry in _in_order(move.entries, EntryType)),
            ", ".join(_words(effect) for effect in sorted(move.effects, key=lambda kind: kind.__name__)),
        )
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def _phases(phases: AbstractSet[Phase | None]) -> str:
    if None in phases:
        return "(nothing yet)"
    held, absent = _in_order(phases, Phase), _in_order(set(Phase) - phases, Phase)
    if not absent:
        return "any"
    return ", ".join(held) if len(held) <= len(absent) else f"any but {', '.join(absent)}"


def _in_order(items: Iterable[object], kind: type[Enum]) -> list[str]:
    held = set(items)
    return [str(item.value) for item in kind if item in held]


def _words(effect: type[Effect]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", effect.__name__).lower()


@pytest.mark.parametrize(
    ("mark", "right"),
    [
        ("moves", moves_table),
        ("roles", markdown_table),
        ("routes", lambda: markdown_routes(create_app(cast(House, None)))),
    ],
    ids=["moves", "roles", "routes"],
)
def test_a_table_of_the_readme_is_the_codes(mark: str, right: Callable[[], str]) -> None:
    expected = right()
    if table_after(mark) != expected:
        pytest.fail(
            f"the table of {mark} in README.md is not the code's, which is:\n\n{expected}", pytrace=False
        )


def test_every_state_is_explained_once_and_in_order() -> None:
    assert [row[0] for row in cells(table_after("states"))] == [phase.value for phase in Phase]


def test_every_setting_is_documented_with_its_default() -> None:
    written = [tuple(row[:2]) for row in cells(table_after("settings"))]
    expected = [
        (f"`{PREFIX}{name.upper()}`", _default(field.default))
        for name, field in (Settings.model_fields | ClientSettings.model_fields).items()
    ]
    assert sorted(written) == sorted(expected)


def _default(value: object) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return f"`{str(value).lower()}`"
        case Enum():
            return f"`{value.value}`"
        case _:
            return f"`{value}`"


CORE = {"model", "question", "calibration", "errors", "ports", "lifecycle", "documents"}


def test_each_folder_imports_what_the_map_allows() -> None:
    above = set(CORE)
    for held, _, may in cells(table_after("folders")):
        words = set(re.findall(r"[a-z]+", may))
        allowed = words | (CORE if "core" in words else set()) | (above if "above" in words else set())
        paths = [ROOT / path for path in re.findall(r"`([^`]+)`", held)]
        above |= {path.stem for path in paths}
        if may and "everything" not in words:
            stray = (
                {name for path in paths for name in _imports(path)} - allowed - {path.stem for path in paths}
            )
            assert stray == set(), f"{held} imports {stray}"


def _imports(path: Path) -> set[str]:
    """The parts of Arbiter that a file or folder imports: `store` for `arbiter.store.cases`."""
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    source = "\n".join(text_of(file) for file in files)
    dotted = set(re.findall(r"^\s*(?:from|import) arbiter\.(\w+)", source, re.MULTILINE))
    for names in re.findall(r"^\s*from arbiter import (.+)$", source, re.MULTILINE):
        dotted |= set(re.findall(r"\w+", names)) - {"__version__"}
    return dotted
