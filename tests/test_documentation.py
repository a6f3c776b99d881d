"""The documentation is checked against the code: tables, names, paths, links, commands, and the words it must not use."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import cast

import pytest
from typer.main import get_command

from arbiter import __version__
from arbiter.api.app import create_app
from arbiter.api.security import markdown_routes
from arbiter.cli import app
from arbiter.clock import SystemChance, SystemClock
from arbiter.demo import ORIGIN, SITE, Notes
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role, markdown_table
from arbiter.identity.sites import add_site
from arbiter.lifecycle.effects import Effect
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.states import Phase
from arbiter.lifecycle.table import MOVES
from arbiter.model import ReasonCode
from arbiter.protocols.loader import read_shipped, shipped
from arbiter.serving import open_doors
from arbiter.settings import PREFIX, ClientSettings, Mode, Settings
from arbiter.store.database import Database
from arbiter.store.keys import init_keys
from arbiter.wiring import open_house, run_house
from arbiter.workflow.house import House
from tests.audit.go_checker import require_tool
from tests.cli.commands import commands_below

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DECISIONS = sorted((ROOT / "compliance" / "decisions").glob("*.md"))
PAGES = [
    README,
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "compliance").rglob("*.md")),
]

_IN_TREE = re.compile(
    r"(?!.*/v\d+$)(?:arbiter|clinician_ui|migrations|compliance|tests|benchmarks|requirements|\.ci)(?:/[\w.-]+)*/?"
    r"|Makefile|LICENSE|pyproject\.toml|[A-Z]+\.md"
)
_TEST = re.compile(r"(tests/[\w/]+\.py)(?:::(\w+))?")
_FENCE = re.compile(
    r"^(?P<mark><!-- run -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
_HAZARD = re.compile(r"^## (H-\d\d) ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
each_decision = pytest.mark.parametrize("page", DECISIONS, ids=name_of)


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", text_of(page))


def code_spans(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose_of(page))


def table_after(mark: str) -> str:
    """The README's table behind `<!-- mark -->`, as it is written."""
    found = re.search(rf"^<!-- {mark} -->\n((?:\|.*\n)+)", text_of(README), re.MULTILINE)
    assert found is not None, f"README.md has no table after <!-- {mark} -->"
    return found[1]


