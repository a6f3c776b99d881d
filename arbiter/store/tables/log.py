"""The log: insert-only but for `pending`.

An entry's row holds its bytes and what finds it again: the entry's own id, in the order of writing, and its chain's
number (`arbiter_chain`: the first eight bytes of the SHA-256 of the chain's name), because a number costs a third of
the name. Two chains may share a number; whoever looks a chain up compares the name in the entry's bytes. That a chain
has one entry `seq` is held by the chain's head, which moves by compare-and-set, and by verification.

A row of `pending` is an entry that waits for its number; or, with `ids` and `hashes`, all that one transaction appended in
bulk: the ids with the smallest as `entry_id`, and in their order the leaf hashes that the writer made.

A sealed run is what one round numbered, or such a row of it: the entry with the k-th smallest of `ids` is the leaf `start + k`, and the
k-th 32 bytes of `hashes` are its leaf hash. No entry is in two runs.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, ExcludeConstraint

from arbiter.store.tables.base import INSTANT, metadata

entry = Table(
    "entry",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("chain", BigInteger, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_entry_chain", "chain"),
    CheckConstraint("octet_length(body) < 65536", name="fits_a_bundle"),
)

pending = Table(
    "pending",
    metadata,
    Column("entry_id", BigInteger, nullable=False),
    Column("queued_at", INSTANT, nullable=False, server_default=text("now()")),
    Column("ids", INT8MULTIRANGE),
    # Stored uncompressed: hashes are chance.
    Column("hashes", LargeBinary),
    CheckConstraint(
        "num_nulls(ids, hashes) = 2 OR (num_nulls(ids, hashes) = 0 AND lower(ids) = entry_id "
        "AND octet_length(hashes) > 0 AND octet_length(hashes) % 32 = 0)",
        name="one_or_many",
    ),
)

sealed_run = Table(
    "sealed_run",
    metadata,
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("ids", INT8MULTIRANGE, nullable=False),
    # Stored uncompressed, so that a few hashes of a long run are read without the others.
    Column("hashes", LargeBinary, nullable=False),
    CheckConstraint("octet_length(hashes) > 0 AND octet_length(hashes) % 32 = 0", name="hashes_are_sha256"),
    ExcludeConstraint(("ids", "&&"), using="gist", name="ex_sealed_run_ids"),
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
    Column("sealed_at", INSTANT, nullable=False),
)
