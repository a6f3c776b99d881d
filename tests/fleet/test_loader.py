"""The fleet file: what it may say, and every problem told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbiter.errors import ConfigurationError, InvalidFleetError
from arbiter.fleet.fleet import Build, Scheduling
from arbiter.fleet.loader import load_fleet, read_fleet

WHOLE = """\
servers:
  - name: gpu-a
    replicas:
      - {name: one, url: "http://10.0.0.5:8000/"}
      - {name: two, url: "https://gpu-b.example/vllm/"}
      - {name: three, url: "http://[::1]:8000"}
    concurrency: 16
    queue: 0
    scheduling: priority
    hedge: false
    serve:
      build: cpu
      python: /opt/vllm/bin/python
      model: models/base
      adapters: {respiratory: models/respiratory}
      context: 4096
      options: [--seed, "1"]
  - name: gpu-b
    replicas: [{name: one, url: "http://10.0.0.6:8000"}]
"""


def test_a_whole_file_is_read_and_what_it_leaves_out_has_its_default() -> None:
    fleet = load_fleet("fleet.yaml", WHOLE.encode(), Path("/etc/arbiter"))
    first, second = fleet.servers["gpu-a"], fleet.servers["gpu-b"]
    assert [replica.url for replica in first.replicas] == [
        "http://10.0.0.5:8000",
        "https://gpu-b.example/vllm",
        "http://[::1]:8000",
    ]
    assert (first.concurrency, first.queue, first.scheduling, first.hedge) == (
        16,
        0,
        Scheduling.PRIORITY,
        False,
    )
    assert first.serve is not None
    assert (first.serve.build, first.serve.context, first.serve.options) == (Build.CPU, 4096, ("--seed", "1"))
    assert first.serve.python == Path("/opt/vllm/bin/python")
    assert first.serve.model == Path("/etc/arbiter/models/base")
    assert first.serve.adapters == {"respiratory": Path("/etc/arbiter/models/respiratory")}
    assert (second.scheduling, second.hedge, second.serve) == (Scheduling.FCFS, True, None)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("http://10.0.0.6:8000", "10.0.0.6:8000", "base URL"),
        ("http://10.0.0.6:8000", "ftp://10.0.0.6", "base URL"),
        ("http://10.0.0.6:8000", "file:///etc/passwd", "base URL"),
        ("http://10.0.0.6:8000", "http://", "base URL"),
        ("http://10.0.0.6:8000", "http://:8000", "base URL"),
        ("http://10.0.0.6:8000", "http://10.0.0.6:port", "base URL"),
        ("http://10.0.0.6:8000", "http://10.0.0.6:99999", "base URL"),
        ("http://10.0.0.6:8000", "http://[::1", "base URL"),
        ("http://10.0.0.6:8000", "http://user:s3cret@10.0.0.6:8000", "one with a user or password came"),
        ("http://10.0.0.6:8000", "http://s3cret@10.0.0.6:8000", "base URL"),
        ("http://10.0.0.6:8000", "http://10.0.0.6:8000?key=s3cret", "one with a query came"),
        ("http://10.0.0.6:8000", "http://10.0.0.6:8000/?", "base URL"),
        ("http://10.0.0.6:8000", "http://10.0.0.6:8000#s3cret", "one with a fragment came"),
        ("http://10.0.0.6:8000", "http://10.0.0.6:8000/v1", "one with the path of what is asked came"),
        ("http://10.0.0.6:8000", "http://10.0.0.6:8000/vllm/v1/", "one with the path of what is asked came"),
        ("http://10.0.0.6:8000", "https://s3cret:s3cret@gpu.example/v1?s3cret#s3cret", "user or password and the path of what is asked and a query and a fragment"),
        ("http://10.0.0.6:8000", "http://@10.0.0.6:8000", "one with a user or password came"),
        ("http://10.0.0.6:8000", "http://10.0.0.6:8000/a b", "base URL"),
        ("http://10.0.0.6:8000", "http://10.0.0.6:8000/\u00e9", "base URL"),
        ("http://10.0.0.6:8000", "HTTPS://10.0.0.6:8000", "base URL"),
        ("http://10.0.0.6:8000", "http://10.0.0.5:8000", "expected each URL once"),
        ("http://10.0.0.6:8000", "http://10.0.0.5:08000", "expected each URL once"),
        ("http://10.0.0.6:8000", "https://GPU-B.example:443/vllm", "expected each URL once"),
        ("name: gpu-b", "name: gpu-a", "duplicate"),
        ("name: gpu-b", "name: GPU", "lower-case words"),
        ("name: two", "name: one", "duplicate"),
        ("concurrency: 16", "concurrency: 0", "at least 1, 0 came"),
        ("concurrency: 16", 'concurrency: "16"', "expected a whole number"),
        ("queue: 0", "queue: -1", "at least 0, -1 came"),
        ("scheduling: priority", "scheduling: random", "fcfs"),
        ("build: cpu", "build: tpu", "gpu"),
        ("hedge: false", "hedges: false", "only known keys, 'hedges' came: did you mean 'hedge'?"),
        ("concurrency: 16", "concurency: 16", "only known keys, 'concurency' came: did you mean 'concurrency'?"),
        ("      build: cpu", "      built: cpu", "'built' came: did you mean 'build'?"),
        ("{name: two, url:", "{name: two, uri:", "'uri' came: did you mean 'url'?"),
        ("servers:\n", "x: 1\nservers:\n", "only known keys, 'x' came: they are servers"),
        ("    hedge: false", "    tls: false", "'tls' came: they are concurrency, hedge, name, queue, replicas, scheduling, serve, version"),
        ("    context: 4096", "    context: 1", "at least 256"),
        ('replicas: [{name: one, url: "http://10.0.0.6:8000"}]', "replicas: []", "at least 1"),
        (WHOLE, "servers: []\n", "at least 1"),
        (WHOLE, "[]\n", "fleet.yaml"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused_with_its_place_and_shows_no_credential(
    old: str, new: str, told: str
) -> None:
    assert old in WHOLE
    with pytest.raises(InvalidFleetError) as caught:
        load_fleet("fleet.yaml", WHOLE.replace(old, new).encode(), Path())
    problems = [f"{problem.pointer} {problem.code} {problem.detail}" for problem in caught.value.problems]
    assert any(told in problem for problem in problems), problems
    assert all(problem.startswith("fleet.yaml:") for problem in problems)
    assert "s3cret" not in " ".join(problems)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the fleet file"):
        read_fleet(tmp_path / "fleet.yaml")
