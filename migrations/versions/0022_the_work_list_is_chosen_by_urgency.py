"""What the work list is made of is found at once: who holds what, and of each protocol the oldest decisions to be read.

Revision ID: 0022
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    # Not concurrently: that waits for every snapshot, and whoever waits for the migration lock holds one.
    op.execute("CREATE INDEX ix_case_file_held ON case_file (reviewer_id) WHERE reviewer_id IS NOT NULL")
    op.execute(
        "CREATE INDEX ix_case_file_to_read ON case_file (protocol_id, created_at, id) "
        "WHERE state #>> '{audit,stage}' IN ('drawn', 'doubted')"
    )
    op.execute("DROP INDEX ix_case_file_audited")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
