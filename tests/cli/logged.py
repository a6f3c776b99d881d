"""An installation with a log of a known make, for the commands that read it: cases of four kinds, then the house's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from arbiter import wiring
from arbiter.model import ActorId
from arbiter.ports import Signer
from arbiter.protocols.bundle import Bundle
from arbiter.protocols.loader import read_shipped, shipped
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log.chronicle import note_in_house
from tests.cli.conftest import Arbiter, Ended
from tests.houses import a_client, submission
from tests.system.service import KINDS, Service, a_service, environment

Command = Callable[..., Ended]

CASES = 8
SIZES = (1, 2, 255, 256, 257)


@dataclass
class Logged:
    """The installation, its key and signer, the notes of its checkpoints by size, and its cases in the order they came."""

    service: Service
    key: str = ""
    signer: Signer | None = None
    notes: dict[int, bytes] = field(default_factory=dict)
    cases: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.service.data

    @property
    def size(self) -> int:
        return max(self.notes)

    def note(self, folder: Path, size: int) -> Path:
        """A checkpoint as somebody kept it."""
        path = folder / f"{size}.checkpoint"
        path.write_bytes(self.notes[size])
        return path

    async def seal(self, house: House) -> None:
        await house.sealer.round()
        note = self.service.kept.read_bytes()
        self.notes[int(note.split(b"\n")[1])] = note

    async def pad_to(self, house: House, size: int) -> None:
        """Grow the log to exactly that size by entries of the house's own."""
        for _ in range(size - max(self.notes, default=0)):
            await note_in_house(
                house, house.store, "house.tried", ActorId("operator:test"), {"what": b"tried"}
            )
        await self.seal(house)
        assert self.size == size

    def grow(self, *sizes: int) -> None:
        """Grow the log to each of these sizes, with a checkpoint at each."""

        async def grow() -> None:
            async with self.service.house() as house:
                for size in sizes:
                    await self.pad_to(house, size)

        asyncio.run(grow())

    async def take_cases(self, house: House) -> None:
        client, _ = await a_client(house)
        for number in range(CASES):
            given = submission(house.clock.now(), **KINDS[number % len(KINDS)])
            self.cases.append((await submit(house, client, given, f"key-{number}", b"body")).case)
            await house.errands.finish(10)
            await self.seal(house)
        while await house.sealer.round():
            pass
        await self.seal(house)

    async def fill(self) -> None:
        async with self.service.house() as house:
            self.signer, self.key = house.signer, house.signer.verifier_key
            for size in SIZES[:2]:
                await self.pad_to(house, size)
            await self.take_cases(house)
            note = self.service.kept.read_bytes()
            self.notes[int(note.split(b"\n")[1])] = note
            for size in SIZES[2:]:
                await self.pad_to(house, size)


@contextmanager
def a_logged_service() -> Iterator[Logged]:
    with a_service() as service:
        logged = Logged(service)
        asyncio.run(logged.fill())
        yield logged


@cache
def bundles() -> tuple[Bundle, ...]:
    """The shipped protocols, read once: reading them anew is most of what a command takes."""
    return tuple(read_shipped(name) for name in shipped())


def command_on(logged: Logged, arbiter: Arbiter, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return a way to run `arbiter audit …` on the installation, in this process."""
    monkeypatch.setattr(wiring, "bundles", lambda _own: bundles())
    for name, value in environment(logged.data, ARBITER_TIME_ZONE="Asia/Kolkata").items():
        if name.startswith("ARBITER_"):
            monkeypatch.setenv(name, value)
    return lambda *arguments: arbiter("audit", *map(str, arguments))
