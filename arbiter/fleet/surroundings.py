"""What a server finds when it starts: an environment of few names, folders of its own, and a free address."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Final

from arbiter.errors import ConfigurationError
from arbiter.fleet.fleet import Build
from arbiter.fleet.serving import Serving

_CACHES: Final = (
    "VLLM_CACHE_ROOT",
    "VLLM_CONFIG_ROOT",
    "XDG_CACHE_HOME",
    "HF_HOME",
    "TORCHINDUCTOR_CACHE_DIR",
)
_FROM_CALLER: Final = {
    Build.CPU: ("PATH", "VLLM_CPU_KVCACHE_SPACE"),
    Build.GPU: ("PATH", "LD_LIBRARY_PATH"),
}
_PREFIXES: Final[dict[Build, tuple[str, ...]]] = {Build.CPU: (), Build.GPU: ("CUDA_", "NVIDIA_", "NCCL_")}


def environment(serving: Serving, caches: Path, temporary: Path, token: str | None) -> dict[str, str]:
    """Return the environment of a server whose every folder is its own: the caller's settings and secrets stay out.

    `token` is the key that the server asks of its callers: in an environment, since anybody can read a command line.
    """
    own = {"HOME": str(temporary), "TMPDIR": str(temporary), "LANG": "C.UTF-8"}
    for name in _CACHES:
        place = caches.absolute() / name.lower()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        own[name] = str(place)
    taken = {
        name: value
        for name, value in os.environ.items()
        if name in _FROM_CALLER[serving.build] or name.startswith(_PREFIXES[serving.build] or ("\0",))
    }
    key = {} if token is None else {"VLLM_API_KEY": token}
    return {**dict(serving.environment), **taken, **own, **key}


def require_program(serving: Serving) -> None:
    """Refuse to start what is not there.

    Raises:
        ConfigurationError: when the program that the fleet file's Python leads to is missing or cannot be run.
    """
    program = Path(serving.command[0])
    if not (program.is_file() and os.access(program, os.X_OK)):
        where = "the Python that" if serving.build is Build.CPU else "vLLM's program beside the Python that"
        came = "what is there cannot be run" if program.exists() else "there is none"
        raise ConfigurationError(
            f"server {serving.server}, replica {serving.replica.name}: expected {where} the key serve.python of the fleet "
            f"file names, {program}; {came}"
        )


def require_free(serving: Serving) -> None:
    """Refuse to start a server at an address that is taken: whoever has it would be taken for the server.

    Raises:
        ConfigurationError: when it is taken, or is no address of this machine.
    """
    told = f"{serving.replica.name}: {serving.host}:{serving.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            serving.host, serving.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind(address)
    except socket.gaierror as error:
        raise ConfigurationError(f"{told} names no machine that is known here") from error
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                raise ConfigurationError(f"{told} is taken by another process; end that first") from error
            case errno.EADDRNOTAVAIL:
                raise ConfigurationError(
                    f"{told} is no address of this machine; name the replicas that are to run here"
                ) from error
            case _:
                raise ConfigurationError(f"{told} cannot be had: {error.strerror}") from error
