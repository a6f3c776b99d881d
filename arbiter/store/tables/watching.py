"""What audits found of the panel's decisions, and the alarms that they raised."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from arbiter.store.tables.base import INSTANT, metadata

# A row an audit that counts, in the order in which they were closed. `members` has, for each that answered, whether it was wrong.
audit_count = Table(
    "audit_count",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # No foreign key: it would take the case's head while the house's chain is held, and its step takes them the other way round.
    Column("case_id", Text, nullable=False, unique=True),
    Column("protocol_id", Text, nullable=False),
    Column("calibration", Text, ForeignKey("calibration.content_hash"), nullable=False),
    Column("option", Text, nullable=False),
    Column("wrong", Boolean, nullable=False),
    Column("doubted", Boolean, nullable=False),
    Column("probability", Text, nullable=False),
    Column("members", JSONB, nullable=False),
    Column("at", INSTANT, nullable=False),
    CheckConstraint("doubted OR NOT wrong", name="wrong_is_doubted"),
    Index("ix_audit_count_calibration", "calibration", "id"),
)

# A row a step of an alarm: what alarmed stands until it is lifted. `counted` is the newest audit that the step knew of.
watch_step = Table(
    "watch_step",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("protocol_id", Text, nullable=False),
    Column("calibration", Text, ForeignKey("calibration.content_hash"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("counted", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("reason", Text),
    CheckConstraint("kind IN ('option', 'member')", name="known_kind"),
    CheckConstraint("step IN ('alarmed', 'lifted')", name="known_step"),
    CheckConstraint("(step = 'lifted') = (reason IS NOT NULL)", name="lifted_has_reason"),
    Index("ix_watch_step_protocol_id", "protocol_id", "id"),
)
