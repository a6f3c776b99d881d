"""Exports that were asked for: who, what, how far, and the key of the file while there is one."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from arbiter.store.tables.base import INSTANT, metadata

export_job = Table(
    "export_job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("selection", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("done", BigInteger, nullable=False, server_default=text("0")),
    Column("total", BigInteger, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Whoever makes it holds it until then; after a crash the next one takes it.
    Column("owner", Text),
    Column("held_until", INSTANT),
    # The file's key, sealed; gone with the file, which nobody can then read.
    Column("kek_id", Text),
    Column("sealed_key", LargeBinary),
    Column("size", BigInteger),
    Column("sha256", Text),
    Column("fault", Text),
    Column("created_at", INSTANT, nullable=False),
    Column("finished_at", INSTANT),
    CheckConstraint("state IN ('waiting', 'running', 'done', 'failed', 'gone')", name="known_state"),
    CheckConstraint("(kek_id IS NULL) = (sealed_key IS NULL)", name="key_is_whole"),
    Index(
        "ix_export_job_open", "created_at", postgresql_where=text("state IN ('waiting', 'running', 'done')")
    ),
)
