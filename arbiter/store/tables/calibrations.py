"""What persons did about each calibration that is kept: proposed it, approved it, withdrew it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from arbiter.store.tables.base import INSTANT, metadata

# A row a step. Each is taken once at most, and whoever proposed does not approve.
calibration_step = Table(
    "calibration_step",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("calibration", Text, ForeignKey("calibration.content_hash"), nullable=False),
    Column("step", Text, nullable=False),
    # No foreign key: it would lock the account while the chain's end is held, and the register takes them the other way round.
    Column("actor", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("reason", Text),
    CheckConstraint("step IN ('proposed', 'approved', 'withdrawn')", name="known_step"),
    CheckConstraint("(step = 'withdrawn') = (reason IS NOT NULL)", name="withdrawn_has_reason"),
    UniqueConstraint("calibration", "step"),
    Index(
        "uq_calibration_step_two_persons",
        "calibration",
        "actor",
        unique=True,
        postgresql_where=text("step <> 'withdrawn'"),
    ),
)
