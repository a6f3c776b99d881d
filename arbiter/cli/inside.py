"""Commands that work on the installation itself: its settings, its keys, its database."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from arbiter.workflow.house import House

_T = TypeVar("_T")


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end."""
    import uvloop

    return uvloop.run(work)


def in_house(work: Callable[[House], Coroutine[Any, Any, _T]]) -> _T:
    """Run a use case against the house of this environment without starting its doors or workers."""
    from arbiter.settings import read_settings
    from arbiter.wiring import open_house

    async def inside() -> _T:
        async with open_house(read_settings()) as house:
            return await work(house)

    return run(inside())
