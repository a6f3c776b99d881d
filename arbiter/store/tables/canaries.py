"""What each seat answered to the canary's fixed cases, and which process asks tonight."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Identity,
    Index,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from arbiter.store.tables.base import INSTANT, metadata

# A row a seat and run. The cases are made up: no patient's.
canary_run = Table(
    "canary_run",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("protocol", Text, nullable=False),
    Column("member", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # The night that a scheduled run stands for: one run a night and seat, whoever asks.
    Column("night", Date),
    Column("at", INSTANT, nullable=False),
    Column("digest", Text),
    Column("asked", Text),
    Column("counts", JSONB, nullable=False),
    Column("p_value", Text),
    Column("level", Text),
    Column("alarmed", Boolean, nullable=False),
    Column("cause", Text, nullable=False),
    # A person had this baseline taken: it ends the alarms before it.
    Column("anew", Boolean, nullable=False),
    CheckConstraint("kind IN ('baseline', 'comparison', 'not-asked')", name="known_kind"),
    CheckConstraint(
        "(kind = 'not-asked') OR (digest IS NOT NULL AND asked IS NOT NULL)", name="heard_has_digest"
    ),
    CheckConstraint(
        "(kind = 'comparison') = (p_value IS NOT NULL AND level IS NOT NULL)", name="comparison_has_p_value"
    ),
    CheckConstraint("kind = 'baseline' OR NOT anew", name="anew_is_baseline"),
    Index("ix_canary_run_seat", "protocol", "member", "id"),
    Index(
        "uq_canary_run_night",
        "night",
        "protocol",
        "member",
        unique=True,
        postgresql_where=text("night IS NOT NULL"),
    ),
)

canary_lease = Table(
    "canary_lease",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("until", INSTANT, nullable=False),
    CheckConstraint("one = 1", name="one_row"),
)
