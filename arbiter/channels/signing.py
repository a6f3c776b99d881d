"""Standard Webhooks 1.0.0, the symmetric scheme: what is signed, how a secret is written, which headers go out.

Source: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from typing import Final

SECRET_BYTES: Final = 32
"""The specification asks for 24 to 64 random bytes."""

_PREFIX: Final = "whsec_"


def secret_text(secret: bytes) -> str:
    """Return a secret as its receiver configures it."""
    return _PREFIX + base64.b64encode(secret).decode("ascii")


def signed_headers(secret: bytes, notice_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers for one attempt made `at`: the id stays the same over attempts, the time does not.

    The signature is HMAC-SHA-256 over `id.seconds.body`; an id with a full stop could be read as another one.
    """
    if "." in notice_id:
        raise ValueError("a webhook's id holds no full stop")
    seconds = str(int(at.timestamp()))
    signature = hmac.digest(
        secret, b".".join((notice_id.encode("ascii"), seconds.encode("ascii"), body)), "sha256"
    )
    return {
        "webhook-id": notice_id,
        "webhook-timestamp": seconds,
        "webhook-signature": "v1," + base64.b64encode(signature).decode("ascii"),
    }
