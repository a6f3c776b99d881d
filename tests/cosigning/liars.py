"""A witness that misbehaves as it is told: plain sockets on loopback, so that it can lie, drip and flood."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from arbiter.audit.note import Ed25519Cosigner, VerifierKey, sign_note

SEED = sha256(b"a witness that misbehaves").digest()
NAME = "liar.example/w"


def cosigner(at: float | None = None, seed: bytes = SEED, name: str = NAME) -> Ed25519Cosigner:
    return Ed25519Cosigner(name, seed, int(time.time() if at is None else at))


KEY = VerifierKey.parse(cosigner(0).verifier_key)


@dataclass
class Asked:
    """One request, as it came."""

    body: bytes

    @property
    def old(self) -> int:
        return int(self.body.split(b"\n", 1)[0].removeprefix(b"old "))

    @property
    def text(self) -> str:
        return self.body.partition(b"\n\n")[2].partition(b"\n\n")[0].decode() + "\n"

    @property
    def size(self) -> int:
        return int(self.text.split("\n")[1])


Script = Callable[[Asked], bytes | Iterator[bytes]]


def http(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def line(asked: Asked, by: Ed25519Cosigner, text: str | None = None) -> bytes:
    """The cosignature line over what was asked, or over another text."""
    return sign_note(asked.text if text is None else text, [by]).partition(b"\n\n")[2]


def sizes(number: int) -> bytes:
    return http(409, f"{number}\n".encode(), "Content-Type: text/x.tlog.size")


def cosigns(asked: Asked) -> bytes:
    """What an honest witness without memory would answer."""
    return http(200, line(asked, cosigner()))


@dataclass
class Liar:
    """The witness; `script` may be exchanged while it runs."""

    script: Script
    asked: list[Asked] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._lock = threading.Lock()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            asked = Asked(_body(connection))
            with self._lock:
                self.asked.append(asked)
                self.in_flight += 1
                self.most_in_flight = max(self.in_flight, self.most_in_flight)
            try:
                said = self.script(asked)
                for chunk in [said] if isinstance(said, bytes) else said:
                    connection.sendall(chunk)
            finally:
                with self._lock:
                    self.in_flight -= 1


def _body(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(row.split(b":")[1]) for row in head.split(b"\r\n") if row.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return body


@contextlib.contextmanager
def a_liar(script: Script) -> Iterator[Liar]:
    liar = Liar(script)
    thread = threading.Thread(target=liar.serve, daemon=True)
    thread.start()
    try:
        yield liar
    finally:
        liar.close()
        thread.join()


def flood(_: Asked) -> Iterator[bytes]:
    """A gigabyte for a cosignature."""
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
    for _number in range(1024):
        yield b"x" * 2**20


def drip(_: Asked) -> Iterator[bytes]:
    """A byte now and then, for ever."""
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    while True:
        time.sleep(0.2)
        yield b"x"


def root_of(text: str, other: bytes) -> str:
    """The same checkpoint with another root."""
    origin, size, _ = text.rstrip("\n").split("\n")
    return f"{origin}\n{size}\n{base64.b64encode(sha256(other).digest()).decode()}\n"
