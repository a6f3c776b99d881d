"""Loads the fleet file: bytes in, a frozen `Fleet` out, or every problem with its file, line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from arbiter.errors import InvalidFleetError, counted
from arbiter.files.faults import PROBLEMS_LIMIT, Finder, structured
from arbiter.files.reading import Path as Place
from arbiter.files.reading import read_yaml
from arbiter.files.sources import read_source
from arbiter.files.values import Id, ServedName
from arbiter.fleet.fleet import Build, Fleet, Replica, Scheduling, Serve, Server

SIZE_LIMIT: Final = 256 * 1024
CONCURRENCY: Final = 32
QUEUE: Final = 128
CONTEXT: Final = 8_192
PORTS: Final = {"http": 80, "https": 443}
"""Where a URL leads that names no port."""
SAID: Final = frozenset(
    {
        "--api-key",
        "--config",
        "--dtype",
        "--enable-lora",
        "--host",
        "--lora-modules",
        "--max-lora-rank",
        "--max-loras",
        "--max-model-len",
        "--model",
        "--no-enable-lora",
        "--port",
        "--quantization",
        "--scheduling-policy",
        "--served-model-name",
        "-q",
    }
)
"""The options of `vllm serve` that are not for `options`: each is said by this file, a protocol, or a file of secrets."""
UNFIT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "--enable-log-outputs": "a log holds nothing of a patient's",
        "--enable-log-requests": "a log holds nothing of a patient's",
        "--load-format": "the safetensors files whose hash is stated are what is to be loaded",
    }
)
"""Further options of `vllm serve` that are not for `options`, each with the reason."""
ALONE_SAID: Final = frozenset({"--enable-prefix-caching", "--max-num-seqs", "--no-enable-prefix-caching"})
"""Those that `batch_invariant` says."""
_SAID_ELSEWHERE: Final = "what is said elsewhere in this file, or by the protocols, is not said again here"


_PATH_OF_VLLM: Final = re.compile(r"/v1(/|$)")
"""A proxy may put vLLM under a path of its own; the interface's own path is what people copy along by mistake."""


def _url(value: object) -> str:
    """Return a base URL: it is shown and logged, and what is asked of vLLM (`/v1/…`, `/version`) is put behind it.

    `http` is allowed: vLLM stands inside, often on the same host. Across a network that others use, take `https`.
    """
    expected = PydanticCustomError(
        "replica_url",
        "expected a base URL such as http://10.0.0.5:8000, {came} came: Arbiter puts /v1 and the other paths behind it",
        {"came": _unlike(value)},
    )
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!-~]{1,2000}", value):
        raise expected
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise expected from None
    if (
        not parts.hostname
        or "@" in parts.netloc
        or _PATH_OF_VLLM.search(parts.path)
        or "?" in value
        or "#" in value
    ):
        raise expected
    return value.rstrip("/")


def _unlike(value: object) -> str:
    """Return in what a value is no base URL. It is not shown: what should not be there may be a secret."""
    rest = value.partition("://")[2] if isinstance(value, str) else ""
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    found = [
        what
        for what, there in (
            ("a user or password", "@" in host),
            ("the path of what is asked", _PATH_OF_VLLM.search(rest.partition("?")[0].partition("#")[0])),
            ("a query", "?" in rest),
            ("a fragment", "#" in rest),
        )
        if there
    ]
    return f"one with {' and '.join(found)}" if found else "something else"


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ReplicaPart(_Part):
    """One process that serves."""

    name: Id
    url: Annotated[str, BeforeValidator(_url)]


_File = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class ServePart(_Part):
    """How a server is started; a relative folder is one beside the fleet file."""

    build: Annotated[Build, Field(strict=False)]
    python: _File
    model: _File
    adapters: Annotated[dict[ServedName, _File], Field(max_length=64)] = {}
    context: Annotated[int, Field(ge=256, le=1_000_000)] = CONTEXT
    options: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=1000)]], Field(max_length=64)
    ] = []
    batch_invariant: bool = False


