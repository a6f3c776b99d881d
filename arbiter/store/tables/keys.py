"""Key-encryption keys that may wrap nothing any more; a trigger on what is wrapped holds it."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from arbiter.store.tables.base import INSTANT, metadata

retired_kek = Table(
    "retired_kek",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", INSTANT, nullable=False),
)
