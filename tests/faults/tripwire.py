"""Kills the process it runs in, or cuts its connection, at the n-th thing it does to its database or its data folder.

Statements are seen on the wire, by a relay between the driver and the server's socket, so whatever the code sends is
seen, however it is batched; a batch is passed on message by message, so the server has run what came before the kill.
Files are seen by the interpreter's audit events. Nothing here knows which statements there are: whoever uses this counts
up until a process gets through.

A message that has left is run whether its sender lives or not; so the moment before the next one leaves, and the moment
when the answer has arrived, are all the moments there are.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
_FILE_EVENTS = {"open", "os.rename", "os.remove", "os.truncate", "os.link", "os.symlink"}
KINDS = ("before", "answered", "file")
_ANSWERED = {b"Q", b"S"}


class Tripwire:
    """Counts points once it is armed, writes each one's name into `trace`, and at number `fatal` kills the process.

    If `cuts`, the connection is cut there in place of that, and the process lives: it hears that the server is gone. If
    there is an `act`, that is done, and the connection cut.
    `kinds` are the first words of the names that count, of `KINDS`: before a message leaves for the server (whatever
    went before has left), answered (the server has done it, the process does not know yet), file.
    """

    def __init__(
        self,
        trace: Path,
        kinds: frozenset[str],
        fatal: int,
        *,
        cuts: bool = False,
        act: Callable[[], None] | None = None,
    ) -> None:
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._kinds = kinds
        self._fatal = fatal
        self._cuts = cuts
        self._act = act
        self.sprung = False
        self._count = 0
        self._armed = False
        self._lock = threading.Lock()

    def arm(self) -> None:
        """Count from here on."""
        self._armed = True

    def disarm(self) -> None:
        """Count no more: the process has survived."""
        self._armed = False
        os.close(self._trace)

    def reach(self, name: str) -> None:
        """Pass a point, or die there."""
        if not self._armed or name.split(" ", 1)[0] not in self._kinds:
            return
        with self._lock:
            os.write(self._trace, f"{name}\n".encode())
            self._count += 1
            if self._count <= self._fatal:
                return
            self._armed, self.sprung = False, True
            if self._act is not None:
                self._act()
            elif not self._cuts:
                os.kill(os.getpid(), signal.SIGKILL)
            raise ConnectionAbortedError(f"cut {name}")

    def watch_files(self, folder: Path) -> None:
        """Make a point of whatever this process is about to do to a file in `folder`."""
        inside = f"{folder}/"

        def hear(event: str, arguments: tuple[object, ...]) -> None:
            if not self._armed or event not in _FILE_EVENTS:
                return
            path = arguments[1] if event == "os.rename" else arguments[0]
            if isinstance(path, str | Path) and str(path).startswith(inside):
                self.reach(f"file {event} {Path(path).name}")

        sys.addaudithook(hear)


def relay(folder: Path, server: Path, tripwire: Tripwire) -> socket.socket:
    """Take connections on a socket in `folder` to the server whose socket is in `server`; return the listening one.

    It is there until the process ends, or until the socket is shut down and closed.
    """
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(folder / SOCKET))
    door.listen()

    def welcome() -> None:
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            beyond = socket.socket(socket.AF_UNIX)
            try:
                beyond.connect(str(server / SOCKET))
            except OSError:
                beyond.close()
                client.close()
                continue
            connection = _Connection(client, beyond, tripwire)
            threading.Thread(target=connection.carry_requests, daemon=True).start()
            threading.Thread(target=connection.carry_replies, daemon=True).start()

    threading.Thread(target=welcome, daemon=True).start()
    return door


class _Connection:
    def __init__(self, client: socket.socket, server: socket.socket, tripwire: Tripwire) -> None:
        self._client = client
        self._server = server
        self._tripwire = tripwire
        self._prepared: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self._awaited: list[str] = []
        self._left = 0
        self._leaving = threading.Lock()

    def carry_requests(self) -> None:
        """Pass on one message at a time, with a point before each that has the server do something."""
        try:
            startup = self._read(4)
            self._server.sendall(startup + self._read(struct.unpack("!I", startup)[0] - 4))
            while True:
                kind, size = self._read(1), self._read(4)
                body = self._read(struct.unpack("!I", size)[0] - 4)
                name = self._named(kind, body)
                if name is not None:
                    self._tripwire.reach(f"before {name}")
                if kind in _ANSWERED:
                    self._awaited.append(name or "")
                self._server.sendall(kind + size + body)
        except (EOFError, OSError):
            self._hang_up()

    def carry_replies(self) -> None:
        """Pass on what the server says; the end of an answer (ReadyForQuery) is a point of its own before it is."""
        held = b""
        try:
            while data := self._server.recv(65_536):
                held += data
                whole = 0
                while len(held) >= whole + 5:
                    end = whole + 1 + int.from_bytes(held[whole + 1 : whole + 5], "big")
                    if len(held) < end:
                        break
                    if held[whole : whole + 1] == b"Z" and self._awaited:
                        self._tripwire.reach(f"answered {self._awaited.pop(0)}")
                    whole = end
                self._client.sendall(held[:whole])
                held = held[whole:]
        except OSError:
            pass
        self._hang_up()

    def _hang_up(self) -> None:
        """Have the other thread end too; the last of both closes."""
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._leaving:
            self._left += 1
            if self._left == 2:
                self._client.close()
                self._server.close()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._client.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _named(self, kind: bytes, body: bytes) -> str | None:
        """Return a name for a message that has the server do something, remembering what each portal would run."""
        if kind == b"P":
            statement, query, _ = body.split(b"\0", 2)
            self._prepared[statement] = " ".join(query.decode().split())[:60]
        elif kind == b"B":
            portal, statement, _ = body.split(b"\0", 2)
            self._portals[portal] = self._prepared.get(statement, "?")
        elif kind == b"Q":
            return " ".join(body.rstrip(b"\0").decode().split())[:60]
        elif kind == b"E":
            return self._portals.get(body.split(b"\0", 1)[0], "?")
        elif kind == b"S":
            return "sync"
        return None
