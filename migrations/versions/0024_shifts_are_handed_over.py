"""Who signed which case, who handed which on to whom; and a case is found by its holder.

Revision ID: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"
INSTANT = sa.DateTime(timezone=True)

# Of what was signed before, the entry says by whom and when.
_SIGNED_BEFORE = """
INSERT INTO signed_case (case_id, seq, account_id, at)
SELECT d.case_id, d.seq, told.entry ->> 'actor', (told.entry ->> 'at')::timestamptz
FROM sealed_document AS d
JOIN entry AS e ON e.chain = arbiter_chain(d.case_id) AND e.seq = d.seq
CROSS JOIN LATERAL (SELECT convert_from(e.body, 'UTF8')::jsonb AS entry OFFSET 0) AS told
WHERE d.name = 'signature' AND told.entry ->> 'case' = d.case_id
ORDER BY e.id
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(
        "CREATE INDEX ix_case_file_reviewer_id ON case_file (reviewer_id) WHERE reviewer_id IS NOT NULL"
    )
    op.create_table(
        "signed_case",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_signed_case"),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_signed_case_case_id"),
        sa.UniqueConstraint("case_id", "seq", name="uq_signed_case_case_id_seq"),
    )
    op.create_index("ix_signed_case_account_id", "signed_case", ["account_id", "id"])
    op.create_table(
        "handed_over",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("by_account", sa.Text, nullable=False),
        sa.Column("to_account", sa.Text, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_handed_over"),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_handed_over_case_id"),
        sa.UniqueConstraint("case_id", "seq", name="uq_handed_over_case_id_seq"),
    )
    op.create_index("ix_handed_over_to_account", "handed_over", ["to_account", "at"])
    op.execute(_SIGNED_BEFORE)
    for table in ("signed_case", "handed_over"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {APPLICATION}")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
