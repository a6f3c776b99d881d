"""What is told: which case moved, how and how urgently. Pure; nothing here can hold a patient's data.

One notice has one form as JSON (webhooks and the feed) and one as text (mail). The same notice gives the same bytes
whenever it is sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

CALLED: Final = "escalation.called"
"""The type of every call to people on duty: it never tells why a case waits, because they judge it blind."""

TESTED: Final = "webhook.tested"

UNATTENDED: Final = "escalation.unattended"
ADVICE: Final = "unattended: follow local procedure"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one audience. `id` stays the same however often it is sent; `at` is when the case moved.

    `phase` and `due_at` are the case's as the move left them. Calls to people on duty have `rung` (from 0) and
    `acknowledge_by`. `public_url` is where the house is reached, without a slash at its end, or None.
    """

    id: str
    type: str
    at: datetime
    case: str
    protocol: str
    title: str
    site: str
    risk_class: str
    phase: str
    due_at: datetime | None
    rung: int | None = None
    acknowledge_by: datetime | None = None
    public_url: str | None = None


def document_of(notice: Notice) -> dict[str, Any]:
    """Return the notice as the JSON object that receivers get."""
    if notice.type == TESTED:
        return {"type": notice.type, "timestamp": instant(notice.at), "data": {}}
    data: dict[str, Any] = {
        "case": notice.case,
        "protocol": notice.protocol,
        "site": notice.site,
        "risk_class": notice.risk_class,
        "phase": notice.phase,
        "due_at": instant(notice.due_at),
    }
    if notice.type == CALLED:
        data |= {"rung": notice.rung, "acknowledge_by": instant(notice.acknowledge_by)}
    if notice.type == UNATTENDED:
        data["advice"] = ADVICE
    if notice.public_url is not None:
        status = f"{notice.public_url}/v1/cases/{notice.case}"
        data |= (
            {"acknowledge_url": f"{status}/acknowledge", "duty_url": duty_url(notice.public_url, notice.case)}
            if notice.type == CALLED
            else {"status_url": status}
        )
    return {"type": notice.type, "timestamp": instant(notice.at), "data": data}


def duty_url(public_url: str, case: str) -> str:
    """Return where a person on duty says that they are on their way, on any phone: the page asks who they are."""
    return f"{public_url}/duty/{case}"


def body_of(notice: Notice) -> bytes:
    """Return the exact bytes that are signed and sent."""
    return json.dumps(document_of(notice), separators=(",", ":"), ensure_ascii=True).encode("ascii")


def instant(at: datetime | None) -> str | None:
    """Return an instant in RFC 3339, in UTC, or None."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
