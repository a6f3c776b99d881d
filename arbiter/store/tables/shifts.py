"""Who signed which case, who handed which on to whom, and who has seen which in teaching. No word of any case's content."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from arbiter.store.tables.base import INSTANT, metadata

# A row a signature: the entry `seq` of the case is the signature's. `differed` says whether the reviewer and the panel, or the
# reviewer before and after the panel, said the same; null where nobody looked, as for what was signed before there was this table.
signed_case = Table(
    "signed_case",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("case_id", Text, ForeignKey("case_file.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("differed", Boolean),
    Column("at", INSTANT, nullable=False),
    UniqueConstraint("case_id", "seq"),
    Index("ix_signed_case_account_id", "account_id", "id"),
    Index("ix_signed_case_differed", "at", postgresql_where=text("differed")),
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

# Who has seen what a panel and its reviewers said of a case, in teaching: that person judges it no more.
taught_case = Table(
    "taught_case",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("case_file.id"), primary_key=True),
    Column("at", INSTANT, nullable=False),
)
