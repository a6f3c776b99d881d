"""Exports are jobs: who asked for what, how far it is, and the key of its file.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "export_job",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("selection", JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("total", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("owner", sa.Text),
        sa.Column("held_until", instant),
        sa.Column("kek_id", sa.Text),
        sa.Column("sealed_key", sa.LargeBinary),
        sa.Column("size", sa.BigInteger),
        sa.Column("sha256", sa.Text),
        sa.Column("fault", sa.Text),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("finished_at", instant),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'gone')",
            name=op.f("ck_export_job_known_state"),
        ),
        sa.CheckConstraint(
            "(kek_id IS NULL) = (sealed_key IS NULL)", name=op.f("ck_export_job_key_is_whole")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_export_job"),
    )
    op.create_index(
        "ix_export_job_open",
        "export_job",
        ["created_at"],
        postgresql_where=sa.text("state IN ('waiting', 'running', 'done')"),
    )
    op.execute(
        "CREATE TRIGGER no_retired_kek BEFORE INSERT OR UPDATE OF kek_id ON export_job "
        "FOR EACH ROW EXECUTE FUNCTION arbiter_refuse_retired_kek()"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON export_job TO {APPLICATION}")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