def cells(table: str) -> list[list[str]]:
    """The rows of a table below its heading."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


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


# --- tables -----------------------------------------------------------------------------------------------------


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


CORE = {"model", "question", "errors", "ports", "lifecycle", "documents"}


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


@each_page
def test_no_variable_is_named_that_the_code_does_not_read(page: Path) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields | ClientSettings.model_fields}
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", text_of(page))) <= known


# --- names --------------------------------------------------------------------------------------------------------


@each_page
def test_every_make_target_named_is_one(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    spans = "\n".join([*code_spans(page), *(found["body"] for found in _FENCE.finditer(text_of(page)))])
    assert set(re.findall(r"\bmake ([a-z]+)", spans)) <= targets


@each_page
def test_every_file_and_folder_named_is_there(page: Path) -> None:
    named = [_TEST.sub(r"\1", span) for span in code_spans(page)]
    missing = [path for path in named if _IN_TREE.fullmatch(path) and not (ROOT / path).exists()]
    assert missing == []


@each_page
def test_every_test_named_is_there(page: Path) -> None:
    missing = [
        f"{path}::{name}"
        for path, name in _TEST.findall(text_of(page))
        if name and not re.search(rf"^\s*(?:async )?def {name}\(", text_of(ROOT / path), re.MULTILINE)
    ]
    assert missing == []


@each_page
def test_every_command_of_arbiter_named_is_one(page: Path) -> None:
    plain: set[str] = set()
    grouped: set[str] = set()
    for path, _ in commands_below(get_command(app)):
        (plain if len(path) == 1 else grouped).add(" ".join(path[:2]))
    spans = "\n".join([*code_spans(page), *(found["body"] for found in _FENCE.finditer(text_of(page)))])
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


# --- hazards and decisions ----------------------------------------------------------------------------------------


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
    proofs = [name for _, name in _TEST.findall(hazard.field("Shown by")) if name]
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
    assert held or any(name for _, name in _TEST.findall(check))


def test_decision_records_are_numbered_without_gap_and_listed() -> None:
    assert [page.name[:4] for page in DECISIONS] == [
        f"{number:04}" for number in range(1, len(DECISIONS) + 1)
    ]
    index = text_of(ROOT / "compliance" / "README.md")
    titles = [text_of(page).splitlines()[0].removeprefix("# ") for page in DECISIONS]
    assert re.findall(r"^- \[(\d{4} .+?)\]\(decisions/(.+?)\)$", index, re.MULTILINE) == [
        (title, page.name) for title, page in zip(titles, DECISIONS, strict=True)
    ]


def test_the_newest_change_is_of_this_version() -> None:
    versions = re.findall(r"^## \[(.+?)\]", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert __version__ in versions[:2]


# --- commands -----------------------------------------------------------------------------------------------------

BLOCKS = [
    (name_of(page), found["body"])
    for page in PAGES
    for found in _FENCE.finditer(text_of(page))
    if found["language"] in {"sh", "bash"}
]
WALK = "\n".join(found["body"] for found in _FENCE.finditer(text_of(README)) if found["mark"])


@pytest.mark.parametrize(
    ("page", "body"), BLOCKS, ids=[f"{page}-{at}" for at, (page, _) in enumerate(BLOCKS)]
)
def test_a_shell_block_parses(page: str, body: str) -> None:
    checked = subprocess.run(
        [require_tool("bash"), "-n"], input=body, text=True, capture_output=True, check=False
    )
    assert checked.returncode == 0, f"{page}: {checked.stderr}"


async def test_the_readmes_walk_with_a_case_works_as_written(database: Database, tmp_path: Path) -> None:
    """Every block marked as run, in order, in one shell, against a serving house furnished as the demonstration's is."""
    require_tool("curl")
    bash = require_tool("bash")
    data = tmp_path / "data"
    init_keys(data, ORIGIN, SystemChance())
    settings = Settings(data=data, port=_free_port(), database_url=database.app_url, mode=Mode.DEMONSTRATION)
    async with open_house(settings) as house, run_house(house), open_doors(house, settings):
        await add_site(house.identities, SITE, "Demonstration Hospital")
        _, token = await register_client(
            house.identities,
            SystemClock(),
            SystemChance(),
            "demonstration",
            [Role.INTEGRATION_CLIENT],
            [SITE],
        )
        Notes(data / "demonstration.json", token).write()
        command = WALK.replace(".venv/bin/arbiter", f"{Path(sys.executable).parent}/arbiter")
        shell = await asyncio.create_subprocess_exec(
            bash, "-euo", "pipefail", "-c", command, cwd=tmp_path,
            env=_environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await shell.communicate()
    told = " ".join(out.decode().split())
    assert shell.returncode == 0, err.decode()
    assert json.loads((tmp_path / "answer.json").read_text())["phase"] == "released"
    for answer in (
        '"plain":"The question: Does this inpatient need urgent review? Three of three voting members',
        "as committed to",
        "none missing against the kept checkpoint",
        "Continue monitoring as planned: recomputed to the same bytes",
        '"detail":"expected one of /min; another unit came"',
        '"detail":"expected 20 to 46 Cel"',
    ):
        assert answer in told


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        # The code beside these tests, wherever the environment's own command was installed from.
        "PYTHONPATH": str(ROOT),
        "ARBITER_DATA": str(settings.data),
        "ARBITER_PORT": str(settings.port),
        "ARBITER_DATABASE_URL": str(settings.database_url),
        "NO_PROXY": "127.0.0.1",
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
