"""Passkeys that people sign with, and what a passkey was asked to sign a moment ago."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, LargeBinary, Table, Text

from arbiter.store.tables.base import INSTANT, metadata

passkey = Table(
    "passkey",
    metadata,
    Column("credential_id", LargeBinary, primary_key=True),
    Column("account_id", Text, ForeignKey("account.id"), nullable=False, index=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("rp_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("backup_eligible", Boolean, nullable=False),
    Column("backed_up", Boolean, nullable=False),
    Column("entry_seq", BigInteger, nullable=False),
    Column("added_at", INSTANT, nullable=False),
    Column("removed_at", INSTANT),
    CheckConstraint("sign_count >= 0 AND entry_seq >= 0", name="counts"),
)

passkey_request = Table(
    "passkey_request",
    metadata,
    Column("challenge", LargeBinary, primary_key=True),
    Column("account_id", Text, ForeignKey("account.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("asked_at", INSTANT, nullable=False, index=True),
    CheckConstraint("purpose IN ('add', 'sign')", name="known_purpose"),
)
