"""The command lines: what a panel needs is in them, and what must not be cannot get into them."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arbiter.errors import ConfigurationError, InvalidFleetError
from arbiter.files.values import SERVED_PATTERN
from arbiter.fleet.fleet import Fleet, Replica
from arbiter.fleet.serving import UNSEATED, Serving, command_lines
from tests.fleet.files import a_fleet
from tests.fleet.specs import a_model, a_protocol, a_spec, an_adapter

URLS = ("http://127.0.0.1:8001", "http://127.0.0.1:8002")


def served(
    folder: Path,
    adapters: Sequence[str] = ("respiratory", "circulation"),
    build: str = "gpu",
    urls: Sequence[str] = URLS,
    more: Mapping[str, Any] | None = None,
    **server: Any,
) -> Fleet:
    """A fleet of one server whose folders are there."""
    serve = {
        "build": build,
        "python": "/opt/vllm/bin/python",
        "model": str(a_model(folder / "model")),
        "adapters": {name: str(an_adapter(folder / name)) for name in adapters},
        "context": 4096,
        **(more or {}),
    }
    return a_fleet({"gpu-a": urls}, serve=serve, **server)


def after(serving: Serving, flag: str) -> str:
    """The word behind an option, which must stand there once."""
    assert serving.command.count(flag) == 1, flag
    return serving.command[serving.command.index(flag) + 1]


def test_adapters_stand_together_on_their_base_one_process_a_replica(tmp_path: Path) -> None:
    protocol = a_protocol(a_spec("respiratory"), a_spec("circulation"))
    lines = command_lines(served(tmp_path), protocol)
    assert [(line.replica.name, after(line, "--port")) for line in lines] == [
        ("gpu-a-1", "8001"),
        ("gpu-a-2", "8002"),
    ]
    for line in lines:
        assert line.command[:3] == ("/opt/vllm/bin/vllm", "serve", str(tmp_path / "model"))
        at = line.command.index("--lora-modules")
        assert line.command[at + 1 : at + 3] == (
            f"circulation={tmp_path / 'circulation'}",
            f"respiratory={tmp_path / 'respiratory'}",
        )
        assert after(line, "--max-loras") == "2"
        assert after(line, "--max-lora-rank") == "8"
        assert after(line, "--dtype") == "bfloat16"
        assert after(line, "--max-model-len") == "4096"
        assert line.names == ("circulation", "respiratory")


def test_a_base_beside_adapters_goes_by_a_name_that_no_protocol_can_write(tmp_path: Path) -> None:
    (line, _) = command_lines(served(tmp_path), a_protocol(a_spec()))
    name = after(line, "--served-model-name")
    assert name == UNSEATED
    assert name not in line.names
    assert re.match(SERVED_PATTERN, name) is None


def test_a_base_alone_goes_by_the_name_that_its_seats_ask(tmp_path: Path) -> None:
    protocol = a_protocol(a_spec("big", adapter=None), a_spec("big", adapter=None, samples=1))
    (line, _) = command_lines(served(tmp_path, ()), protocol)
    assert after(line, "--served-model-name") == "big"
    assert line.names == ("big",)
    assert not [word for word in line.command if "lora" in word]


def test_no_adapter_can_be_loaded_while_a_server_runs(tmp_path: Path) -> None:
    for build in ("gpu", "cpu"):
        (line, _) = command_lines(served(tmp_path, build=build), a_protocol(a_spec()))
        assert line.environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "0"


def test_the_cpu_build_is_started_by_its_shim_with_whole_prompts_and_one_thread(tmp_path: Path) -> None:
    (line, _) = command_lines(served(tmp_path, build="cpu"), a_protocol(a_spec()))
    assert line.command[:2] == ("/opt/vllm/bin/python", "-P")
    assert Path(line.command[2]).name == "start_vllm.py"
    assert Path(line.command[2]).is_file()
    assert "--no-enable-chunked-prefill" in line.command
    assert int(after(line, "--max-num-batched-tokens")) >= int(after(line, "--max-model-len"))
    assert line.environment["OMP_NUM_THREADS"] == "1"


def test_the_gpu_build_keeps_its_own_way_of_taking_prompts_in(tmp_path: Path) -> None:
    (line, _) = command_lines(served(tmp_path), a_protocol(a_spec()))
    assert "--enforce-eager" not in line.command
    assert "--no-enable-chunked-prefill" not in line.command
    assert "OMP_NUM_THREADS" not in line.environment


@pytest.mark.parametrize("build", ["gpu", "cpu"])
def test_nothing_is_computed_alone_unless_the_fleet_file_says_so(tmp_path: Path, build: str) -> None:
    (line, _) = command_lines(served(tmp_path, build=build), a_protocol(a_spec()))
    assert "--max-num-seqs" not in line.command
    assert "--no-enable-prefix-caching" not in line.command
    assert "VLLM_BATCH_INVARIANT" not in line.environment


def test_answers_that_depend_on_nothing_else_are_had_by_kernels_on_a_gpu(tmp_path: Path) -> None:
    fleet = served(tmp_path, more={"batch_invariant": True})
    (line, _) = command_lines(fleet, a_protocol(a_spec()))
    assert line.environment["VLLM_BATCH_INVARIANT"] == "1"
    assert "--max-num-seqs" not in line.command


def test_answers_that_depend_on_nothing_else_are_had_one_at_a_time_on_a_cpu(tmp_path: Path) -> None:
    fleet = served(tmp_path, build="cpu", more={"batch_invariant": True})
    (line, _) = command_lines(fleet, a_protocol(a_spec()))
    assert after(line, "--max-num-seqs") == "1"
    assert "--no-enable-prefix-caching" in line.command
    assert "VLLM_BATCH_INVARIANT" not in line.environment


def test_priority_is_asked_for_where_the_fleet_file_says_so_alone(tmp_path: Path) -> None:
    protocol = a_protocol(a_spec())
    (line, _) = command_lines(served(tmp_path, scheduling="priority"), protocol)
    assert after(line, "--scheduling-policy") == "priority"
    (line, _) = command_lines(served(tmp_path), protocol)
    assert "--scheduling-policy" not in line.command


def test_quantisation_is_asked_for_where_the_seats_say_so_alone(tmp_path: Path) -> None:
    (line, _) = command_lines(served(tmp_path), a_protocol(a_spec(quantisation="fp8")))
    assert after(line, "--quantization") == "fp8"
    (line, _) = command_lines(served(tmp_path), a_protocol(a_spec()))
    assert "--quantization" not in line.command


def test_further_options_come_last_as_they_are(tmp_path: Path) -> None:
    options = ["--tensor-parallel-size", "2"]
    (line, _) = command_lines(served(tmp_path, more={"options": options}), a_protocol(a_spec()))
    assert list(line.command[-2:]) == options


def test_a_line_for_a_shell_gives_a_shell_the_same_words(tmp_path: Path) -> None:
    odd = tmp_path / "a folder; with $odd 'words'"
    (line, _) = command_lines(served(odd), a_protocol(a_spec()))
    words = shlex.split(line.shell())
    assert tuple(words[len(line.environment) :]) == line.command
    assert words[: len(line.environment)] == [f"{name}={value}" for name, value in line.environment.items()]


def test_scores_alone_need_no_server(tmp_path: Path) -> None:
    assert command_lines(served(tmp_path), a_protocol()) == ()


@pytest.mark.parametrize("build", ["gpu", "cpu"])
def test_a_word_among_the_options_never_becomes_an_adapter(tmp_path: Path, build: str) -> None:
    """`--lora-modules` takes every word that follows it."""
    more = {"options": ["unseen=/srv/unseen"]}
    (line, _) = command_lines(served(tmp_path, more=more, build=build), a_protocol(a_spec()))
    at = line.command.index("--lora-modules") + 1
    modules = itertools.takewhile(lambda word: not word.startswith("-"), line.command[at:])
    assert [word.partition("=")[0] for word in modules] == ["circulation", "respiratory"]


def test_several_protocols_share_a_server(tmp_path: Path) -> None:
    lines = command_lines(
        served(tmp_path), a_protocol(a_spec("respiratory")), a_protocol(a_spec("circulation"))
    )
    assert len(lines) == len(URLS)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://10.0.0.5:8000", "10.0.0.5", "8000"),
        ("http://[::1]:8000", "::1", "8000"),
        ("http://vllm.hospital.example", "vllm.hospital.example", "80"),
    ],
)
def test_a_replicas_address_is_its_urls(tmp_path: Path, url: str, host: str, port: str) -> None:
    (line,) = command_lines(served(tmp_path, urls=[url]), a_protocol(a_spec()))
    assert (after(line, "--host"), after(line, "--port")) == (host, port)


@pytest.mark.parametrize("options", [[], ["--seed", "1"], ["--ssl-keyfile", "/etc/tls/key.pem"]])
def test_no_line_is_made_that_would_listen_without_tls_where_the_url_is_https(
    tmp_path: Path, options: list[str]
) -> None:
    fleet = served(tmp_path, urls=["https://vllm.hospital.example"], more={"options": options})
    with pytest.raises(
        ConfigurationError, match=r"server gpu-a, replica gpu-a-1: its URL is https.*--ssl-certfile"
    ):
        command_lines(fleet, a_protocol(a_spec()))


def test_a_line_for_one_replica_asks_nothing_of_the_others(tmp_path: Path) -> None:
    """Another replica may stand behind a proxy, and another server's folders on another machine."""
    here = served(tmp_path, urls=["http://127.0.0.1:8000", "https://vllm.hospital.example"]).servers["gpu-a"]
    assert here.serve is not None
    away = replace(here.serve, adapters={"infection": tmp_path / "elsewhere"})
    there = replace(here, name="gpu-b", serve=away, replicas=(Replica("gpu-b-1", "http://10.0.0.5:8000"),))
    fleet = Fleet({"gpu-a": here, "gpu-b": there})
    protocol = a_protocol(a_spec(), a_spec("infection", server="gpu-b"))
    (line,) = command_lines(fleet, protocol, only=["gpu-a-1"])
    assert (line.server, line.replica.name) == ("gpu-a", "gpu-a-1")
    with pytest.raises(ConfigurationError, match="its URL is https"):
        command_lines(fleet, protocol, only=["gpu-a-2"])
    with pytest.raises(ConfigurationError, match="No such file"):
        command_lines(fleet, protocol, only=["gpu-b-1"])


