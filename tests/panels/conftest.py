"""Both event loops for the tests that need them, a server that misbehaves, and a trust store of each test's own."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator

import pytest
import uvloop

from arbiter.fleet.probing import trusted
from tests.panels.model_servers import misbehaving
from tests.panels.wires import Main


@pytest.fixture(autouse=True)
def own_trust_store() -> Iterator[None]:
    """A process reads the trust store once, and tests have different ones."""
    trusted.cache_clear()
    yield
    trusted.cache_clear()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server each of whose models misbehaves as its name says."""
    with misbehaving() as served:
        yield served


@pytest.fixture(scope="module")
def looked_through() -> None:
    """What other tests have left is put away once: a test then looks only through what it has left itself."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=["asyncio", "uvloop"])
def on_loop(request: pytest.FixtureRequest, looked_through: None) -> Callable[[Main], None]:
    """Runs a coroutine on a loop of that kind; whatever was left open is found at its end."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run(main: Main) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())
        gc.collect()

    return run
