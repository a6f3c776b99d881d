"""Servers are run as processes of their own: ready when they answer, started again, and gone without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from arbiter.errors import ConfigurationError
from arbiter.fleet.fleet import Fleet
from arbiter.fleet.processes import shared_memory
from arbiter.fleet.running import Running, serve
from arbiter.fleet.serving import Serving, command_lines
from tests.fleet.files import a_fleet, fleet_file
from tests.fleet.specs import a_model, a_protocol, a_spec, an_adapter
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.patience import PATIENCE_SECONDS
from tests.system.service import COMMAND, ROOT, environment, free_port

FAKE = Path(__file__).with_name("fake_vllm.py")


def program(folder: Path) -> Path:
    """A Python beside which a program called `vllm` lies, as in vLLM's environment."""
    folder.mkdir(parents=True, exist_ok=True)
    fake = folder / "vllm"
    fake.write_text(f"#!{sys.executable}\n{FAKE.read_text()}")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    return folder / "python"


def files(folder: Path, behave: Sequence[str] = ()) -> dict[str, object]:
    return {
        "build": "gpu",
        "python": str(program(folder / "bin")),
        "model": str(a_model(folder / "model")),
        "adapters": {
            name: str(an_adapter(folder / "adapters" / name)) for name in ("respiratory", "circulation")
        },
        "options": [word for wrong in behave for word in ("--behave", wrong)],
    }


def fleet(folder: Path, *behave: str, replicas: int = 1) -> Fleet:
    urls = [f"http://127.0.0.1:{free_port()}" for _ in range(replicas)]
    return a_fleet({"gpu-a": urls}, serve=files(folder, behave))


def lines(folder: Path, *behave: str, replicas: int = 1) -> tuple[Serving, ...]:
    return command_lines(fleet(folder, *behave, replicas=replicas), a_protocol(a_spec()))


class Said:
    """What a server printed: who its child is, where its memory is, what its environment was."""

    def __init__(self, running: Running) -> None:
        self.text = running.log.read_text()

    @property
    def child(self) -> int:
        return int(self._after("child"))

    @property
    def memory(self) -> Path:
        return Path("/dev/shm") / self._after("memory")

    @property
    def environment(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self._after("environment"))
        return found

    def _after(self, word: str) -> str:
        found = re.search(rf"^{word} (.*)$", self.text, re.MULTILINE)
        assert found is not None, self.text
        return found[1]


