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


def in_house(work: Callable[[House], Coroutine[Any, Any, _T]], *, check_log: bool = True) -> _T:
    """Run a use case against the house of this environment without starting its doors or workers.

    `check_log` is false for what says, or puts right, what is wrong with a log.
    """
    from arbiter.settings import read_settings
    from arbiter.wiring import open_house

    async def inside() -> _T:
        async with open_house(read_settings(), check_log=check_log) as house:
            return await work(house)

    return run(inside())


def for_people(work: Callable[[House], Coroutine[Any, Any, _T]]) -> _T:
    """As `in_house`, on a refused log too: it takes two people's accounts to put it right. What is entered waits for that."""
    return in_house(work, check_log=False)
