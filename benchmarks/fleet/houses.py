"""The house that is measured: seven seats for models, a fleet file with the replicas, and the replicas themselves."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from arbiter.clock import SystemChance
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.protocols.bundle import POLICY_FILE, PROTOCOL_FILE
from arbiter.settings import Mode, Settings
from arbiter.store.keys import init_keys
from arbiter.wiring import open_house
from benchmarks.cases import SITE

PROTOCOL: Final = "seven-models"
SAMPLES: Final = 5
SEATS: Final = {
    **{f"physician-{number}": "question" for number in range(1, 6)},
    "infection-1": "sepsis-risk",
    "infection-2": "sepsis-risk",
}
"""Each member with what it is asked: five vote, two answer the facet without which policy lets no case pass."""

MEMBERS: Final = len(SEATS)

_SEAT: Final = """\
  - member: {member}
    title: The {member} model
    asks: {asks}
    backend: vllm
    model:
      server: bench
      name: {member}
      revision: r1
      weights_sha256: "{weights}"
      dtype: bfloat16
      prompt: question-v1
      samples: {samples}
      temperature: 0.7
      top_p: 0.95
      max_tokens: 512
    family: {member}
    weight: 1
"""


_CERTIFIED = re.compile(r"  strategy: posterior\n(  automatic: true\n)  guarantee:\n(?:    .*\n)+")


def protocol_text() -> str:
    """Return the shipped deterioration protocol with models, and models alone, on its panel: weighed, for none is on record."""
    shipped = (files("arbiter.protocols") / "deterioration" / PROTOCOL_FILE).read_text("utf-8")
    seats = "".join(
        _SEAT.format(member=member, asks=asks, samples=SAMPLES, weights="ab" * 32)
        for member, asks in SEATS.items()
    )
    before, _, rest = shipped.replace("id: deterioration\n", f"id: {PROTOCOL}\n", 1).partition("\npanel:\n")
    _, _, after = rest.partition("\n# greatest_between")
    after, found = _CERTIFIED.subn(r"  strategy: weighted\n\1  threshold: 0.6\n", after)
    if found != 1:
        raise ValueError(
            "the shipped deterioration protocol does not state its guarantee where it is looked for"
        )
    return f"{before}\npanel:\n{seats}\n# greatest_between{after}"


def write_bundle(folder: Path) -> None:
    """Write the protocol's bundle, with the shipped policy."""
    folder.mkdir(parents=True)
    (folder / PROTOCOL_FILE).write_text(protocol_text(), "utf-8")
    policy = (files("arbiter.protocols") / "deterioration" / POLICY_FILE).read_text("utf-8")
    (folder / POLICY_FILE).write_text(policy, "utf-8")


def fleet_text(urls: Sequence[str], concurrency: int) -> str:
    """Return a fleet file with one server and these replicas of it."""
    replicas = "".join(f"      - name: r{at}\n        url: {url}\n" for at, url in enumerate(urls, start=1))
    return (
        f"servers:\n  - name: bench\n    replicas:\n{replicas}"
        f"    concurrency: {concurrency}\n    queue: 4096\n"
    )


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Replica:
    """A process that answers; it may be killed and started again on the same port."""

    delay_ms: float
    port: int = 0
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-m", "benchmarks.fleet.answering"]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            *("--port", str(self.port), "--delay-ms", str(self.delay_ms)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(await self._process.stdout.readline())

    async def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def behave(self, delay_ms: float) -> None:
        """Let every further answer take that long."""
        await self._call("/behave", {"delay_ms": delay_ms})

    async def seen(self) -> dict[str, Any]:
        """Return what was asked since this was last called, and how long answers took."""
        told: dict[str, Any] = await self._call("/seen")
        return told

    async def last(self) -> dict[str, str]:
        """Return the body of the last request to each model."""
        told: dict[str, str] = await self._call("/last")
        return told

    async def _call(self, path: str, document: Any = None) -> Any:
        return await asyncio.to_thread(_call, self.url + path, document)


def _call(url: str, document: Any) -> Any:
    content = None if document is None else json.dumps(document).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, content), timeout=30) as reply:
        return json.load(reply)


@asynccontextmanager
async def replicas(count: int, delay_ms: float) -> AsyncIterator[tuple[Replica, ...]]:
    """Run that many replicas for the block."""
    made = tuple(Replica(delay_ms) for _ in range(count))
    try:
        for replica in made:
            await replica.start()
        yield made
    finally:
        for replica in made:
            await replica.kill()


@dataclass(frozen=True, slots=True)
class Furnished:
    """An installation that is ready to serve: its settings, a client's token, and what its process must be told."""

    settings: Settings
    token: str
    variables: dict[str, str]

    def settings_of_its_own(self) -> Settings:
        """Return the settings of another process on the same installation."""
        return self.settings.model_copy(
            update={
                "protocols": Path(self.variables["ARBITER_PROTOCOLS"]),
                "fleet": Path(self.variables["ARBITER_FLEET"]),
            }
        )


async def furnish(folder: Path, urls: Sequence[str], concurrency: int) -> Furnished:
    """Make keys, a site, a client, the bundle and the fleet file."""
    init_keys(folder, "bench.invalid/log", SystemChance())
    write_bundle(folder / "protocols" / PROTOCOL)
    fleet = folder / "fleet.yaml"
    fleet.write_text(fleet_text(urls, concurrency), "utf-8")
    settings = Settings(data=folder, port=free_port(), mode=Mode.DEMONSTRATION)
    async with open_house(settings) as house:
        await add_site(house.identities, SITE, "Bench")
        _, token = await register_client(
            house.identities, house.clock, house.chance, "bench", [Role.INTEGRATION_CLIENT], [SITE]
        )
    variables = {"ARBITER_PROTOCOLS": str(folder / "protocols"), "ARBITER_FLEET": str(fleet)}
    return Furnished(settings, token, variables)
