"""Every table, with named constraints. Migrations are checked against this metadata.

No column holds a patient's data in the clear: subjects and encounters are keyed HMACs, content is in
`sealed_document`, encrypted under a key per case.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_INSTANT = DateTime(timezone=True)

# --- who --------------------------------------------------------------------------------------------------------

site = Table("site", metadata, Column("id", Text, primary_key=True), Column("name", Text, nullable=False))

client = Table(
    "client",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("sites", ARRAY(Text), nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT),
    Column("disabled_at", _INSTANT),
)

account = Table(
    "account",
    metadata,
    Column("id", Text, primary_key=True),
    Column("login", Text, nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("sites", ARRAY(Text), nullable=False),
    Column("failed_logins", Integer, nullable=False, server_default=text("0")),
    Column("locked_until", _INSTANT),
    Column("created_at", _INSTANT, nullable=False),
    Column("disabled_at", _INSTANT),
)

session = Table(
    "session",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("account_id", Text, ForeignKey("account.id"), nullable=False, index=True),
    Column("csrf_token", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("seen_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False, index=True),
)

# --- what is decided --------------------------------------------------------------------------------------------

protocol_bundle = Table(
    "protocol_bundle",
    metadata,
    Column("content_hash", Text, primary_key=True),
    Column("protocol_id", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("files", JSONB, nullable=False),
    Column("first_used_at", _INSTANT, nullable=False),
)

subject = Table(
    "subject",
    metadata,
    Column("id", Text, primary_key=True),
    Column("index_mac", LargeBinary, nullable=False, unique=True),
    Column("created_at", _INSTANT, nullable=False),
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
    Column("wake_at", _INSTANT),
    Column("decided_seq", Integer),
    Column("reviewer_id", Text),
    Column("job_id", BigInteger),
    Column("training", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", _INSTANT, nullable=False),
    Column("changed_at", _INSTANT, nullable=False),
    CheckConstraint("seq >= 0 AND version >= 1", name="counts"),
    CheckConstraint("octet_length(prev) = 32", name="prev_is_a_hash"),
    Index("ix_case_file_listing", "created_at", "id"),
    Index("ix_case_file_phase", "phase", "created_at"),
    Index("ix_case_file_wake_at", "wake_at", postgresql_where=text("wake_at IS NOT NULL")),
    Index(
        "ix_case_file_decided",
        "id",
        postgresql_where=text("phase = 'decided'"),
    ),
)

case_key = Table(
    "case_key",
    metadata,
    Column("case_id", Text, ForeignKey("case_file.id"), primary_key=True),
    Column("kek_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
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
    Column("created_at", _INSTANT, nullable=False, index=True),
)

# The newest case of each subject, question and facts: who asks the same again within the window gets that one.
recent_case = Table(
    "recent_case",
    metadata,
    Column("likeness_mac", LargeBinary, primary_key=True),
    Column("case_id", Text, ForeignKey("case_file.id"), nullable=False),
    Column("taken_at", _INSTANT, nullable=False),
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
    Column("opened_at", _INSTANT, nullable=False),
    Column("until", _INSTANT, nullable=False),
)

# --- who is told ------------------------------------------------------------------------------------------------

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("client.id"), index=True),
    Column("duty_group", Text, index=True),
    Column("url", Text, nullable=False),
    Column("kek_id", Text, nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("disabled_at", _INSTANT),
    CheckConstraint("(client_id IS NULL) <> (duty_group IS NULL)", name="one_owner"),
)

message = Table(
    "message",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("case_id", Text, ForeignKey("case_file.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("audience", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("rung", Integer),
    # The case as the step left it, so that a message says the same however late and however often it is sent.
    Column("phase", Text, nullable=False),
    Column("due_at", _INSTANT),
    Column("acknowledge_by", _INSTANT),
    Column("at", _INSTANT, nullable=False),
    Column("addressed_at", _INSTANT),
    # The order in which messages were addressed, which is the order in which they are read: no smaller one comes later.
    Column("place", BigInteger, unique=True),
    CheckConstraint("audience IN ('requester', 'duty')", name="known_audience"),
    CheckConstraint("(addressed_at IS NULL) = (place IS NULL)", name="placed_when_addressed"),
    Index("ix_message_case_id", "case_id", "id"),
    Index("ix_message_unaddressed", "id", postgresql_where=text("addressed_at IS NULL")),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("message_id", BigInteger, ForeignKey("message.id"), nullable=False),
    Column("case_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_at", _INSTANT, nullable=False),
    # Whoever sends holds the delivery until then; after a crash the next sender takes it.
    Column("claimed_until", _INSTANT),
    Column("delivered_at", _INSTANT),
    Column("dead_at", _INSTANT),
    Column("revived_at", _INSTANT),
    Column("last_fault", Text),
    UniqueConstraint("message_id", "channel", "recipient"),
    CheckConstraint("channel IN ('webhook', 'mail')", name="known_channel"),
    Index(
        "ix_delivery_waiting",
        "recipient",
        "case_id",
        "message_id",
        postgresql_where=text("delivered_at IS NULL AND dead_at IS NULL"),
    ),
    Index("ix_delivery_dead", "dead_at", postgresql_where=text("dead_at IS NOT NULL")),
)

decision_recipient = Table(
    "decision_recipient",
    metadata,
    Column("case_id", Text, ForeignKey("case_file.id"), primary_key=True),
    Column("client_id", Text, ForeignKey("client.id"), primary_key=True),
    Column("first_at", _INSTANT, nullable=False),
)

# --- the log: insert-only but for `pending` -----------------------------------------------------------------------

entry = Table(
    "entry",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("case_id", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("case_id", "seq"),
    CheckConstraint("octet_length(body) < 65536", name="fits_a_bundle"),
)

pending = Table(
    "pending",
    metadata,
    Column("entry_id", BigInteger, nullable=False),
    Column("queued_at", _INSTANT, nullable=False, server_default=text("now()")),
)

leaf = Table(
    "leaf",
    metadata,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", BigInteger, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("octet_length(hash) = 32", name="hash_is_sha256"),
)

tree_node = Table(
    "tree_node",
    metadata,
    Column("level", SmallInteger, primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("octet_length(hash) = 32", name="hash_is_sha256"),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("sealed_at", _INSTANT, nullable=False),
)

INSERT_ONLY = (entry, leaf, tree_node, checkpoint, protocol_bundle, sealed_document, subject_merger)
"""Tables in which the application may insert and select alone; triggers refuse the rest, whoever asks.

Erasure destroys a case's key, never a row of `sealed_document`.
"""
