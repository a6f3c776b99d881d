"""`arbiter panel serve`, `check` and `weights` as commands: what they print, and how they end."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from arbiter.cli.failing import Status
from arbiter.fleet.weights import weights_sha256
from tests.cli.conftest import Arbiter, run_process
from tests.fleet.files import fleet_file
from tests.fleet.specs import a_model, an_adapter
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.system.service import Service, free_port


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle with one adapter on its panel, served by two replicas that are not there."""
    serve = {
        "build": "gpu",
        "python": "/opt/vllm/bin/python",
        "model": str(a_model(tmp_path / "model")),
        "adapters": {"respiratory": str(an_adapter(tmp_path / "respiratory"))},
    }
    urls = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    monkeypatch.setenv("ARBITER_FLEET", str(fleet_file(tmp_path, {"gpu-a": urls}, serve=serve)))
    monkeypatch.setenv("ARBITER_DATA", str(tmp_path / "data"))
    text = seat("respiratory", "respiratory").replace(
        "      dtype:", "      adapter: respiratory\n      dtype:"
    )
    monkeypatch.delenv("ARBITER_TOKEN_FILE", raising=False)
    return write_bundle(tmp_path / "bundle", protocol_text("with-a-model", text))


def test_serve_prints_a_line_a_replica_that_a_shell_can_run(arbiter: Arbiter, bundle: Path) -> None:
    ended = arbiter("panel", "serve", str(bundle))
    assert ended.status == Status.DONE
    comments, lines = ended.out.splitlines()[::2], ended.out.splitlines()[1::2]
    assert comments == [f"# gpu-a, replica gpu-a-{number}: respiratory" for number in (1, 2)]
    for line in lines:
        words = [word for word in shlex.split(line) if "=" not in word or word.startswith("respiratory=")]
        assert words[:2] == ["/opt/vllm/bin/vllm", "serve"]


def test_serve_as_json_gives_the_same_words(arbiter: Arbiter, bundle: Path) -> None:
    shown = arbiter("panel", "serve", str(bundle)).out.splitlines()[1::2]
    told = json.loads(arbiter("panel", "serve", str(bundle), "--json").out)
    assert [shlex.join(each["command"]) for each in told] == [
        line.partition("/opt/vllm")[1] + line.partition("/opt/vllm")[2] for line in shown
    ]


def test_one_replica_can_be_printed_alone(arbiter: Arbiter, bundle: Path) -> None:
    ended = arbiter("panel", "serve", str(bundle), "--replica", "gpu-a-2")
    assert ended.out.splitlines()[0] == "# gpu-a, replica gpu-a-2: respiratory"
    assert len(ended.out.splitlines()) == 2


def test_the_servers_key_is_not_printed(
    arbiter: Arbiter, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("made-up-key")
    monkeypatch.setenv("ARBITER_MODEL_SERVER_TOKEN_FILE", str(tmp_path / "key"))
    assert "made-up-key" not in arbiter("panel", "serve", str(bundle)).out


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_replica_or_protocol_that_nobody_knows_is_a_misuse(
    arbiter: Arbiter, bundle: Path, command: str
) -> None:
    ended = arbiter("panel", command, str(bundle), "--replica", "gpu-z")
    assert (ended.status, "expected one of the replicas gpu-a-1, gpu-a-2" in ended.err) == (
        Status.USAGE,
        True,
    )
    ended = arbiter("panel", command, "no-such-protocol")
    assert (ended.status, "or a bundle's folder" in ended.err) == (Status.USAGE, True)


@pytest.mark.parametrize("command", ["serve", "check"])
def test_without_a_fleet_file_it_fails_and_names_the_setting(
    arbiter: Arbiter, bundle: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARBITER_FLEET")
    ended = arbiter("panel", command, str(bundle))
    assert (ended.status, "ARBITER_FLEET is not set" in ended.err) == (Status.FAILED, True)


def test_check_tells_of_each_replica_that_is_not_there_and_fails(arbiter: Arbiter, bundle: Path) -> None:
    ended = arbiter("panel", "check", str(bundle))
    assert ended.status == Status.FAILED
    rows = [line.split("\t") for line in ended.out.splitlines()]
    assert [row[:5] for row in rows] == [
        ["with-a-model", "respiratory", f"gpu-a-{number}", "silent", "answer"] for number in (1, 2)
    ]
    assert all("cannot be reached" in row[6] and row[7] for row in rows)
    assert "2 silent" in ended.err


def test_check_as_json_tells_the_same(arbiter: Arbiter, bundle: Path) -> None:
    ended = arbiter("panel", "check", str(bundle), "--json")
    assert ended.status == Status.FAILED
    told = json.loads(ended.out)
    assert [(seat["replica"], seat["state"]) for seat in told] == [
        ("gpu-a-1", "silent"),
        ("gpu-a-2", "silent"),
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("check",),
        ("check", "deterioration"),
        ("check", "deterioration", "--json"),
        ("check", "deterioration", "--replica", "gpu-a-1"),
        ("serve",),
        ("serve", "deterioration"),
        ("serve", "deterioration", "--json"),
        ("serve", "deterioration", "--run"),
    ],
)
def test_where_no_seat_asks_a_model_no_script_passes(
    arbiter: Arbiter, bundle: Path, words: tuple[str, ...]
) -> None:
    del bundle
    ended = arbiter("panel", *words)
    assert (ended.status, ended.out) == (Status.FAILED, "")
    for named in ("of the servers gpu-a", "deterioration", "ARBITER_FLEET", "ARBITER_PROTOCOLS"):
        assert named in ended.err


def test_to_run_servers_without_their_program_fails_and_names_its_path_and_the_key(
    arbiter: Arbiter, bundle: Path
) -> None:
    ended = arbiter("panel", "serve", str(bundle), "--run")
    assert ended.status == Status.FAILED
    assert "serve.python" in ended.err
    assert "/opt/vllm/bin/vllm; there is none" in ended.err


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_to_see_no_fleet_at_all_is_not_to_see_that_all_is_well(
    service: Service, calling: Mapping[str, str], as_json: tuple[str, ...]
) -> None:
    ended = run_process(service.data, calling, "panel", "watch", "--once", *as_json)
    assert ended.returncode == Status.FAILED
    for named in ("ARBITER_FLEET", "ARBITER_PROTOCOLS", "no running process told"):
        assert named in ended.stderr


def test_a_fleet_file_that_no_process_tells_of_is_an_alarm(
    service: Service, calling: Mapping[str, str], tmp_path: Path
) -> None:
    fleet = fleet_file(tmp_path, {"gpu-a": ["http://127.0.0.1:9"]})
    ended = run_process(service.data, {**calling, "ARBITER_FLEET": str(fleet)}, "panel", "watch", "--once")
    assert ended.returncode == Status.FAILED, ended.stderr
    assert ended.stdout.startswith("alarm\tNo running process tells of the model servers")


def test_weights_prints_what_a_seat_states(arbiter: Arbiter, tmp_path: Path) -> None:
    model, adapter = a_model(tmp_path / "model"), an_adapter(tmp_path / "adapter")
    ended = arbiter("panel", "weights", str(model), "--adapter", str(adapter))
    assert ended.out.strip() == weights_sha256(model, adapter)
    assert arbiter("panel", "weights", str(model)).out.strip() == weights_sha256(model)


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_weights_of_no_folder_fail(arbiter: Arbiter, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    ended = arbiter("panel", "weights", str(tmp_path / name))
    assert (ended.status, ended.out) == (Status.FAILED, "")
    assert str(tmp_path / name) in ended.err