@pytest.mark.parametrize("option", ["--ssl-certfile=/etc/tls/it.pem", "--ssl_certfile=/etc/tls/it.pem"])
def test_a_server_with_a_certificate_of_its_own_listens_at_its_https_url(tmp_path: Path, option: str) -> None:
    options = [option, "--ssl-keyfile=/etc/tls/key.pem"]
    fleet = served(tmp_path, urls=["https://vllm.hospital.example"], more={"options": options})
    (line,) = command_lines(fleet, a_protocol(a_spec()))
    assert (after(line, "--host"), after(line, "--port")) == ("vllm.hospital.example", "443")
    assert option in line.command


@pytest.mark.parametrize(
    ("rank", "reserved"), [(1, "1"), (2, "8"), (8, "8"), (9, "16"), (33, "64"), (512, "512")]
)
def test_the_rank_reserved_is_the_least_that_holds_every_adapter(
    tmp_path: Path, rank: int, reserved: str
) -> None:
    fleet = served(tmp_path)
    an_adapter(tmp_path / "circulation", rank)
    an_adapter(tmp_path / "respiratory", 1)
    (line, _) = command_lines(fleet, a_protocol(a_spec()))
    assert after(line, "--max-lora-rank") == reserved


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"r": 513}', "of rank 512 at most"),
        ('{"r": 0}', "rank under 'r'"),
        ('{"r": -8}', "rank under 'r'"),
        ('{"r": true}', "rank under 'r'"),
        ('{"r": "8"}', "rank under 'r'"),
        ('{"r": 8.5}', "rank under 'r'"),
        ("{}", "rank under 'r'"),
        ("[8]", "rank under 'r'"),
        ("", "no JSON came"),
        ("[" * 100_000, "no JSON came"),
    ],
)
def test_an_adapter_whose_rank_is_no_rank_is_refused(tmp_path: Path, content: str, told: str) -> None:
    fleet = served(tmp_path)
    (tmp_path / "respiratory" / "adapter_config.json").write_text(content)
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        command_lines(fleet, a_protocol(a_spec()))