class ServerPart(_Part):
    """A server by the name that protocols use."""

    name: Id
    replicas: Annotated[list[ReplicaPart], Field(min_length=1, max_length=32)]
    concurrency: Annotated[int, Field(ge=1, le=1024)] = CONCURRENCY
    queue: Annotated[int, Field(ge=0, le=100_000)] = QUEUE
    scheduling: Annotated[Scheduling, Field(strict=False)] = Scheduling.FCFS
    hedge: bool = True
    serve: ServePart | None = None
    version: ServedName | None = None


class FleetFile(_Part):
    """The whole file."""

    servers: Annotated[list[ServerPart], Field(min_length=1, max_length=64)]


def read_fleet(path: Path) -> Fleet:
    """Return the fleet file at `path`.

    Raises:
        ConfigurationError: when it cannot be read; InvalidFleetError: with every problem found.
    """
    return load_fleet(path.name, read_source(path, "the fleet file", SIZE_LIMIT), path.parent)


def load_fleet(name: str, source: bytes, folder: Path) -> Fleet:
    """Return the fleet that a file of that name and these bytes describes, its relative folders below `folder`; pure.

    Raises:
        InvalidFleetError: with every problem found, each pointer `file:line:column`.
    """
    read = read_yaml(name, source)
    file = structured(FleetFile, read)
    if file is not None:
        _check(file, Finder(read.positions, read.problems))
    if read.problems or file is None:
        raise InvalidFleetError(
            f"the fleet file has {counted(len(read.problems), 'problem')}",
            tuple(read.problems[:PROBLEMS_LIMIT]),
        )
    return Fleet(MappingProxyType({part.name: _server(part, folder) for part in file.servers}))


def _server(part: ServerPart, folder: Path) -> Server:
    return Server(
        name=part.name,
        replicas=tuple(Replica(replica.name, replica.url) for replica in part.replicas),
        concurrency=part.concurrency,
        queue=part.queue,
        scheduling=part.scheduling,
        hedge=part.hedge,
        serve=None if part.serve is None else _serve(part.serve, folder),
        version=part.version,
    )


def _serve(part: ServePart, folder: Path) -> Serve:
    return Serve(
        build=part.build,
        python=folder / part.python,
        model=folder / part.model,
        adapters=MappingProxyType({name: folder / place for name, place in part.adapters.items()}),
        context=part.context,
        options=tuple(part.options),
        batch_invariant=part.batch_invariant,
    )


def _check(file: FleetFile, finder: Finder) -> None:
    finder.unique(("servers",), "name", (part.name for part in file.servers))
    processes: set[tuple[str | int | None, ...]] = set()
    for index, part in enumerate(file.servers):
        place = ("servers", index, "replicas")
        finder.unique(place, "name", (replica.name for replica in part.replicas))
        for at, replica in enumerate(part.replicas):
            # One process under two names would be counted twice: as capacity, and as the other when one is slow.
            if (process := _process(replica.url)) in processes:
                finder.report(
                    (*place, at, "url"), "duplicate", "expected each URL once, this one came before"
                )
            processes.add(process)
        if part.serve is not None:
            _check_options(part.serve, ("servers", index, "serve", "options"), finder)


def _process(url: str) -> tuple[str | int | None, ...]:
    """Return what two URLs of one process have in common, however they are written."""
    parts = urlsplit(url)
    return parts.hostname, parts.port or PORTS[parts.scheme], parts.path


def _check_options(part: ServePart, place: Place, finder: Finder) -> None:
    """Refuse an option that says again what this file or a protocol says, since vLLM would go by the last, or that is unfit."""
    said = {*SAID, *UNFIT, *(ALONE_SAID if part.batch_invariant else ())}
    for at, option in enumerate(part.options):
        flag = option.partition("=")[0].partition(".")[0].replace("_", "-")
        unfit = next((name for name in sorted(said) if _is_spelt(flag, name)), None)
        if unfit is not None:
            why = UNFIT.get(unfit, _SAID_ELSEWHERE)
            finder.report((*place, at), "value", f"expected no option {unfit}: {why}")


def _is_spelt(flag: str, option: str) -> bool:
    """Return whether vLLM takes a word for that option: also its beginning, and a short one with its value behind it."""
    if flag.startswith("--"):
        return option.startswith(flag)
    return flag.startswith(option)
