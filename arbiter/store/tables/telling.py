"""Who is told what: endpoints, messages, deliveries, and who got a decision."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from arbiter.store.tables.base import INSTANT, metadata

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("client.id"), index=True),
    Column("duty_group", Text, index=True),
    Column("url", Text, nullable=False),
    Column("kek_id", Text, nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("created_at", INSTANT, nullable=False),
    Column("disabled_at", INSTANT),
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
    Column("due_at", INSTANT),
    Column("acknowledge_by", INSTANT),
    Column("at", INSTANT, nullable=False),
    Column("addressed_at", INSTANT),
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
    Column("next_at", INSTANT, nullable=False),
    # Whoever sends holds the delivery until then; after a crash the next sender takes it.
    Column("claimed_until", INSTANT),
    Column("delivered_at", INSTANT),
    Column("dead_at", INSTANT),
    Column("revived_at", INSTANT),
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
    Column("first_at", INSTANT, nullable=False),
)
