"""The log costs less: a chain's number in place of its name, a row a sealed round in place of a row a leaf.

What was sealed is carried over as it stands, a run a checkpoint; where a log was tampered with, verification still
names the place.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, ExcludeConstraint

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"

# Names are printable ASCII without a backslash. A chain's number is no secret and no proof: whoever looks a chain up
# compares the name in the entry.
CHAIN = """
CREATE FUNCTION arbiter_chain(name text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ('x' || encode(substr(sha256(decode(name, 'escape')), 1, 8), 'hex'))::bit(64)::bigint
"""

# A run ends where its checkpoint does, and wherever indices or entries are not in order.
CARRY_OVER = """
INSERT INTO sealed_run (start, ids, hashes)
SELECT min(index), range_agg(int8range(entry_id, entry_id + 1)), string_agg(hash, ''::bytea ORDER BY index)
FROM (
    SELECT index, entry_id, hash, sum(begins) OVER (ORDER BY index) AS run
    FROM (
        SELECT index, entry_id, hash, CASE
            WHEN lag(index) OVER by_index = index - 1 AND lag(entry_id) OVER by_index < entry_id
                AND NOT EXISTS (SELECT FROM checkpoint WHERE size = index) THEN 0
            ELSE 1
        END AS begins
        FROM leaf WINDOW by_index AS (ORDER BY index)
    ) AS marked
) AS numbered
GROUP BY run
"""

# A proof takes in up to 255 nodes of a level where the next stored one is eight levels up, and 15 where it is four.
NODES_OF_LEVEL_12 = """
WITH RECURSIVE nodes(level, index, hash) AS (
    SELECT 8, index, hash FROM tree_node WHERE level = 8
    UNION ALL
    SELECT level + 1, index / 2, parent FROM (
        SELECT level, index, sha256('\\x01'::bytea || hash || lead(hash) OVER (ORDER BY index)) AS parent,
            lead(index) OVER (ORDER BY index) = index + 1 AS complete
        FROM nodes WHERE level < 12
    ) AS pairs
    WHERE index % 2 = 0 AND complete
)
INSERT INTO tree_node (level, index, hash) SELECT level, index, hash FROM nodes WHERE level = 12
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(CHAIN)
    op.drop_constraint("uq_entry_case_id_seq", "entry")
    # Rewrites the table and changes no row: the append-only trigger stays as it is.
    op.execute("ALTER TABLE entry ALTER COLUMN case_id TYPE bigint USING arbiter_chain(case_id)")
    op.execute("ALTER TABLE entry RENAME COLUMN case_id TO chain")
    op.create_index("ix_entry_chain", "entry", ["chain"])
    op.create_table(
        "sealed_run",
        sa.Column("start", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("ids", INT8MULTIRANGE, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.CheckConstraint(
            "octet_length(hashes) > 0 AND octet_length(hashes) % 32 = 0",
            name=op.f("ck_sealed_run_hashes_are_sha256"),
        ),
        sa.PrimaryKeyConstraint("start", name="pk_sealed_run"),
        ExcludeConstraint(("ids", "&&"), using="gist", name="ex_sealed_run_ids"),
    )
    op.execute("ALTER TABLE sealed_run ALTER COLUMN hashes SET STORAGE EXTERNAL")
    op.execute(CARRY_OVER)
    op.execute(NODES_OF_LEVEL_12)
    op.drop_table("leaf")
    op.execute(f"GRANT SELECT, INSERT ON sealed_run TO {APPLICATION}")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON sealed_run "
        "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
    )
    op.execute("ALTER TABLE sealed_run ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