def test_an_adapter_that_is_not_there_is_refused(tmp_path: Path) -> None:
    fleet = served(tmp_path)
    (tmp_path / "respiratory" / "adapter_config.json").unlink()
    with pytest.raises(ConfigurationError, match=r"No such file.*the machine that has the model's folders"):
        command_lines(fleet, a_protocol(a_spec()))


@pytest.mark.parametrize(
    ("specs", "adapters", "told"),
    [
        (
            [a_spec(server="elsewhere")],
            ("respiratory",),
            "'elsewhere' is not known; the fleet file names gpu-a",
        ),
        (
            [a_spec("base", adapter=None)],
            ("respiratory",),
            "protocol deterioration, seat member-0, server gpu-a: expected one of the adapters respiratory that the fleet file names, the base 'base' came",
        ),
        ([a_spec("other")], ("respiratory",), "the name 'other' came: correct it, or add its folder"),
        (
            [a_spec(adapter=None)],
            ("respiratory",),
            "'respiratory' came: a base model is not asked beside its adapters",
        ),
        (
            [a_spec("respiratory", adapter="resp")],
            ("respiratory",),
            "the name 'respiratory' and the adapter 'resp' came",
        ),
        (
            [a_spec("respiratory", adapter="circulation")],
            ("respiratory", "circulation"),
            "the name 'respiratory' and the adapter 'circulation' came",
        ),
        ([a_spec()], (), "the fleet file serves a base alone"),
        (
            [a_spec("big", adapter=None), a_spec("small", adapter=None)],
            (),
            "expected one name in all seats that ask it, they say 'big' (protocol",
        ),
        (
            [a_spec(), a_spec("circulation", dtype="float16")],
            ("respiratory", "circulation"),
            "expected one dtype in all seats that ask it, they say 'bfloat16' (protocol",
        ),
        (
            [a_spec(), a_spec("circulation", quantisation="fp8")],
            ("respiratory", "circulation"),
            "expected one quantisation in all seats that ask it, they say '' (protocol",
        ),
    ],
)
def test_what_a_server_cannot_serve_is_refused(
    tmp_path: Path, specs: list[Any], adapters: Sequence[str], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        command_lines(served(tmp_path, adapters), a_protocol(*specs))


def test_a_server_without_a_word_on_how_it_is_started_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected the key 'serve'"):
        command_lines(a_fleet({"gpu-a": URLS[0]}), a_protocol(a_spec()))


def test_two_protocols_that_disagree_on_a_server_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected one dtype"):
        command_lines(served(tmp_path), a_protocol(a_spec()), a_protocol(replace(a_spec(), dtype="float32")))


@pytest.mark.parametrize(
    "option",
    [
        "--served-model-name",
        "--served-model-name=respiratory",
        "--served_model_name",
        "--served",
        "--lora-modules",
        "--enable-lora",
        "--no-enable-lora",
        "--dtype",
        "--quantization",
        "-q",
        "--host",
        "--port=1",
        "--po",
        "--max-model-len",
        "--max-loras",
        "--max-lora-rank",
        "--scheduling-policy",
        "--config",
        "--config=/tmp/all.yaml",
        "--model",
        "--api-key",
        "--api_key=secret",
        "-qawq",
    ],
)
def test_an_option_that_would_unsay_what_a_file_says_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(InvalidFleetError) as refused:
        served(tmp_path, more={"options": ["--seed", "1", option]})
    (problem,) = refused.value.problems
    assert problem.pointer.startswith("fleet.yaml:")
    assert "is not said again here" in problem.detail
    assert "secret" not in problem.detail


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--load-format=dummy", "whose hash is stated"),
        ("--load_format", "whose hash is stated"),
        ("--enable-log-requests", "patient"),
        ("--enable_log_outputs", "patient"),
        ("--enable-log-o", "patient"),
    ],
)
def test_an_option_that_would_undo_what_is_promised_is_refused(tmp_path: Path, option: str, why: str) -> None:
    with pytest.raises(InvalidFleetError) as refused:
        served(tmp_path, more={"options": [option]})
    (problem,) = refused.value.problems
    assert why in problem.detail


@pytest.mark.parametrize("option", ["--max-num-seqs=8", "--max_num_s", "--enable-prefix-caching"])
def test_an_option_that_would_compute_beside_others_again_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(InvalidFleetError, match="1 problem"):
        served(tmp_path, more={"options": [option], "batch_invariant": True})


@pytest.mark.parametrize(
    "option", ["--max-num-seqs", "-tp", "--gpu-memory-utilization=0.9", "--structured-outputs-config.backend"]
)
def test_an_option_that_says_something_new_is_taken(tmp_path: Path, option: str) -> None:
    served(tmp_path, more={"options": [option]})
