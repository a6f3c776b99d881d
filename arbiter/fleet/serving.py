"""The `vllm serve` command lines that panels need: one for each replica of each server, from the fleet file and the protocols.

Guarantees: a base model beside adapters is served under a name that no protocol can write, so that nobody can seat it; what
the fleet file or a protocol says is said once, and no further option can unsay it; adapters are those of the file, none is
ever loaded while the server runs. Nothing is started here: see `arbiter.fleet.running`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from arbiter.errors import ConfigurationError
from arbiter.fleet.checking import Expected, seats_of
from arbiter.fleet.fleet import Build, Fleet, Replica, Scheduling, Serve, Server
from arbiter.fleet.loader import PORTS
from arbiter.question import ModelSpec, Protocol

UNSEATED: Final = "_unseated"
"""The served name of a base beside its adapters. A served name in a protocol begins with a letter or a digit."""

SHIM: Final = Path(__file__).with_name("start_vllm.py")
RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` may be [vLLM, `vllm.config.lora.MaxLoRARanks`]."""

COMMON: Final[Mapping[str, str]] = MappingProxyType(
    {
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "0",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_NO_USAGE_STATS": "1",
    }
)
"""What every server's environment says: nothing is fetched or reported, no adapter is loaded on request, and what
its processes say to each other stays on this machine."""

CPU: Final[Mapping[str, str]] = MappingProxyType(
    {
        # One thread: sums are taken in one order, before and after a restart.
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
    }
)
"""What the CPU build's environment says besides; the caller's VLLM_CPU_KVCACHE_SPACE (GiB) goes before."""

ALONE: Final = ("--max-num-seqs", "1", "--no-enable-prefix-caching")
"""How the CPU build, whose kernels round otherwise in a larger batch, gives one answer to one request: it computes one
sequence at a time, and all of it. The GPU build has kernels for it [vLLM, Batch Invariance]."""

_BATCH_INVARIANT: Final = "VLLM_BATCH_INVARIANT"

_CONFIG_FILE: Final = "adapter_config.json"
_CONFIG_LIMIT: Final = 1024 * 1024
# Guidance gave 264 schema-valid replies of 264 where the default gave 19 to 23 of 64.
_STRUCTURED: Final = '{"backend":"guidance","disable_any_whitespace":true}'
_STEPS: Final = 4
_CERTIFICATE: Final = "--ssl-certfile"


@dataclass(frozen=True, slots=True)
class Serving:
    """One replica to be started: its command line, and what the environment must say.

    `names` are those that a seat may ask, `context` the tokens of prompt and answer together. `model` and `adapters` are
    the folders behind them.
    """

    server: str
    replica: Replica
    host: str
    port: int
    build: Build
    command: tuple[str, ...]
    environment: Mapping[str, str]
    names: tuple[str, ...]
    context: int
    model: Path
    adapters: Mapping[str, Path]

    def shell(self) -> str:
        """Return the command line for a shell, its environment before it."""
        says = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join([*says, shlex.join(self.command)])


def command_lines(fleet: Fleet, *protocols: Protocol, only: Sequence[str] = ()) -> tuple[Serving, ...]:
    """Return how each replica is started of each server that the protocols' seats ask, or those named alone.

    Of a server without a replica that is wanted nothing is read: its folders may lie on another machine.

    Raises:
        ConfigurationError: when a server is not in the fleet file or cannot serve what the seats ask.
    """
    wanted: dict[str, list[Expected]] = {}
    for seat in seats_of(fleet, protocols):
        wanted.setdefault(seat.server.name, []).append(seat)
    return tuple(
        serving for _, seats in sorted(wanted.items()) for serving in _servings(seats[0].server, seats, only)
    )


def _servings(server: Server, seats: Sequence[Expected], only: Sequence[str]) -> Iterable[Serving]:
    replicas = [replica for replica in server.replicas if not only or replica.name in only]
    if not replicas:
        return
    serve = server.serve
    if serve is None:
        raise ConfigurationError(
            f"server {server.name}: expected the key 'serve' in the fleet file, which says how it is started"
        )
    names = _names(server.name, serve, seats)
    arguments = (*_arguments(server, serve, seats), *_build_arguments(serve))
    for replica in replicas:
        host, port = _address(server.name, serve, replica)
        where = ("--host", host, "--port", str(port))
        yield Serving(
            server=server.name,
            replica=replica,
            host=host,
            port=port,
            build=serve.build,
            command=(
                *_program(serve),
                "serve",
                str(serve.model.absolute()),
                *where,
                *arguments,
                *serve.options,
            ),
            environment=_environment(serve),
            names=names,
            context=serve.context,
            model=serve.model,
            adapters=serve.adapters,
        )


def _names(server: str, serve: Serve, seats: Sequence[Expected]) -> tuple[str, ...]:
    """Return the names that a server answers to; each that a seat asks is one, and stands for what the seat says."""
    for seat in seats:
        if (unfit := _unfit(serve, seat.model)) is not None:
            raise ConfigurationError(f"{_place(seat)}, server {server}: {unfit}")
    if serve.adapters:
        return tuple(sorted(serve.adapters))
    return (_agreed("name", [(seat, seat.model.name) for seat in seats]),)