def lives(process: int) -> bool:
    """Asked of the kernel, not of the code under test; a zombie is dead."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


async def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.05)


async def test_a_server_is_ready_when_every_adapter_has_answered(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "kept").mkdir(mode=0o755)
    async with serve(lines(tmp_path), tmp_path / "kept", tell=told.append) as served:
        (running,) = served.running
        assert running.ready.is_set()
        assert stat.S_IMODE(running.log.stat().st_mode) == 0o600, "nobody else reads what a server was asked"
        said = Said(running)
        assert lives(said.child)
        assert said.memory.exists()
    assert [word for word in told if "answers" in word] == [
        "gpu-a-1: circulation answers",
        "gpu-a-1: respiratory answers",
    ]
    assert not lives(said.child)
    assert not said.memory.exists()
    assert running.processes() == []


async def test_what_goes_wrong_inside_leaves_nothing_behind_either(tmp_path: Path) -> None:
    said = None
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what is under test surrounds what fails
        async with serve(lines(tmp_path), tmp_path / "kept") as served:
            said = Said(served.running[0])
            raise ZeroDivisionError
    assert said is not None
    assert not lives(said.child)
    assert not said.memory.exists()


async def test_a_server_that_heeds_no_signal_is_gone_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbiter.fleet.running.STOP_SECONDS", 1.0)
    async with serve(lines(tmp_path, "deaf"), tmp_path / "kept") as served:
        said = Said(served.running[0])
    assert not lives(said.child)
    assert not said.memory.exists()


async def test_cancelled_in_mid_start_leaves_nothing_behind(tmp_path: Path) -> None:
    async def start() -> None:
        async with serve(lines(tmp_path, "dead-engine"), tmp_path / "kept", tell=told.append):
            pytest.fail("a dead engine is never ready")

    told: list[str] = []
    starting = asyncio.create_task(start())
    log = tmp_path / "kept" / "gpu-a.gpu-a-1.log"
    await until(lambda: log.exists() and "child" in log.read_text())
    starting.cancel()
    await asyncio.wait({starting})
    found = re.search(r"^child (.*)$", log.read_text(), re.MULTILINE)
    assert found is not None
    assert not lives(int(found[1]))


async def test_a_dead_engine_behind_green_health_is_never_ready(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="circulation, respiratory gave no completion in 2 s"):
        async with serve(lines(tmp_path, "dead-engine"), tmp_path / "kept", patience_seconds=2):
            pass


async def test_a_server_that_ends_before_it_is_ready_ends_all_and_its_last_words_are_told(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigurationError, match=r"status 3 before it was ready(?s:.*)a made-up reason"):
        async with serve(lines(tmp_path, "dies-at-once", replicas=2), tmp_path / "kept"):
            pass


async def test_a_server_that_ends_is_started_again_and_the_other_goes_on(tmp_path: Path) -> None:
    async with serve(lines(tmp_path, replicas=2), tmp_path / "kept") as served:
        first, second = served.running
        before, other = Said(first), Said(second)
        os.kill(first.processes()[0], signal.SIGKILL)
        await until(lambda: not first.ready.is_set())
        await until(first.ready.is_set)
        assert (first.starts, second.starts) == (2, 1)
        assert not lives(before.child), "nothing of its first life is left"
        assert not before.memory.exists()
        assert lives(other.child)
        assert (tmp_path / "kept" / "gpu-a.gpu-a-1.log.1").read_text() == before.text


async def test_one_that_does_not_come_back_is_tried_again_and_ends_nobody(tmp_path: Path) -> None:
    told: list[str] = []
    async with serve(lines(tmp_path, replicas=2), tmp_path / "kept", tell=told.append) as served:
        first, second = served.running
        (tmp_path / "bin" / "vllm").unlink()
        os.kill(first.processes()[0], signal.SIGKILL)
        # Each try says what is missing, and under which key.
        missing = f"{tmp_path / 'bin' / 'vllm'}; there is none"
        await until(lambda: sum(missing in word and "serve.python" in word for word in told) >= 2)
        assert second.ready.is_set()
        program(tmp_path / "bin")
        await until(first.ready.is_set)
    assert any("is started again in 2 s" in word for word in told), "after a growing pause"


async def test_a_server_that_runs_is_seldom_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read what a process has mapped holds that process up."""
    looks: list[float] = []

    def look(processes: Iterable[int]) -> set[Path]:
        looks.append(time.monotonic())
        return shared_memory(processes)

    monkeypatch.setattr("arbiter.fleet.running.shared_memory", look)
    async with serve(lines(tmp_path), tmp_path / "kept"):
        ready = time.monotonic()
        await asyncio.sleep(1.5)
        assert sum(look > ready for look in looks) <= 1


async def test_the_log_of_a_server_that_talks_on_stays_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbiter.fleet.running._LOG_BYTES", 4_000)
    monkeypatch.setattr("arbiter.fleet.running._UPKEEP_SECONDS", 0.1)
    async with serve(lines(tmp_path, "talks"), tmp_path / "kept") as served:
        log = served.running[0].log
        older = log.with_suffix(".log.1")
        await until(older.exists)
        first = older.read_text()
        await until(lambda: older.read_text() != first)
        await until(lambda: log.stat().st_size > 0)
    assert older.read_text().count("a line of its log") > 100
    assert stat.S_IMODE(older.stat().st_mode) == 0o600
    assert "\0" not in log.read_text(), "what comes after a new beginning is written there"


async def test_without_starting_again_the_end_of_one_is_told(tmp_path: Path) -> None:
    async with serve(lines(tmp_path, "dies-later"), tmp_path / "kept", again=False) as served:
        said = Said(served.running[0])
        with pytest.raises(ConfigurationError, match="ended with status -9"):
            await asyncio.wait_for(served.ended(), PATIENCE_SECONDS)
    assert not lives(said.child)
    assert not said.memory.exists()


