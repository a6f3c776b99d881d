"""A request's end is told in few words, whatever a server thinks of."""

from __future__ import annotations

import pytest

from arbiter.fleet.telling import OUTCOMES_LIMIT
from arbiter.panels.vllm.endings import told_of
from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.wire import Talk


def ended(status: int | None, ending: Ending = Ending.COMPLETE) -> Talk:
    talk = Talk(limit=10)
    talk.status = status
    talk.end(ending)
    return talk


async def test_a_server_that_uses_every_status_there_is_does_not_hide_its_process() -> None:
    """A state with more kinds of endings than this is refused whole."""
    words = {told_of(ended(status)) for status in range(1_000)}
    words |= {told_of(ended(None, ending)) for ending in Ending} | {told_of(Talk(limit=10))}
    assert len(words) <= OUTCOMES_LIMIT


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (200, "complete"), (201, "status-2xx"), (302, "status-3xx"), (400, "status-400"), (401, "status-401"),
        (403, "status-403"), (404, "status-404"), (413, "status-413"), (418, "status-4xx"), (422, "status-422"),
        (429, "status-429"), (499, "status-4xx"), (500, "status-500"), (502, "status-502"), (503, "status-503"),
        (504, "status-504"), (599, "status-5xx"), (999, "status-9xx"),
    ],
)  # fmt: skip
async def test_a_status_that_tells_something_is_counted_for_itself(status: int, word: str) -> None:
    assert told_of(ended(status)) == word


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending is not Ending.COMPLETE])
async def test_what_came_to_no_end_is_told_by_how_it_ended_whatever_its_status(ending: Ending) -> None:
    assert told_of(ended(503, ending)) == ending.value