def _unfit(serve: Serve, model: ModelSpec) -> str | None:
    """Return why a server cannot be started so that it is what a seat says; None where it can."""
    if not serve.adapters:
        return (
            None
            if model.adapter is None
            else f"the seat asks the adapter {model.adapter!r}, the fleet file serves a base alone"
        )
    known = f"expected one of the adapters {', '.join(sorted(serve.adapters))} that the fleet file names"
    if model.adapter is None:
        return f"{known}, the base {model.name!r} came: a base model is not asked beside its adapters"
    if model.name not in serve.adapters:
        return f"{known}, the name {model.name!r} came: correct it, or add its folder under 'adapters'"
    if model.adapter != model.name:
        return (
            f"expected one 'name' and 'adapter', as a server knows an adapter by the name it serves it under; "
            f"the name {model.name!r} and the adapter {model.adapter!r} came"
        )
    return None


def _place(seat: Expected) -> str:
    return f"protocol {seat.protocol}, seat {seat.member}"


def _agreed(what: str, said: Sequence[tuple[Expected, str]]) -> str:
    """Return what all seats of a server say: one process computes in one way."""
    first = {value: seat for seat, value in reversed(said)}
    if len(first) != 1:
        told = ", ".join(f"{value!r} ({_place(seat)})" for value, seat in sorted(first.items()))
        server = said[0][0].server.name
        raise ConfigurationError(
            f"server {server}: expected one {what} in all seats that ask it, they say {told}"
        )
    return said[0][1]


def _arguments(server: Server, serve: Serve, seats: Sequence[Expected]) -> tuple[str, ...]:
    dtype = _agreed("dtype", [(seat, seat.model.dtype) for seat in seats])
    quantisation = _agreed("quantisation", [(seat, seat.model.quantisation or "") for seat in seats])
    name = UNSEATED if serve.adapters else seats[0].model.name
    arguments = ["--served-model-name", name, "--dtype", dtype, "--max-model-len", str(serve.context)]
    if quantisation:
        arguments += ["--quantization", quantisation]
    if server.scheduling is Scheduling.PRIORITY:
        arguments += ["--scheduling-policy", server.scheduling.value]
    arguments += ["--structured-outputs-config", _STRUCTURED]
    if serve.adapters:
        modules = [f"{adapter}={folder.absolute()}" for adapter, folder in sorted(serve.adapters.items())]
        # Not last: `--lora-modules` takes every word that follows, and the file's own options do.
        arguments += ["--enable-lora", "--lora-modules", *modules, "--max-loras", str(len(modules))]
        arguments += ["--max-lora-rank", str(_rank(serve.adapters.values()))]
    return tuple(arguments)


def _build_arguments(serve: Serve) -> tuple[str, ...]:
    match serve.build:
        case Build.GPU:
            return ()
        case Build.CPU:
            # On the CPU a seeded request whose prompt is taken in by parts kills the engine: the generator there has no
            # offset to set back. So every prompt fits whole into one step.
            whole = ("--no-enable-chunked-prefill", "--max-num-batched-tokens", str(_STEPS * serve.context))
            return ("--enforce-eager", *whole, *(ALONE if serve.batch_invariant else ()))


def _environment(serve: Serve) -> Mapping[str, str]:
    match serve.build:
        case Build.GPU:
            own = {_BATCH_INVARIANT: "1"} if serve.batch_invariant else {}
        case Build.CPU:
            own = dict(CPU)
    return MappingProxyType({**COMMON, **own})


def _program(serve: Serve) -> tuple[str, ...]:
    match serve.build:
        case Build.GPU:
            return (str(serve.python.absolute().with_name("vllm")),)
        case Build.CPU:
            return (str(serve.python.absolute()), "-P", str(SHIM))


def _address(server: str, serve: Serve, replica: Replica) -> tuple[str, int]:
    """Return where a replica is to listen, which is where its URL leads: no line is made that would speak otherwise there."""
    parts = urlsplit(replica.url)
    given = any(option.replace("_", "-").startswith(_CERTIFICATE) for option in serve.options)
    if parts.scheme == "https" and not given:
        raise ConfigurationError(
            f"server {server}, replica {replica.name}: its URL is https, and vLLM would listen there without TLS; name a "
            f"certificate and its key under 'options' ({_CERTIFICATE}, --ssl-keyfile), or start vLLM and the proxy that has "
            "them by hand"
        )
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def _rank(folders: Iterable[Path]) -> int:
    """Return the least rank to reserve for that holds every adapter."""
    greatest = max(_rank_of(folder) for folder in folders)
    fitting = [rank for rank in RANKS if rank >= greatest]
    if not fitting:
        raise ConfigurationError(
            f"expected adapters of rank {RANKS[-1]} at most, as vLLM does, {greatest} came"
        )
    return fitting[0]


def _rank_of(folder: Path) -> int:
    """Return the rank in an adapter's settings, in the layout of the `peft` library, which vLLM reads."""
    path = folder / _CONFIG_FILE
    try:
        with path.open("rb") as stream:
            settings = json.loads(stream.read(_CONFIG_LIMIT))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}; command lines are made on the machine that has the model's folders: "
            "run this there"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"expected an adapter's settings in {path}, no JSON came") from error
    rank = settings.get("r") if isinstance(settings, dict) else None
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise ConfigurationError(f"expected the adapter's rank under 'r' in {path}")
    return rank
