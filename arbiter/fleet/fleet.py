"""The fleet as its file tells it: which servers the protocols' names stand for, and how each is reached and started.

A protocol says *what* must answer in a seat (model, revision, weights, sampling); the fleet says *where* it is served. An
address is no part of a member's identity: the same model on another machine is the same member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final


class Scheduling(StrEnum):
    """In which order a server works (`vllm serve --scheduling-policy`)."""

    FCFS = "fcfs"
    PRIORITY = "priority"


class Build(StrEnum):
    """Which build of vLLM serves."""

    GPU = "gpu"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class Replica:
    """One of the processes that serve the same models: its own name and its base URL."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Serve:
    """How a server is started: the folders of its base model and of its LoRA adapters by the names they are asked under.

    `python` is the interpreter of vLLM's environment; `context` the greatest number of tokens of prompt and answer together;
    `options` go to `vllm serve` as they are. `batch_invariant`: an answer does not depend on what else is being computed,
    which costs speed.
    """

    build: Build
    python: Path
    model: Path
    adapters: Mapping[str, Path]
    context: int
    options: tuple[str, ...]
    batch_invariant: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """A server by the name that protocols use, and the replicas that are its like.

    `concurrency` is how many requests one replica works on at once for this process, `queue` how many more may wait for
    one. `hedge` allows a second request to another replica when the first is slow. `version` is vLLM's, where it is stated.
    """

    name: str
    replicas: tuple[Replica, ...]
    concurrency: int
    queue: int
    scheduling: Scheduling
    hedge: bool
    serve: Serve | None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """Every server by its name."""

    servers: Mapping[str, Server]


NO_FLEET: Final = Fleet(MappingProxyType({}))
"""No model server is known: scores alone can sit on a panel."""
