"""What witnesses have signed, who asks them at the moment, and which of them are in trouble."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, LargeBinary, SmallInteger, Table, Text

from arbiter.store.tables.base import INSTANT, metadata

# A cosignature counts for the checkpoint of this size and root alone, and only after it has been verified again.
cosignature = Table(
    "cosignature",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("witness", Text, primary_key=True),
    Column("root", LargeBinary, primary_key=True),
    Column("line", Text, nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("received_at", INSTANT, nullable=False),
    CheckConstraint("octet_length(root) = 32", name="root_is_sha256"),
    Index("ix_cosignature_witness_size", "witness", "size"),
)

# One process at a time asks the witnesses; another takes over when it has been silent for long enough.
witness_lease = Table(
    "witness_lease",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("until", INSTANT, nullable=False),
    CheckConstraint("one = 1", name="one_row"),
)

# What was wrong when a witness was last asked, in our words, and since when; nothing where it cosigned.
witness_standing = Table(
    "witness_standing",
    metadata,
    Column("witness", Text, primary_key=True),
    Column("fault", Text),
    Column("since", INSTANT, nullable=False),
)
