"""Who came to a clinician is counted in indexes.

Revision ID: 0025
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

CAME_TO_HUMAN = "(phase IN ('claimed', 'escalated', 'opinion-committed', 'revealed') OR (state -> 'human_required')::boolean)"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    # Not concurrently: that waits for every snapshot, and whoever waits for the migration lock holds one.
    op.execute(
        "CREATE INDEX ix_case_file_with_human ON case_file (site_id, created_at, protocol_id) "
        f"WHERE NOT training AND {CAME_TO_HUMAN}"
    )
    op.execute(
        "CREATE INDEX ix_case_file_by_panel ON case_file (site_id, created_at, protocol_id) "
        f"WHERE NOT training AND state ->> 'decided_by' = 'panel' AND NOT {CAME_TO_HUMAN}"
    )


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
