"""Of two indexes that found what somebody holds, one is gone.

Revision ID: 0026
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Alone in its transaction: with any other lock held, whoever writes a case meanwhile could wait for that, and this for them.
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("DROP INDEX IF EXISTS ix_case_file_held")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
