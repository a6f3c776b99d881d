"""`arbiter serve` with leaks built in, one for every sink: shows that the search for canaries finds what there is.

The scrubbing is taken out of the way, because it would stop what these leaks put into spans and metrics.
"""

from __future__ import annotations

import logging
from email.message import EmailMessage
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from arbiter import cli, serving
from arbiter.api.app import create_app
from arbiter.channels import mail
from arbiter.channels import notice as notices
from arbiter.channels.notice import Notice
from arbiter.telemetry import Safe, scrubbing
from arbiter.telemetry.catalogue import PROTOCOL, RISK
from arbiter.telemetry.meters import count
from arbiter.telemetry.metrics import TAKEN_IN
from arbiter.workflow.house import House

LEAK = "leaked canary 90317"
PATH = "/v1/leak"


def _unscrubbed(self: scrubbing.ScrubbedSpans, span: ReadableSpan) -> None:
    self._inner.on_end(span)


def leaking_app(house: House) -> Any:
    rest = create_app(house)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != PATH:
            await rest(scope, receive, send)
            return
        trace.get_current_span().set_attribute("leak", LEAK)
        count(TAKEN_IN, {PROTOCOL: LEAK, RISK: "urgent"})
        logging.getLogger("arbiter.leak").warning("told by mistake: %s", Safe(LEAK))
        (house.settings.data / "leak.txt").write_text(LEAK)
        headers = [(b"location", LEAK.encode()), (b"content-length", str(len(LEAK)).encode())]
        await send({"type": "http.response.start", "status": 418, "headers": headers})
        await send({"type": "http.response.body", "body": LEAK.encode()})

    return application


def _leaking_mail(notice: Notice, *, sender: str, address: str) -> EmailMessage:
    letter = _MAIL_OF(notice, sender=sender, address=address)
    letter["Subject-Leak"] = LEAK
    return letter


def _leaking_document(notice: Notice) -> dict[str, Any]:
    return _DOCUMENT_OF(notice) | {"leak": LEAK}


_MAIL_OF = mail.mail_of
_DOCUMENT_OF = notices.document_of


def main() -> None:
    scrubbing.ScrubbedSpans.on_end = _unscrubbed  # type: ignore[method-assign]
    scrubbing.scrubbed_metrics = lambda data: data
    notices.document_of = _leaking_document
    mail.mail_of = _leaking_mail
    setattr(serving, "create_app", leaking_app)  # noqa: B010 - an import of that module, not one of its names
    cli.main()
