"""Signatures are those of Standard Webhooks: its published vector, and its own library as the receiver."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from arbiter.channels.signing import secret_text, signed_headers

# libraries/javascript/src/webhook.test.ts of the specification's repository, "sign function works".
SECRET = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'


def test_the_published_vector_is_met() -> None:
    assert signed_headers(SECRET, ID, AT, BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(secret=st.binary(min_size=32, max_size=32), text=st.text(max_size=50))
def test_the_published_library_accepts_what_is_signed(secret: bytes, text: str) -> None:
    body = text.encode("utf-8", "surrogatepass" if text.isascii() else "ignore")
    headers = signed_headers(secret, ID, datetime.now(UTC), body)
    Webhook(secret_text(secret)).verify(body, headers, json_parse=False)


@pytest.mark.parametrize("changed", ["body", "id", "time", "secret"])
def test_the_published_library_refuses_what_was_changed(changed: str) -> None:
    now = datetime.now(UTC)
    headers = signed_headers(SECRET, ID, now, BODY)
    body, secret = BODY, SECRET
    match changed:
        case "body":
            body = BODY + b" "
        case "id":
            headers["webhook-id"] += "x"
        case "time":
            headers["webhook-timestamp"] = str(int(headers["webhook-timestamp"]) + 1)
        case _:
            secret = bytes(32)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_text(secret)).verify(body, headers, json_parse=False)


def test_an_id_that_could_be_read_as_another_is_not_signed() -> None:
    with pytest.raises(ValueError, match="no full stop"):
        signed_headers(SECRET, "msg.1614265330", AT, BODY)
