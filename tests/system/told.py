"""Where a house tells people: a mailbox and a webhook's receiver, each in a thread of its own, that keep every byte."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.system.service import free_port


@dataclass
class Told:
    """What arrived: each webhook's head and body, each mail as it was sent."""

    hook_url: str = ""
    mail_url: str = ""
    webhooks: list[bytes] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        return "250 OK"


@contextmanager
def somebody_to_tell() -> Iterator[Told]:
    """Yield a mailbox and a receiver that listen on the loopback address."""
    told = Told()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.webhooks.append(f"{self.path}\n{self.headers}".encode() + body)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    hooks = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    told.hook_url = f"http://127.0.0.1:{hooks.server_address[1]}/hook"
    mail = Controller(told, hostname="127.0.0.1", port=free_port())
    told.mail_url = f"smtp://127.0.0.1:{mail.port}"
    serving = threading.Thread(target=hooks.serve_forever)
    serving.start()
    mail.start()
    try:
        yield told
    finally:
        mail.stop()
        hooks.shutdown()
        serving.join()
        hooks.server_close()
