"""Witnesses: what they have signed, who asks them, which are in trouble, and cases released before they signed.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "cosignature",
        sa.Column("size", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("witness", sa.Text, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("seconds", sa.BigInteger, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.CheckConstraint("octet_length(root) = 32", name=op.f("ck_cosignature_root_is_sha256")),
        sa.PrimaryKeyConstraint("size", "witness", "root", name="pk_cosignature"),
    )
    op.create_index("ix_cosignature_witness_size", "cosignature", ["witness", "size"])
    op.create_table(
        "witness_lease",
        sa.Column("one", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_witness_lease_one_row")),
        sa.PrimaryKeyConstraint("one", name="pk_witness_lease"),
    )
    op.create_table(
        "witness_standing",
        sa.Column("witness", sa.Text, nullable=False),
        sa.Column("fault", sa.Text),
        sa.Column("since", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("witness", name="pk_witness_standing"),
    )
    op.create_index(
        "ix_case_file_unwitnessed",
        "case_file",
        ["id"],
        postgresql_where=sa.text("phase = 'released' AND state ->> 'unwitnessed' = 'true'"),
    )
    op.execute(f"GRANT SELECT, INSERT ON cosignature TO {APPLICATION}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON witness_lease, witness_standing TO {APPLICATION}")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cosignature "
        "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
    )
    op.execute("ALTER TABLE cosignature ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
