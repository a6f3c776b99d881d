"""A real SMTP server that keeps what it gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Mailbox:
    """The mails that arrived, each with the address it went to; `refuse` answers every mail with that line."""

    url: str = ""
    arrived: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refuse: str = ""

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refuse:
            return self.refuse
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.arrived += [(address, mail) for address in envelope.rcpt_tos]
        return "250 OK"

    def addresses(self) -> list[str]:
        return [address for address, _ in self.arrived]


@asynccontextmanager
async def a_mailbox(**options: Any) -> AsyncIterator[Mailbox]:
    """Yield the mailbox of a server that listens on the loopback address; `options` are the library's."""
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    served: list[SMTP] = []

    def serve() -> SMTP:
        served.append(SMTP(mailbox, hostname="mail.hospital.example", loop=loop, **options))
        return served[-1]

    server = await loop.create_server(serve, "127.0.0.1", 0)
    mailbox.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield mailbox
    finally:
        server.close()
        for connection in served:
            if connection.transport is not None:
                connection.transport.close()
        await asyncio.sleep(0)
        await server.wait_closed()
