"""A server process that answers as it is told to, for what a healthy Arbiter does not say; it notes what it was asked."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.system.service import ROOT, free_port

_PROGRAM = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
port, script, notes = int(sys.argv[1]), json.load(open(sys.argv[2])), open(sys.argv[3], "a")

class Handler(BaseHTTPRequestHandler):
    def answer(self):
        if self.path == "/up":
            reply = {"status": 200, "body": ""}
        else:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode()
            print(json.dumps({"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}),
                  file=notes, flush=True)
            reply = script.pop(0) if len(script) > 1 else script[0]
        body = reply["body"].encode()
        self.send_response(reply["status"])
        for name, value in reply.get("headers", {}).items():
            self.send_header(name, value)
        if "cut" not in reply:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = "cut" in reply
    do_GET = do_POST = answer
    def log_message(self, *_): pass

ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@dataclass(frozen=True)
class Stub:
    """The stub's address and what it was asked so far."""

    url: str
    notes: Path

    @property
    def asked(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.notes.read_text().splitlines()]


def reply(status: int, body: Any = "", **headers: str) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"status": status, "body": text, "headers": {"Content-Type": "application/json", **named}}


@contextlib.contextmanager
def a_stub(*replies: dict[str, Any]) -> Iterator[Stub]:
    """Answer each request with the next of `replies`, and the last one for ever."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as leaving:
        script, notes, port = Path(folder) / "script", Path(folder) / "notes", free_port()
        script.write_text(json.dumps(replies))
        notes.touch()
        command = [sys.executable, "-c", _PROGRAM, str(port), str(script), str(notes)]
        process = subprocess.Popen(command, cwd=ROOT)
        leaving.callback(_end, process)
        _until_up(f"http://127.0.0.1:{port}/up")
        yield Stub(f"http://127.0.0.1:{port}", notes)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(10)


def _until_up(url: str) -> None:
    ends_at = time.monotonic() + 20
    while True:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, trust_env=False)
            return
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def moved(phase: str = "released", **more: Any) -> dict[str, Any]:
    """A case as a server tells of it."""
    return {
        "id": "c_" + "a" * 24,
        "protocol": "deterioration",
        "protocol_version": "1.0.0",
        "site": "north",
        "risk_class": "urgent",
        "phase": phase,
        "settled": phase not in {"received", "deliberating", "decided"},
        "changed_at": "2026-11-22T09:00:00Z",
        "created_at": "2026-11-22T09:00:00Z",
        "due_at": None,
        "overdue": False,
        "decided_by": "panel" if phase == "released" else None,
        "successor": None,
        "entries": 9,
        **more,
    }
