"""What reviewers have typed and not yet sent."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, LargeBinary, Table, Text

from arbiter.store.tables.base import INSTANT, metadata

# Sealed under the case's key, bound to its case, reviewer and step: erasing the case destroys it, and nobody else's opens.
draft = Table(
    "draft",
    metadata,
    Column("case_id", Text, ForeignKey("case_file.id"), primary_key=True),
    Column("reviewer_id", Text, ForeignKey("account.id"), primary_key=True, index=True),
    Column("step", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("saved_at", INSTANT, nullable=False),
    Column("expires_at", INSTANT, nullable=False, index=True),
    CheckConstraint("step IN ('opinion', 'sign')", name="known_step"),
)
