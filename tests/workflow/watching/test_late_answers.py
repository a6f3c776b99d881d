"""An answer of the database that comes late, from before an alarm or a withdrawal, does not undo what was learned since."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest

from arbiter.workflow.calibrations import standings
from arbiter.workflow.calibrations.approving import withdraw
from arbiter.workflow.calibrations.standings import look_for_approved
from arbiter.workflow.house import House
from arbiter.workflow.watching import alarms
from arbiter.workflow.watching.alarms import look_for_stops
from tests.workflow.calibrations.certified import PROTOCOL
from tests.workflow.watching.test_counting import until_frozen
from tests.workflow.watching.ward import Ward


class HeldBack:
    """A reading whose first answer is held back; whoever reads after that is answered at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
        self._read: Callable[..., Awaitable[Any]] = getattr(module, name)
        self._first = True
        self.was_read, self.go_on = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(module, name, self)

    async def __call__(self, *said: Any) -> Any:
        first, self._first = self._first, False
        answer = await self._read(*said)
        if first:
            self.was_read.set()
            await self.go_on.wait()
        return answer


async def late(
    house: House, held: HeldBack, look: Callable[[House], Awaitable[object]]
) -> Callable[[], Awaitable[None]]:
    """Begin to look, and return what lets that end."""
    looking = asyncio.ensure_future(look(house))
    await held.was_read.wait()

    async def end() -> None:
        held.go_on.set()
        await looking

    return end


async def test_what_was_read_before_an_alarm_does_not_let_decide_again(
    watched: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldBack(monkeypatch, alarms, "load_alarm_steps")
    end = await late(watched.house, held, look_for_stops)
    await until_frozen(watched)
    await end()
    assert watched.house.stops.frozen == {PROTOCOL}


async def test_what_was_read_before_a_withdrawal_puts_nothing_in_force_again(
    watched: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldBack(monkeypatch, standings, "load_steps")
    end = await late(watched.house, held, look_for_approved)
    await withdraw(watched.house, watched.bench.paula, watched.calibration, "two wards were mixed up")
    await end()
    assert watched.calibration in watched.house.approved.withdrawn
    assert not watched.house.approved.newest
