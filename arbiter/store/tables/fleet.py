"""What each process last told of the model servers it uses: the newest state alone, and nothing of a case."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, LargeBinary, Table, Text

from arbiter.store.tables.base import INSTANT, metadata

STATE_LIMIT = 1024 * 1024

# Two processes on one host may have one name, where each has process numbers of its own: `began` tells them apart.
# `at` is the database's clock: how old a state is must not depend on whose clock is wrong.
fleet_state = Table(
    "fleet_state",
    metadata,
    Column("process", Text, primary_key=True),
    Column("began", INSTANT, primary_key=True),
    Column("at", INSTANT, nullable=False),
    Column("document", LargeBinary, nullable=False),
    CheckConstraint("octet_length(process) BETWEEN 1 AND 256", name="process_is_short"),
    CheckConstraint(f"octet_length(document) <= {STATE_LIMIT}", name="document_is_bounded"),
)
