"""Browser sessions: an unguessable cookie, a short life, and a second token that proves a form came from our page."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from arbiter.errors import ForbiddenError, UnauthenticatedError
from arbiter.identity.accounts import account_principal
from arbiter.identity.principals import Principal
from arbiter.ports import Chance, Clock
from arbiter.store.sessions import SessionRow, Sessions

LIFETIME = timedelta(hours=12)
IDLE = timedelta(minutes=30)
TOUCH_AFTER = timedelta(minutes=1)
"""A session's last use is written at most once in this time, so idleness may end it that much early."""

_TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Session:
    """A proven session; `csrf_token` belongs into every form of its pages."""

    principal: Principal
    csrf_token: str = field(repr=False)
    created_at: datetime
    expires_at: datetime


async def open_session(
    sessions: Sessions, clock: Clock, chance: Chance, principal: Principal
) -> tuple[Session, str]:
    """Open a session for an account just proven and return it with the cookie's token, of which a hash is stored."""
    now = clock.now()
    token = _text(chance.token(_TOKEN_BYTES))
    csrf_token = _text(chance.token(_TOKEN_BYTES))
    row = SessionRow(
        token_hash=_hash(token),
        account_id=principal.id,
        csrf_token=csrf_token,
        created_at=now,
        seen_at=now,
        expires_at=now + LIFETIME,
    )
    await sessions.add(row, idle_since=now - IDLE)
    return Session(principal, csrf_token, now, row.expires_at), token


async def resume(sessions: Sessions, clock: Clock, token: str, *, acting: bool = True) -> Session:
    """Return the session of this token; raise UnauthenticatedError when unknown, closed, idle for 30 minutes or 12 hours old.

    `acting` is false for what a page does by itself: a list that refreshes must not keep a deserted session alive.
    """
    if not _TOKEN.fullmatch(token):
        raise UnauthenticatedError(_REFUSAL)
    now = clock.now()
    found = await sessions.find(_hash(token))
    if found is None:
        raise UnauthenticatedError(_REFUSAL)
    row, account = found
    if now >= row.expires_at or now - row.seen_at >= IDLE or account.disabled_at is not None:
        raise UnauthenticatedError(_REFUSAL)
    if acting and now - row.seen_at >= TOUCH_AFTER:
        await sessions.touch(row.token_hash, now)
    return Session(account_principal(account), row.csrf_token, row.created_at, row.expires_at)


async def close_session(sessions: Sessions, token: str) -> None:
    """End the session of this token; nothing happens when there is none."""
    await sessions.remove(_hash(token))


def check_csrf(session: Session, presented: str | None) -> None:
    """Raise ForbiddenError unless the form carries the session's own token."""
    if presented is None or not hmac.compare_digest(_hash(presented), _hash(session.csrf_token)):
        raise ForbiddenError("the form did not come from a page of this session")


_REFUSAL = "there is no such session, or it has ended"


def _text(random: bytes) -> str:
    return base64.urlsafe_b64encode(random).decode().rstrip("=")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
