"""The documentation's shell blocks parse, and the README's walk with a case works as it is written."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from arbiter.clock import SystemChance, SystemClock
from arbiter.demo import ORIGIN, SITE, Notes
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.serving import open_doors
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.store.keys import init_keys
from arbiter.wiring import open_house, run_house
from tests.audit.go_checker import require_tool
from tests.pages import FENCE, PAGES, README, ROOT, name_of, text_of

BLOCKS = [
    (name_of(page), found["body"])
    for page in PAGES
    for found in FENCE.finditer(text_of(page))
    if found["language"] in {"sh", "bash"}
]
WALK = "\n".join(found["body"] for found in FENCE.finditer(text_of(README)) if found["mark"])


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
        "the answers make “Continue monitoring as planned” 97.3% probable",
        "Of 6345 labelled cases decided so, 122 were wrong: with 95% confidence at most 2.3% of such decisions are",
        "of real patients they show nothing",
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
