"""The benchmarks run, small, from end to end; what they measure is asserted nowhere."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fleet.houses import MEMBERS, SAMPLES, SEATS
from benchmarks.gpu.asking import Panel, Point
from benchmarks.gpu.figures import chart, growth, limits
from benchmarks.gpu.plans import CENTRE, cpu_plan, gpu_plan
from benchmarks.gpu.server import read_metrics
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[1]
AIMS = (
    "append and seal in bulk",
    "32 concurrent business transactions",
    "append to signed receipt",
    "inclusion proof",
    "verification of a million",
    "bytes an entry beside its body",
)


def run(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout)


def test_the_logs_benchmark_prints_every_figure_beside_its_aim_and_draws_it(tmp_path: Path) -> None:
    done = run("benchmarks.audit", "--largest", "1000", "--plots", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert re.search(r"fsync of 4 KiB on this disk +p50 +[\d.]+ ms +p99 +[\d.]+ ms", done.stdout)
    for aim in AIMS:
        assert re.search(rf"^ +{aim}.*\d.* aim ", done.stdout, re.MULTILINE), aim
    for fsync_ms in (1, 4):
        assert f"+ {fsync_ms} ms: one durable INSERT" in done.stdout
    assert len(list(tmp_path.glob("*.svg"))) == len(AIMS)


def test_a_log_too_small_to_measure_is_refused() -> None:
    done = run("benchmarks.audit", "--largest", "10", timeout=PATIENCE_SECONDS)
    assert done.returncode == 2
    assert "at least 1000" in done.stderr


def test_the_evaluations_benchmark_times_asking_and_using_again() -> None:
    done = run(
        "benchmarks.evaluation", "--cases", "30", "--protocol", "surgery-readiness", timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    seconds = r"[\d.]+ \([\d.]+ of a processor\)"
    assert re.search(
        rf"surgery-readiness: {seconds} asking everybody, {seconds} from stored opinions", done.stdout
    )


# --- the fleet


@pytest.mark.timeout(400)
def test_the_fleets_overhead_stands_beside_its_aim_and_the_missing_peers_are_told() -> None:
    done = run("benchmarks.fleet", "overhead", "--cases", "6", "--at-once", "2", "--turns", "1", timeout=390)
    assert done.returncode == 0, done.stderr
    assert re.search(r"arbiter, POST to release +p50 +[\d.]+ p99 +[\d.]+", done.stdout)
    assert re.search(r"p50 [\d.]+ ms, aim 30 ms; p99 [\d.]+ ms, aim 150 ms", done.stdout)
    assert "nothing stands beside it" in done.stdout


@pytest.mark.timeout(600)
def test_one_bad_replica_of_three_stands_beside_the_healthy_fleet_with_every_case_decided() -> None:
    done = run("benchmarks.fleet", "tail", "--cases", "24", "--at-once", "2", "--turns", "1", timeout=590)
    assert done.returncode == 0, done.stderr
    for phase in ("one of three dead", "one of three ten times slower"):
        assert re.search(rf"{phase} +p50 .* times the healthy fleet's, aim at most 1.3", done.stdout), phase
        assert re.search(rf"{phase} +\d+ \+ \d+ \+ \d+ for {24 * MEMBERS} members", done.stdout), phase
    assert re.search(r"hedges over the whole run.*cap 5 %", done.stdout)


@pytest.mark.timeout(900)
def test_every_peer_decides_every_case() -> None:
    peers = ROOT / os.environ.get("REQUIRE_PEERS", ".peers")
    if not (peers / "bin" / "python").exists():
        assert "REQUIRE_PEERS" not in os.environ, f"no peers in {peers}"
        pytest.skip("the peers' environment is not here; `make bench-fleet` installs it")
    sizes = ("--cases", "4", "--at-once", "2", "--turns", "1", "--peers", str(peers))
    done = run("benchmarks.fleet", "overhead", *sizes, timeout=890)
    assert done.returncode == 0, done.stderr
    for name in ("asyncio + httpx, no guarantee", "LangGraph, PostgreSQL, sync", "DBOS, PostgreSQL"):
        assert re.search(rf"{re.escape(name)} +p50", done.stdout), name
        assert re.search(
            rf"times the overhead, .* times the processor time of {re.escape(name)}", done.stdout
        )


@contextmanager
def answering(delay_ms: int = 1) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.fleet.answering", "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def call(url: str, document: Any = None, **headers: str) -> Any:
    content = None if document is None else json.dumps(document).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, content, headers), timeout=30) as reply:
        return json.load(reply)


def a_request(model: str, options: list[str]) -> dict[str, Any]:
    facts = [{"name": "spo2", "value": "97"}, {"name": "age", "value": "54"}]
    schema = {"properties": {"option": {"enum": options}}}
    return {
        "model": model,
        "messages": [{"role": "user", "content": f"<<<\n{json.dumps({'facts': facts})}\n>>>"}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": schema}},
        "n": SAMPLES,
        "cache_salt": "ab" * 32,
    }


def test_the_server_answers_each_model_by_its_own_options_and_calls_replies_as_they_were_called() -> None:
    with answering() as url:
        for model, options, right in (
            ("one", ["urgent-review", "continue-monitoring", "abstain"], "continue-monitoring"),
            ("two", ["high", "not-high", "abstain"], "not-high"),
        ):
            for called in ("first", "second-time"):
                reply = call(
                    f"{url}/v1/chat/completions", a_request(model, options), **{"X-Request-Id": called}
                )
                assert (reply["id"], reply["model"]) == (f"chatcmpl-{called}", model)
                said = [json.loads(choice["message"]["content"]) for choice in reply["choices"]]
                assert [answer["option"] for answer in said] == [right] * SAMPLES
                assert said[0]["evidence"] == [
                    {"fact": "spo2", "value": "97", "finding": "within the usual range"}
                ]
        assert call(f"{url}/seen")["asked"] == 4
        assert call(f"{url}/seen")["asked"] == 0, "it counts anew"
        assert call(f"{url}/last").keys() == {"one", "two"}


def test_a_server_takes_as_long_as_it_is_told() -> None:
    with answering() as url:
        call(f"{url}/behave", {"delay_ms": 160})
        call(f"{url}/v1/chat/completions", a_request("one", ["not-high"]))
        # Timers of the loop count whole milliseconds and may end one early.
        assert 150 <= call(f"{url}/seen")["took_ms"]["p50"] < 5_000


def a_peer(tmp_path: Path, url: str, **changes: Any) -> subprocess.CompletedProcess[str]:
    """Run the one peer that needs nothing but what tests have."""
    options = ["continue-monitoring", "abstain"]
    spec = {
        "url": url,
        "requests": [json.dumps(a_request(member, options)) for member in SEATS],
        "samples": SAMPLES,
        "cases": 5,
        "warm": 1,
        "at_once": 2,
        "database": "",
        "turn": 0,
    } | changes
    (tmp_path / "spec.json").write_text(json.dumps(spec), "utf-8")
    return run("benchmarks.peers", str(tmp_path / "spec.json"), "plain", timeout=PATIENCE_SECONDS)


def test_a_peer_asks_every_member_of_every_case(tmp_path: Path) -> None:
    with answering() as url:
        done = a_peer(tmp_path, url)
        assert done.returncode == 0, done.stderr
        measured = json.loads(done.stdout)
        assert len(measured["seconds"]) == len(measured["beyond"]) == 5
        assert all(
            0 <= beyond < whole for beyond, whole in zip(measured["beyond"], measured["seconds"], strict=True)
        )
        assert call(f"{url}/seen")["asked"] == MEMBERS * (5 + 1)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"samples": SAMPLES + 1}, "expected 6 samples, came 5"),
        ({"requests": [json.dumps(a_request("one", ["not-high"]))]}, "expected the option"),
        ({"url": "http://127.0.0.1:9"}, "ConnectError"),
    ],
)
def test_a_peer_that_is_not_answered_rightly_ends_in_an_error(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with answering() as url:
        done = a_peer(tmp_path, **{"url": url, **changes})
        assert done.returncode != 0
        assert complaint in done.stderr


# --- panels on a GPU: what of it runs without one and without vLLM; `tests/vllm` runs the rest

METRICS = """\
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="unseated"} 0.25
vllm:num_requests_waiting{engine="0",model_name="unseated"} 3.0
vllm:num_requests_waiting{engine="1",model_name="unseated"} 4.0
vllm:num_preemptions_total{engine="0",model_name="unseated"} 1e+02
vllm:cache_config_info{block_size="16",cache_dtype="auto",engine="0",num_gpu_blocks="1234"} 1.0
vllm:e2e_request_latency_seconds_bucket{engine="0",le="0.3",model_name="unseated"} 7.0
python_gc_objects_collected_total{generation="0"} 12.0
"""


def test_metrics_are_read_as_vllm_writes_them() -> None:
    found = read_metrics(METRICS)
    assert found["kv_cache_usage_perc"] == 0.25
    assert found["num_requests_waiting"] == 7
    assert found["num_preemptions_total"] == 100
    assert (found["blocks"], found["block_size"]) == (1234, 16)
    assert "python_gc_objects_collected_total" not in found


def test_a_cache_of_unknown_size_is_no_number() -> None:
    assert math.isnan(read_metrics('vllm:cache_config_info{num_gpu_blocks="None"} 1.0')["blocks"])


def test_the_plan_covers_what_is_to_be_told() -> None:
    stages = gpu_plan(("1b", "8b")).stages
    panels = [panel for stage in stages for panel in stage.panels]
    assert {stage.setting.shape.name for stage in stages} == {"1b", "8b"}
    assert {stage.setting.adapters for stage in stages} == {2, 4, 8, 16}
    assert {panel.members for panel in panels} == {3, 5, 7}
    assert {panel.samples for panel in panels} == {1, 2, 4, 8}
    assert {panel.shared_salt for panel in panels} == {True, False}
    assert any(stage.share_of_cache is not None for stage in stages)
    assert {stage.setting.shape.name for stage in cpu_plan().stages} == {"tiny"}


@pytest.mark.parametrize(
    ("shape", "billions"), [("1b", 1.24), ("8b", 8.03)], ids=["Llama 3.2 1B", "Llama 3.1 8B"]
)
def test_shapes_have_the_published_number_of_parameters(shape: str, billions: float) -> None:
    """The model cards say 1.23B (1.24 with the norms) and 8.03B."""
    made = gpu_plan((shape,)).stages[0].setting.shape
    layer = sum(inward * outward for inward, outward in made.projections().values()) + 2 * made.hidden
    ends = made.vocabulary * made.hidden * (1 if made.tied else 2) + made.hidden
    assert (made.layers * layer + ends) / 1e9 == pytest.approx(billions, abs=0.01)


def a_point(panel: Panel = CENTRE, **changes: Any) -> Point:
    point = Point("1b", 8, panel, cases=10, case_rate=2.0, p50=1.0, p99=2.0, cache_tokens=100_000.0)
    point.prompt_tokens, point.answer_tokens = 1_000.0, 150.0
    for name, value in changes.items():
        setattr(point, name, value)
    return point


def test_a_cache_that_was_never_full_is_not_called_the_limit() -> None:
    (said,) = limits([a_point(cache_peak=0.5, waiting_peak=9.0)])
    assert "never was the limit" in said


@pytest.mark.parametrize("changes", [{"cache_peak": 1.0}, {"preemptions": 3.0}])
def test_a_cache_that_was_full_is_told_with_the_cases_that_fit(changes: dict[str, float]) -> None:
    first = a_point(replace(CENTRE, at_once=16), **changes)
    (said,) = limits([a_point(cache_peak=0.4), a_point(replace(CENTRE, at_once=64), **changes), first])
    # 5 members of 1,000 tokens of prompt and 4 samples of 150.
    assert "full from 16 cases in flight on (8,000 tokens a case, of which 12.5 fit" in said


def test_a_sweep_is_of_one_axis_and_one_cache() -> None:
    points = [
        a_point(),
        a_point(replace(CENTRE, at_once=16)),
        a_point(replace(CENTRE, at_once=16, members=3)),
        a_point(replace(CENTRE, shared_salt=True)),
        a_point(replace(CENTRE, at_once=64), cache_tokens=10_000.0),
    ]
    (swept,) = growth(points, CENTRE)
    assert swept[:2] == ("1b-in-flight", "in-flight")
    assert [point.panel.at_once for point in swept[2]] == [8, 16]


def test_a_drawing_is_sound_xml_with_a_point_for_each_number_there_is() -> None:
    drawn = ET.fromstring(chart("a <b>", "members", "s", [1, 2, 3], {"p50": [1.0, math.nan, 3.0]}))
    assert len(drawn.findall("{http://www.w3.org/2000/svg}circle")) == 2


def test_an_environment_without_vllm_is_told_so() -> None:
    done = run("benchmarks.gpu_panel", "--cpu", timeout=PATIENCE_SECONDS)
    assert done.returncode == 2
    assert "expected the Python of an environment that holds vLLM" in done.stderr
