"""The watch for drift: how far it has read the log, what it keeps of each protocol version, what alarmed, how members agreed."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from arbiter.store.tables.base import INSTANT, metadata

# How many leaves of the log are read, and which process reads on. Whatever the watch keeps moves with it, in one transaction.
drift_cursor = Table(
    "drift_cursor",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("leaves", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("until", INSTANT, nullable=False),
    CheckConstraint("one = 1", name="one_row"),
    CheckConstraint("leaves >= 0", name="counts"),
)

# Sealed, because two states that one case lies between tell into which bins its facts fell.
drift_state = Table(
    "drift_state",
    metadata,
    Column("protocol_hash", Text, ForeignKey("protocol_bundle.content_hash"), primary_key=True),
    Column("kek_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# A row an alarm, and one when a person has acknowledged it: a stream alarms once in each of its runs at most.
drift_step = Table(
    "drift_step",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("protocol_hash", Text, ForeignKey("protocol_bundle.content_hash"), nullable=False),
    Column("stream", Text, nullable=False),
    Column("run", Integer, nullable=False),
    Column("step", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("reason", Text),
    CheckConstraint("step IN ('alarmed', 'acknowledged')", name="known_step"),
    CheckConstraint("(step = 'acknowledged') = (reason IS NOT NULL)", name="acknowledged_has_reason"),
    CheckConstraint("run >= 0", name="counts"),
    UniqueConstraint("protocol_hash", "stream", "run", "step"),
)

# Krippendorff's alpha of so many cases, one window after another; `alpha` is None where there was nothing to compare.
agreement_window = Table(
    "agreement_window",
    metadata,
    Column("protocol_hash", Text, ForeignKey("protocol_bundle.content_hash"), primary_key=True),
    Column("asks", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("cases", Integer, nullable=False),
    Column("alpha", Text),
    Column("ended_at", INSTANT, nullable=False),
    CheckConstraint("number >= 0 AND cases > 0", name="counts"),
)