async def test_a_taken_address_is_refused_whoever_has_it(tmp_path: Path) -> None:
    """Else another server that answers there would be taken for this one."""
    (line,) = lines(tmp_path)
    with (
        socket.create_server(("127.0.0.1", line.port)),
        pytest.raises(ConfigurationError, match="is taken by another process"),
    ):
        async with serve([line], tmp_path / "kept"):
            pass


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://192.0.2.1:8000", "no address of this machine"),
        ("http://nowhere.invalid:8000", "names no machine that is known here"),
    ],
)
async def test_a_replica_of_another_machine_is_refused(tmp_path: Path, url: str, told: str) -> None:
    (line,) = command_lines(a_fleet({"gpu-a": url}, serve=files(tmp_path)), a_protocol(a_spec()))
    with pytest.raises(ConfigurationError, match=told):
        async with serve([line], tmp_path / "kept"):
            pass


async def test_a_server_gets_few_names_none_of_the_callers_secrets_and_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARBITER_DATABASE_URL", "postgresql://user:made-up-password@db/arbiter")
    monkeypatch.setenv("HF_TOKEN", "made-up-token")
    monkeypatch.setenv("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    async with serve(lines(tmp_path), tmp_path / "kept", token="made-up-key") as served:
        seen = Said(served.running[0]).environment
    assert seen["VLLM_API_KEY"] == "made-up-key"
    assert seen["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "0"
    assert seen["CUDA_VISIBLE_DEVICES"] == "1"
    assert seen["HF_HUB_OFFLINE"] == "1"
    assert not {"ARBITER_DATABASE_URL", "HF_TOKEN"} & seen.keys()
    assert "made-up-password" not in json.dumps(seen)


# --- the command


def command_files(folder: Path, *behave: str) -> tuple[Path, dict[str, str]]:
    """A bundle, and the variables that name its fleet."""
    bundle = write_bundle(folder / "bundle", protocol_text("with-models", _seat("respiratory")))
    url = f"http://127.0.0.1:{free_port()}"
    path = fleet_file(folder, {"gpu-a": url}, serve=files(folder, behave))
    return bundle, environment(folder / "data", ARBITER_FLEET=str(path))


def _seat(name: str) -> str:
    return seat(name, name).replace("      dtype:", f"      adapter: {name}\n      dtype:")


def started(folder: Path, *behave: str) -> subprocess.Popen[str]:
    """`arbiter panel serve --run` once it says that all is ready."""
    bundle, variables = command_files(folder, *behave)
    process = subprocess.Popen(
        [*COMMAND, "panel", "serve", str(bundle), "--run"],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told: list[str] = []
    for line in process.stderr:
        told.append(line)
        if "Ctrl-C stops" in line:
            return process
    pytest.fail("".join(told))


def log_of(folder: Path) -> str:
    return (folder / "data" / "fleet" / "gpu-a.gpu-a-1.log").read_text()


def trace_of(folder: Path) -> tuple[int, Path]:
    child = re.search(r"^child (.*)$", log_of(folder), re.MULTILINE)
    memory = re.search(r"^memory (.*)$", log_of(folder), re.MULTILINE)
    assert child is not None
    assert memory is not None
    return int(child[1]), Path("/dev/shm") / memory[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_command_ends_the_servers_and_it_says_so(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = started(tmp_path)
    child, memory = trace_of(tmp_path)
    assert lives(child)
    process.send_signal(number)
    _, told = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, told
    assert told.splitlines() == ["stopping", "stopped"]
    assert not lives(child)
    assert not memory.exists()


def test_the_commands_own_violent_end_ends_the_servers(tmp_path: Path) -> None:
    """Nobody is left to see to it but the kernel."""
    process = started(tmp_path)
    child, memory = trace_of(tmp_path)
    server = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    process.kill()
    process.communicate()
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while lives(server):
        assert time.monotonic() < ends_at
        time.sleep(0.05)
    # What this server leaves behind when it is told to end is its own affair; vLLM cleans up after itself.
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    memory.unlink(missing_ok=True)


def test_a_server_that_cannot_start_fails_the_command_with_its_last_words(tmp_path: Path) -> None:
    bundle, variables = command_files(tmp_path, "dies-at-once")
    ended = subprocess.run(
        [*COMMAND, "panel", "serve", str(bundle), "--run"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "ended with status 3 before it was ready" in ended.stderr
    assert "a made-up reason" in ended.stderr
    assert "Traceback" not in ended.stderr
