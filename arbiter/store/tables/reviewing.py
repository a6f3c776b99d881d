"""What came of reviews, for whoever answers for the service: relations and instants, never an option and never a reviewer."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Double,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from arbiter.store.tables.base import INSTANT, metadata

# Seconds, never below none: clocks of two processes differ.
_SECONDS = "greatest(0, extract(epoch from {} - escalated_at))"
# What reviews are counted by is in an index whole, as numbers, so that a year of them is counted without their rows. `relations` holds what
# clinicians did, bit by bit: practice, planted, overdue, then two bits (no, yes, not known) for each pair of answers. `pattern` is the first
# 64 bits of SHA-256 of the reasons and of how members stood to one another: of ten thousand different ones two share a number by chance in
# one installation of 10^11. Text read as bytes has backslashes that mean something, unless they are doubled.
# INVARIANT: `review_outcome.relations` is a copy: a migration that changes these bits changes it as well.
_RELATIONS = (
    "(training::int + 2 * planted::int + 4 * overdue::int + 8 * coalesce(own_is_final::int, 2) "
    "+ 32 * coalesce(leading_is_final::int, 2) + 128 * coalesce(own_is_leading::int, 2))::smallint"
)
_PATTERN = r"('x' || left(encode(sha256(replace(reasons::text || families::text, '\', '\\')::bytea), 'hex'), 16))::bit(64)::bigint"
_COUNTED_BY = ("protocol_id", "training", "relations", "pattern", "to_claim", "to_decision", "id")
_TOLD = (
    "figure_id",
    "source",
    "risk_class",
    "protocol_id",
    "relations",
    "own_right",
    "leading_right",
    "final_right",
    "id",
)

# A row a signed review, written in the transaction that signs. What somebody answered stands nowhere in it: only whether two answers
# were the same. `families` has, by family and member, 0 for the panel's leading option and a number for each other one.
review_figure = Table(
    "review_figure",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("case_id", Text, ForeignKey("case_file.id"), nullable=False),
    Column("site_id", Text, ForeignKey("site.id"), nullable=False),
    Column("protocol_id", Text, nullable=False),
    Column("protocol_hash", Text, ForeignKey("protocol_bundle.content_hash"), nullable=False),
    Column("risk_class", Text, nullable=False),
    Column("training", Boolean, nullable=False),
    Column("planted", Boolean, nullable=False),
    Column("escalated_at", INSTANT, nullable=False),
    Column("claimed_at", INSTANT, nullable=False),
    Column("signed_at", INSTANT, nullable=False),
    Column("overdue", Boolean, nullable=False),
    Column("own_is_final", Boolean),
    Column("leading_is_final", Boolean),
    Column("own_is_leading", Boolean),
    Column("reasons", JSONB, nullable=False),
    Column("families", JSONB, nullable=False),
    Column("relations", SmallInteger, Computed(_RELATIONS, persisted=True), nullable=False),
    Column("pattern", BigInteger, Computed(_PATTERN, persisted=True), nullable=False),
    Column("to_claim", Double, Computed(_SECONDS.format("claimed_at"), persisted=True), nullable=False),
    Column("to_decision", Double, Computed(_SECONDS.format("signed_at"), persisted=True), nullable=False),
    CheckConstraint("training OR NOT planted", name="planted_is_training"),
    Index("ix_review_figure_signed_at", "signed_at", "id"),
    Index("ix_review_figure_counted", "site_id", "risk_class", "signed_at", postgresql_include=_COUNTED_BY),
    Index("ix_review_figure_case_id", "case_id", "id"),
)

# A row each time somebody tells what was right for the patient of a signed review: the newest of each source counts. What it is found and
# counted by is copied from the review, for neither is ever changed.
review_outcome = Table(
    "review_outcome",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("figure_id", BigInteger, ForeignKey("review_figure.id"), nullable=False),
    Column("source", Text, nullable=False),
    Column("own_right", Boolean),
    Column("leading_right", Boolean),
    Column("final_right", Boolean, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("site_id", Text, nullable=False),
    Column("protocol_id", Text, nullable=False),
    Column("risk_class", Text, nullable=False),
    Column("signed_at", INSTANT, nullable=False),
    Column("relations", SmallInteger, nullable=False),
    CheckConstraint("source IN ('outcome', 'independent reader', 'planted')", name="known_source"),
    Index("ix_review_outcome_figure_id", "figure_id", "id"),
    Index("ix_review_outcome_counted", "site_id", "signed_at", postgresql_include=_TOLD),
)
