"""Mails a notice as plain text: which case, which protocol, how urgent, until when. No patient data, nothing of the panel.

The connection is encrypted before anything is said, by STARTTLS or from the start (`smtps`), and the server's
certificate is checked; the loopback address alone is spoken to in the clear.
"""

from __future__ import annotations

import asyncio
import stat
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiosmtplib

from arbiter.channels.attempt import Attempt, Failed, Sent
from arbiter.channels.notice import CALLED, Notice, duty_url, instant
from arbiter.channels.webhook import ATTEMPT_SECONDS, is_loopback
from arbiter.errors import ConfigurationError
from arbiter.settings import Settings

_PORTS: Final = {"smtp": 587, "smtps": 465}
_LONGEST_FILE: Final = 4096


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in at the mail server."""

    user: str
    password: str = field(repr=False)


def read_credentials(path: Path) -> Credentials:
    """Read a file of two lines, user and password, that nobody else may read.

    Raises:
        ConfigurationError: when it is missing, open to others, or has another form.
    """
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigurationError(f"{path} may be read by others, expected mode 0600 or less")
        with path.open(encoding="utf-8") as stream:
            lines = stream.read(_LONGEST_FILE).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the mail credentials {path} cannot be read") from error
    if len(lines) != 2 or not all(lines):
        raise ConfigurationError(f"{path} is malformed: expected two lines, user and password")
    return Credentials(*lines)


async def send_mail(settings: Settings, address: str, notice: Notice) -> Attempt:
    """Send one mail and return what became of it."""
    assert settings.mail_from is not None
    parts = urlsplit(settings.mail_server or "")
    assert parts.hostname is not None
    local = is_loopback(parts.hostname)
    credentials = None if settings.mail_credentials is None else read_credentials(settings.mail_credentials)
    try:
        # The library's own limit is for each step of the dialogue; this one is for all of it.
        async with asyncio.timeout(ATTEMPT_SECONDS):
            await aiosmtplib.send(
                mail_of(notice, sender=settings.mail_from, address=address),
                hostname=parts.hostname,
                port=parts.port or _PORTS[parts.scheme],
                use_tls=parts.scheme == "smtps",
                # Required, not merely taken when offered: whoever strips the offer must not get to read the mail.
                start_tls=parts.scheme == "smtp" and not local,
                username=None if credentials is None else credentials.user,
                password=None if credentials is None else credentials.password,
                timeout=ATTEMPT_SECONDS,
            )
    except aiosmtplib.SMTPResponseException as error:
        return Failed(f"SMTP {error.code}")
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        # The class alone: servers quote addresses.
        return Failed(type(error).__name__)
    return Sent()


def mail_of(notice: Notice, *, sender: str, address: str) -> EmailMessage:
    """Return the mail; its Message-ID is the notice's, so that a mail sent twice is known as one."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = address
    mail["Subject"] = f"{_KINDS.get(notice.risk_class, notice.risk_class)} case waits: {notice.title}"
    mail["Date"] = notice.at
    mail["Message-ID"] = f"<{notice.id}@{sender.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\r\n".join(_lines(notice)) + "\r\n")
    return mail


_KINDS: Final = {"routine": "Routine", "urgent": "Urgent", "emergency": "EMERGENCY"}


def _lines(notice: Notice) -> list[str]:
    assert notice.type == CALLED
    lines = [
        "A case waits for a clinician.",
        "",
        f"Case: {notice.case}",
        f"Question: {notice.title}",
        f"Site: {notice.site}",
        f"Risk class: {notice.risk_class}",
        f"Due: {instant(notice.due_at) or 'no deadline'}",
    ]
    if notice.acknowledge_by is not None:
        lines.append(f"Acknowledge by: {instant(notice.acknowledge_by)}")
    if notice.public_url is None:
        return [*lines, "", "Acknowledge or claim it on the work list."]
    lines += ["", "Say that you are on your way, or claim it:", duty_url(notice.public_url, notice.case)]
    return lines
