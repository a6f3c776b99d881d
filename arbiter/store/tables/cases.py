"""What is decided: protocols, subjects, cases with their keys and sealed documents, and what finds them again."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from arbiter.store.tables.base import INSTANT, metadata

# Which cases concluded with a clinician and which with the panel alone. Who counts them asks in these very words, so that they are
# counted in the indexes and no state is looked into.
_CAME_TO_HUMAN = "(phase IN ('claimed', 'escalated', 'opinion-committed', 'revealed') OR (state -> 'human_required')::boolean)"
WITH_HUMAN = f"NOT training AND {_CAME_TO_HUMAN}"
BY_PANEL = f"NOT training AND state ->> 'decided_by' = 'panel' AND NOT {_CAME_TO_HUMAN}"

protocol_bundle = Table(
    "protocol_bundle",
    metadata,
    Column("content_hash", Text, primary_key=True),
    Column("protocol_id", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("files", JSONB, nullable=False),
    Column("first_used_at", INSTANT, nullable=False),
)

calibration = Table(
    "calibration",
    metadata,
    Column("content_hash", Text, primary_key=True),
    Column("protocol_hash", Text, ForeignKey("protocol_bundle.content_hash"), nullable=False, index=True),
    Column("document", LargeBinary, nullable=False),
    Column("first_used_at", INSTANT, nullable=False),
)

subject = Table(
    "subject",
    metadata,
    Column("id", Text, primary_key=True),
    Column("index_mac", LargeBinary, nullable=False, unique=True),
    Column("created_at", INSTANT, nullable=False),
    # Set when two numbers turned out to be one patient: this subject's cases are then found under the other.
    Column("merged_into", Text, ForeignKey("subject.id"), index=True),
)

case_file = Table(
    "case_file",
    metadata,
    Column("id", Text, primary_key=True),
    Column("site_id", Text, ForeignKey("site.id"), nullable=False),
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("subject_id", Text, ForeignKey("subject.id"), nullable=False, index=True),
    Column("encounter_mac", LargeBinary),
    Column("protocol_id", Text, nullable=False),
    Column("protocol_hash", Text, ForeignKey("protocol_bundle.content_hash"), nullable=False),
    Column("risk_class", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("state", JSONB, nullable=False),
    Column("version", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("prev", LargeBinary, nullable=False),
    Column("wake_at", INSTANT),
    Column("decided_seq", Integer),
    Column("reviewer_id", Text),
    Column("job_id", BigInteger),
    Column("training", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", INSTANT, nullable=False),
    Column("changed_at", INSTANT, nullable=False),
    CheckConstraint("seq >= 0 AND version >= 1", name="counts"),
    CheckConstraint("octet_length(prev) = 32", name="prev_is_a_hash"),
    Index("ix_case_file_listing", "created_at", "id"),
    Index("ix_case_file_phase", "phase", "created_at"),
    Index("ix_case_file_wake_at", "wake_at", postgresql_where=text("wake_at IS NOT NULL")),
    Index("ix_case_file_reviewer_id", "reviewer_id", postgresql_where=text("reviewer_id IS NOT NULL")),
    Index(
        "ix_case_file_decided",
        "id",
        postgresql_where=text("phase = 'decided'"),
    ),
    Index(
        "ix_case_file_unwitnessed",
        "id",
        postgresql_where=text("phase = 'released' AND state ->> 'unwitnessed' = 'true'"),
    ),
    Index(
        "ix_case_file_to_read",
        "protocol_id",
        "created_at",
        "id",
        postgresql_where=text("state #>> '{audit,stage}' IN ('drawn', 'doubted')"),
    ),
    Index(
        "ix_case_file_with_human", "site_id", "created_at", "protocol_id", postgresql_where=text(WITH_HUMAN)
    ),
    Index("ix_case_file_by_panel", "site_id", "created_at", "protocol_id", postgresql_where=text(BY_PANEL)),
)

# In parts, `case_key_0` and so on: a destroyed key leaves the files when its part is rewritten, which holds its part alone.
case_key = Table(
    "case_key",
    metadata,
    Column("case_id", Text, ForeignKey("case_file.id"), primary_key=True),
    Column("kek_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    postgresql_partition_by="HASH (case_id)",
)

sealed_document = Table(
    "sealed_document",
    metadata,
    Column("case_id", Text, ForeignKey("case_file.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("ciphertext", LargeBinary, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("client_id", Text, ForeignKey("client.id"), primary_key=True),
    Column("key_mac", LargeBinary, primary_key=True),
    Column("body_mac", LargeBinary, nullable=False),
    Column("case_id", Text, ForeignKey("case_file.id"), nullable=False),
    Column("created_at", INSTANT, nullable=False, index=True),
)

# The newest case of each subject, question and facts: who asks the same again within the window gets that one.
recent_case = Table(
    "recent_case",
    metadata,
    Column("likeness_mac", LargeBinary, primary_key=True),
    Column("case_id", Text, ForeignKey("case_file.id"), nullable=False),
    Column("taken_at", INSTANT, nullable=False),
)

# Where the log's chain of a subject ends: its searches and mergers are entries that belong to no case.
subject_chain = Table(
    "subject_chain",
    metadata,
    Column("subject_id", Text, ForeignKey("subject.id"), primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("prev", LargeBinary, nullable=False),
    CheckConstraint("octet_length(prev) = 32", name="prev_is_a_hash"),
)

# What a merger's entry commits to, with its salt. Subjects are opaque ids, so nothing here is secret.
subject_merger = Table(
    "subject_merger",
    metadata,
    Column("subject_id", Text, ForeignKey("subject.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

broken_glass = Table(
    "broken_glass",
    metadata,
    Column("principal_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("case_file.id"), primary_key=True),
    Column("opened_at", INSTANT, nullable=False),
    Column("until", INSTANT, nullable=False),
)
