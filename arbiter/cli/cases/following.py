"""Follows one case by server-sent events, across dropped connections, until it has ended.

Each step is told once and in order: the server numbers them, and a new connection asks for those after the last one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import httpx
import typer
from httpx_sse import EventSource, ServerSentEvent, SSEError

from arbiter.cli.cases.showing import show_case
from arbiter.cli.cases.words import local_time, step
from arbiter.cli.door import Server, call, case_in, check, json_in, json_of, unreachable
from arbiter.cli.output import err, out
from arbiter.errors import UnavailableError

SILENCE_SECONDS = 45.0
"""The server says something every 15 seconds; when it says nothing for this long, the connection is dead."""

RECONNECT_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.5
_SEQ = re.compile(r"[0-9]{1,9}")


@dataclass(slots=True)
class Trail:
    """How far a case has been followed: the last event's id, and since when the server has not answered."""

    last_id: str = ""
    broken_at: float | None = None
    pause_seconds: float = _FIRST_PAUSE_SECONDS

    def heard(self) -> None:
        """Note that the server answers."""
        self.broken_at, self.pause_seconds = None, _FIRST_PAUSE_SECONDS

    def wait(self, error: UnavailableError, patience: float) -> None:
        """Wait before the next try, longer each time; raise `error` once patience is at its end."""
        now = time.monotonic()
        self.broken_at = self.broken_at or now
        if now - self.broken_at + self.pause_seconds > patience:
            raise error
        err.print(f"{error}; trying again", style="yellow", markup=False)
        time.sleep(self.pause_seconds)
        self.pause_seconds = min(self.pause_seconds * 2, LONGEST_PAUSE_SECONDS)


def follow_case(server: Server, case: str, patience: float, *, as_json: bool) -> None:
    """Print a case's steps until it has ended, then where it stands.

    Raises:
        RequestRefusedError: when the server knows of no such case, or of no such client.
        UnavailableError: when it has not answered for `patience` seconds.
    """
    path = f"/v1/cases/{quote(case, safe='')}"
    with server.open(SILENCE_SECONDS) as client:
        for event in _events(client, f"{path}/events", patience):
            if as_json:
                typer.echo(event.data)
            else:
                _print_step(event)
        if not as_json:
            show_case(client, case_in(json_of(call(client, "GET", path))))


def show_once(server: Server, case: str, *, as_json: bool) -> None:
    """Print where a case stands now, or with `as_json` the server's own words for it; raises as `follow_case`, at once."""
    with server.open() as client:
        found = case_in(json_of(call(client, "GET", f"/v1/cases/{quote(case, safe='')}")))
        if as_json:
            typer.echo(json.dumps(found))
        else:
            show_case(client, found)


def _events(client: httpx.Client, path: str, patience: float) -> Iterator[ServerSentEvent]:
    """Yield every event of a stream once, over as many connections as it takes, until the server says that it is over."""
    trail = Trail()
    while True:
        try:
            before = trail.last_id
            over = yield from _one_connection(client, path, trail)
            if not over and trail.last_id == before:
                # It ended well and said nothing, as one does that has lived its time: no reason to hurry.
                time.sleep(RECONNECT_SECONDS)
        except UnavailableError as error:
            trail.wait(error, patience)
            continue
        if over:
            return


def _one_connection(client: httpx.Client, path: str, trail: Trail) -> Generator[ServerSentEvent, None, bool]:
    """Yield the events of one connection and return whether the case is over; raises as `follow_case` does."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": trail.last_id} if trail.last_id else {})
    try:
        with client.stream("GET", path, headers=headers) as reply:
            if reply.status_code == HTTPStatus.NO_CONTENT:
                return True
            if not reply.is_success:
                reply.read()
            check(reply)
            trail.heard()
            for event in EventSource(reply).iter_sse():
                # The library also hands over comments and `retry`, as events without data (HTML 9.2.6 drops those).
                if event.data and _SEQ.fullmatch(event.id) and int(event.id) > int(trail.last_id or -1):
                    trail.last_id = event.id
                    yield event
    except SSEError as error:
        raise UnavailableError("expected server-sent events, something else came") from error
    except httpx.HTTPError as error:
        raise unreachable(client, error) from error
    return False


def _print_step(event: ServerSentEvent) -> None:
    match json_in(event.data):
        case {"type": str(kind), "at": str(at)}:
            out.print(f"{local_time(at)}  {event.id:>3}  {kind:<20} {step(kind)}", markup=False)
        case _:
            raise UnavailableError("expected a step of the case from the server, something else came")
