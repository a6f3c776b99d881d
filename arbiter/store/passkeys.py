"""Rows of passkeys and of what they were asked for. What they mean is decided in `arbiter.workflow.passkeys`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from arbiter.errors import ConflictError, NotFoundError
from arbiter.store.transaction import UNIQUENESS_ERRORS, Where, run

ADDING: Final = "add"
SIGNING: Final = "sign"

_INSERT = """
INSERT INTO passkey (credential_id, account_id, public_key, rp_id, name, sign_count, backup_eligible, backed_up,
    entry_seq, added_at, removed_at)
VALUES (%(credential_id)s, %(account_id)s, %(public_key)s, %(rp_id)s, %(name)s, %(sign_count)s, %(backup_eligible)s,
    %(backed_up)s, %(entry_seq)s, %(added_at)s, NULL)
RETURNING credential_id
"""
_OF_ACCOUNT = """
SELECT credential_id, account_id, public_key, rp_id, name, sign_count, backup_eligible, backed_up, entry_seq, added_at,
    removed_at
FROM passkey WHERE account_id = %(account)s ORDER BY added_at, credential_id
"""
_REMOVE = """
UPDATE passkey SET removed_at = %(now)s
WHERE credential_id = %(credential_id)s AND account_id = %(account)s AND removed_at IS NULL
RETURNING name
"""
_USED = """
UPDATE passkey SET sign_count = %(count)s, backed_up = %(backed_up)s
WHERE credential_id = %(credential_id)s AND removed_at IS NULL AND sign_count = %(before)s
RETURNING credential_id
"""
_ASK = """
WITH over AS (DELETE FROM passkey_request WHERE asked_at <= %(old)s)
INSERT INTO passkey_request (challenge, account_id, purpose, asked_at)
VALUES (%(challenge)s, %(account)s, %(purpose)s, %(now)s)
RETURNING challenge
"""
_TAKE = """
DELETE FROM passkey_request WHERE challenge = %(challenge)s AND account_id = %(account)s AND purpose = %(purpose)s
RETURNING asked_at
"""


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    """A passkey: the credential's id and public key (COSE), its owner, and the house's entry `entry_seq` that says so.

    `sign_count` is what the authenticator counted at its last use; `backup_eligible` and `backed_up` say whether it can be, and
    is, copied to other devices; `removed_at` is None while it may sign.
    """

    credential_id: bytes
    account_id: str
    public_key: bytes
    rp_id: str
    name: str
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    entry_seq: int
    added_at: datetime
    removed_at: datetime | None = None


async def insert_passkey(where: Where, row: PasskeyRow) -> None:
    """Keep a passkey; raise ConflictError when its credential is known already, whosever it is or was."""
    parameters = {
        "credential_id": row.credential_id,
        "account_id": row.account_id,
        "public_key": row.public_key,
        "rp_id": row.rp_id,
        "name": row.name,
        "sign_count": row.sign_count,
        "backup_eligible": row.backup_eligible,
        "backed_up": row.backed_up,
        "entry_seq": row.entry_seq,
        "added_at": row.added_at,
    }
    try:
        await run(where, _INSERT, parameters)
    except UNIQUENESS_ERRORS:
        raise ConflictError("this passkey is registered already") from None


async def load_passkeys(where: Where, account_id: str) -> tuple[PasskeyRow, ...]:
    """Return an account's passkeys, removed ones too, oldest first."""
    return tuple(map(_row, await run(where, _OF_ACCOUNT, {"account": account_id})))


async def remove_passkey(where: Where, account_id: str, credential_id: bytes, now: datetime) -> str:
    """End an account's passkey and return its name; raise NotFoundError when the account has no such active one."""
    parameters = {"account": account_id, "credential_id": credential_id, "now": now}
    rows = await run(where, _REMOVE, parameters)
    if not rows:
        raise NotFoundError("no such passkey of this account")
    return str(rows[0][0])


async def note_use(where: Where, row: PasskeyRow, count: int, *, backed_up: bool) -> bool:
    """Keep what the authenticator counts now; False when the passkey was removed or used since `row` was read."""
    parameters = {
        "credential_id": row.credential_id,
        "before": row.sign_count,
        "count": count,
        "backed_up": backed_up,
    }
    return bool(await run(where, _USED, parameters))


async def ask_passkey(
    where: Where, challenge: bytes, account_id: str, purpose: str, now: datetime, old: datetime
) -> None:
    """Remember that an account's passkey is asked to answer this challenge; forget what was asked before `old`.

    Raises:
        ConflictError: when this very challenge waits for an answer already.
    """
    parameters = {
        "challenge": challenge,
        "account": account_id,
        "purpose": purpose,
        "now": now,
        "old": old,
    }
    try:
        await run(where, _ASK, parameters)
    except UNIQUENESS_ERRORS:
        raise ConflictError("this very challenge waits for an answer already") from None


async def take_request(where: Where, challenge: bytes, account_id: str, purpose: str) -> datetime | None:
    """Return when an account was asked this, and forget it: whoever comes second gets None, as for what nobody asked."""
    parameters = {"challenge": challenge, "account": account_id, "purpose": purpose}
    rows = await run(where, _TAKE, parameters)
    return rows[0][0] if rows else None


def _row(row: Sequence[Any]) -> PasskeyRow:
    credential_id, account_id, public_key, *rest = row
    return PasskeyRow(bytes(credential_id), account_id, bytes(public_key), *rest)
