"""A chain of the log for what concerns the installation and no case.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "house_chain",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("prev", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("octet_length(prev) = 32", name=op.f("ck_house_chain_prev_is_a_hash")),
        sa.PrimaryKeyConstraint("id", name="pk_house_chain"),
    )
    op.create_table(
        "house_document",
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("chain", "seq", "name", name="pk_house_document"),
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON house_chain TO {APPLICATION}")
    op.execute(f"GRANT SELECT, INSERT ON house_document TO {APPLICATION}")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON house_document "
        "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
    )
    op.execute("ALTER TABLE house_document ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
