"""Erasure: what was erased, and nothing of a wrapped key outside its own row.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
APPLICATION = "arbiter_app"

# Rewriting the table of keys is what leaves nothing of a destroyed one in its file. The right to is PostgreSQL 17's;
# on an older server the owner does it.
MAY_REWRITE = f"""
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN
        EXECUTE 'GRANT MAINTAIN ON case_key TO {APPLICATION}';
    END IF;
END
$$
"""


def upgrade() -> None:
    _forget_sampled_keys()
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "erasure",
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("destroyed_at", INSTANT, nullable=False),
        sa.Column("cleared_at", INSTANT),
        sa.Column("completed_at", INSTANT),
        sa.CheckConstraint(
            "completed_at IS NULL OR cleared_at IS NOT NULL", name=op.f("ck_erasure_cleared_before_complete")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_erasure_case_id"),
        sa.PrimaryKeyConstraint("case_id", name="pk_erasure"),
    )
    op.create_table(
        "erasure_list",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("lines", sa.Integer, nullable=False),
        sa.Column("head", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("octet_length(head) = 32", name=op.f("ck_erasure_list_head_is_a_hash")),
        sa.PrimaryKeyConstraint("id", name="pk_erasure_list"),
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON erasure, erasure_list TO {APPLICATION}")
    op.execute(f"GRANT DELETE ON recent_case TO {APPLICATION}")
    op.execute(MAY_REWRITE)


def _forget_sampled_keys() -> None:
    """Keep wrapped keys out of the planner's statistics, which sample a column's values, and forget what they sampled.

    Each statement may be repeated. Changing a column's type to its own rewrites nothing and drops its statistics; the
    catalogue is rewritten because a dropped row's bytes stay in its file.
    """
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE case_key ALTER COLUMN wrapped SET STATISTICS 0")
        op.execute("ALTER TABLE case_key ALTER COLUMN wrapped TYPE bytea")
        op.execute("VACUUM (FULL) pg_catalog.pg_statistic")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
