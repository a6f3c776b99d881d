"""Who signed which case, and who handed which on to whom. No word of any case's content."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from arbiter.store.tables.base import INSTANT, metadata

# A row a signature: the entry `seq` of the case is the signature's.
signed_case = Table(
    "signed_case",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("case_id", Text, ForeignKey("case_file.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    UniqueConstraint("case_id", "seq"),
    Index("ix_signed_case_account_id", "account_id", "id"),
)

# A row a case that its holder gave back for a colleague: nobody is kept from claiming it.
handed_over = Table(
    "handed_over",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("case_id", Text, ForeignKey("case_file.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("by_account", Text, nullable=False),
    Column("to_account", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    UniqueConstraint("case_id", "seq"),
    Index("ix_handed_over_to_account", "to_account", "at"),
)
