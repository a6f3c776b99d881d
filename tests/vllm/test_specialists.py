"""The committed specialists behind a real vLLM: answers hold against the case, follow the rule, and the three beat one.

Smaller sets than those of the README's table, by the same code; the bounds are looser by what chance may take from so few.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
import pytest_asyncio

from arbiter.fleet.loader import read_fleet
from arbiter.fleet.running import serve
from arbiter.fleet.serving import command_lines
from arbiter.panels.vllm.brief import BRIEF_V1
from arbiter.specialists.asking import asked_of
from arbiter.specialists.demonstration import SERVER, write_fleet
from arbiter.specialists.evaluation import Ward, client, vote
from arbiter.specialists.puts import BEYOND, CHANGES, changed, usual
from arbiter.specialists.rules import SPECIALISTS
from arbiter.specialists.seated import read_seated
from arbiter.specialists.shipped import ADAPTERS
from tests.system.service import free_port
from tests.vllm.conftest import ROOT

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

SEED = 4_004


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ward(vllm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ward]:
    """The specialists and the generalist, served as `arbiter panel serve` serves."""
    folder = tmp_path_factory.mktemp("specialists")
    fleet = read_fleet(write_fleet(folder, vllm_python, free_port()))
    server = fleet.servers[SERVER]
    assert server.serve is not None
    adapters = MappingProxyType({**server.serve.adapters, "generalist": ADAPTERS / "generalist"})
    server = replace(server, serve=replace(server.serve, adapters=adapters))
    fleet = replace(fleet, servers=MappingProxyType({SERVER: server}))
    protocol = read_seated().protocol
    async with (
        serve(command_lines(fleet, protocol), folder / "fleet", again=False),
        client(server.replicas[0].url) as http,
    ):
        yield Ward(http, protocol)


@pytest.mark.parametrize("member", [rule.name for rule in SPECIALISTS])
async def test_answers_hold_against_the_case_and_follow_the_rule(ward: Ward, member: str) -> None:
    came = await ward.ask(member, usual(60, SEED), constrained=True)
    assert all(one.readable for one in came)
    assert sum(one.grounded for one in came) >= 57
    assert sum(one.right for one in came) >= 57


def allowed_by_guidance(python: Path, schema: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, ROOT / "tests" / "vllm" / "allowed_by_guidance.py", schema, "200"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


async def test_guidance_lets_a_model_write_each_answer_in_the_tokens_that_it_was_trained_in(
    vllm_python: Path, tmp_path: Path
) -> None:
    asked = asked_of(read_seated().protocol, {"spo2": "98"}, 1)
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(BRIEF_V1.schema(asked)), "utf-8")
    ended = allowed_by_guidance(vllm_python, schema)
    assert ended.stdout == "200 200\n", ended.stderr[-2000:]


async def test_without_a_schema_they_keep_to_it_all_the_same(ward: Ward) -> None:
    for rule in SPECIALISTS:
        came = await ward.ask(rule.name, usual(40, SEED), constrained=False)
        assert sum(one.readable for one in came) >= 39


@pytest.mark.parametrize("what", CHANGES)
async def test_what_was_trained_a_little_off_still_holds(ward: Ward, what: str) -> None:
    came = [
        one
        for rule in SPECIALISTS
        for one in await ward.ask(rule.name, changed(what, 20, SEED), constrained=True)
    ]
    assert sum(one.grounded for one in came) >= 54


async def test_what_no_training_showed_is_answered_in_the_schema_at_least(ward: Ward) -> None:
    """Nothing is promised about what they say then: grounding is there to catch it."""
    for what in BEYOND:
        came = await ward.ask(SPECIALISTS[0].name, changed(what, 10, SEED), constrained=True)
        assert all(one.readable for one in came)


@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    "CI" in os.environ, reason="12,000 answers; fewer tell nothing, and the weights are sealed"
)
async def test_the_majority_is_right_more_often_than_the_best_of_them(ward: Ward) -> None:
    votes = await vote(ward, 3_000)
    best = max(votes.singles[rule.name] for rule in SPECIALISTS)
    assert votes.majority > best
    assert votes.z > 2
