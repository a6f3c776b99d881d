"""Every way out of a house, and what came out of it. A new way out is one more line of `SINKS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.system.canaries import CANARIES, found_in_large, table_dumps
from tests.system.collector import Collector
from tests.system.leaking import LEAK
from tests.system.service import Service
from tests.system.told import Told


@dataclass
class Run:
    """A serving house that exports to a collector, and all that it answered."""

    service: Service
    collector: Collector
    told: Told
    replies: list[httpx.Response] = field(default_factory=list)
    case: str = ""


def exported(run: Run, path: str) -> bytes:
    decoded = [str(message) for message in run.collector.messages(path)]
    raw = [body for at, body in run.collector.received if at == path]
    return b"\n".join([*raw, "\n".join(decoded).encode()])


def without_chance(run: Run, path: str) -> bytes:
    """What was exported without ids and instants: among thousands of random bytes a short number stands by accident."""
    kept = []
    for message in run.collector.messages(path):
        _forget_chance(message)
        kept += [message.SerializeToString(), str(message).encode()]
    return b"\n".join(kept)


def _forget_chance(message: Any) -> None:
    for field_, value in message.ListFields():
        if field_.name in {"trace_id", "span_id", "parent_span_id"} or field_.name.endswith("time_unix_nano"):
            message.ClearField(field_.name)
        elif field_.type == field_.TYPE_MESSAGE:
            for inner in value if field_.is_repeated else [value]:
                _forget_chance(inner)


def _error_bodies(run: Run) -> bytes:
    """All but forms with mistakes: such a page shows a clinician the case they hold and what they have just typed."""
    return b"\n".join(
        reply.content
        for reply in run.replies
        if reply.status_code >= 400
        and not (reply.status_code == 422 and "text/html" in reply.headers["content-type"])
    )


def _headers(run: Run) -> bytes:
    return b"\n".join(b"%s: %s" % pair for reply in run.replies for pair in reply.headers.raw)


def entries_of(run: Run) -> bytes:
    with run.service.superuser() as superuser:
        return b"\n".join(bytes(row[0]) for row in superuser.execute("SELECT body FROM entry ORDER BY id"))


def _files(run: Run) -> bytes:
    """Each word found in a file of the data folder, with the file's name: searched where they lie, because they are large."""
    found = [
        f"{word} in {path.name}"
        for path in run.service.data.rglob("*")
        if path.is_file()
        for word in found_in_large(path.read_bytes(), [*CANARIES, LEAK, run.case])
    ]
    return "\n".join(found).encode()


@dataclass(frozen=True)
class Sink:
    """A way out of the house: what came out of it, and something that must be there for the search to mean anything."""

    name: str
    content: Callable[[Run], bytes]
    always_holds: Callable[[Run], str]


SINKS = (
    Sink("exported spans", lambda run: exported(run, "/v1/traces"), lambda run: run.case),
    Sink("exported metrics", lambda run: exported(run, "/v1/metrics"), lambda _: "arbiter.case.taken_in"),
    Sink("exported logs", lambda run: exported(run, "/v1/logs"), lambda run: run.case),
    Sink("log lines", lambda run: run.service.log.encode(), lambda run: run.case),
    Sink("bodies of errors", _error_bodies, lambda _: "urn:problem-type:arbiter:invalid-case"),
    Sink("headers and addresses of replies", _headers, lambda run: f"/v1/cases/{run.case}"),
    Sink("webhooks", lambda run: b"\n".join(run.told.webhooks), lambda run: run.case),
    Sink("mails", lambda run: b"\n".join(run.told.mails), lambda run: run.case),
    Sink("entries of the log", entries_of, lambda run: run.case),
    Sink(
        "tables", lambda run: b"\n".join(dump for _, dump in table_dumps(run.service)), lambda run: run.case
    ),
    Sink("files of the data folder", _files, lambda run: run.case),
)
TELEMETRY = (
    Sink("exported spans", lambda run: without_chance(run, "/v1/traces"), lambda run: run.case),
    Sink(
        "exported metrics", lambda run: without_chance(run, "/v1/metrics"), lambda _: "arbiter.case.taken_in"
    ),
    Sink("exported logs", lambda run: without_chance(run, "/v1/logs"), lambda run: run.case),
    SINKS[3],
)
"""Where numbers of the shipped examples have no business. The database holds the examples themselves; pages and durations
of requests hold short numbers of their own."""
