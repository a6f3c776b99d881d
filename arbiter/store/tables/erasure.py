"""What was erased: one row a case whose key is gone, and how long the list of erasures outside the database is at least."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Integer, LargeBinary, Table, Text

from arbiter.store.tables.base import INSTANT, metadata

erasure = Table(
    "erasure",
    metadata,
    Column("case_id", Text, ForeignKey("case_file.id"), primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("destroyed_at", INSTANT, nullable=False),
    # When the database's live files were found to hold no wrapped key of it.
    Column("cleared_at", INSTANT),
    Column("completed_at", INSTANT),
    CheckConstraint("completed_at IS NULL OR cleared_at IS NOT NULL", name="cleared_before_complete"),
)

# A list that is shorter than this, or another at that length, was cut or changed.
erasure_list = Table(
    "erasure_list",
    metadata,
    Column("id", Text, primary_key=True),
    Column("lines", Integer, nullable=False),
    Column("head", LargeBinary, nullable=False),
    CheckConstraint("octet_length(head) = 32", name="head_is_a_hash"),
)
