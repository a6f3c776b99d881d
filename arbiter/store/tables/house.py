"""The house's own chain in the log: what concerns the installation and no case, such as keys, recoveries, exports."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Integer, LargeBinary, Table, Text

from arbiter.store.tables.base import metadata

# Where each of the house's chains ends.
house_chain = Table(
    "house_chain",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("prev", LargeBinary, nullable=False),
    CheckConstraint("octet_length(prev) = 32", name="prev_is_a_hash"),
)

# What the entries commit to, with the salts, in the clear: never a patient's.
house_document = Table(
    "house_document",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
