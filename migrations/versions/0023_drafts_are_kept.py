"""What a reviewer has typed and not yet sent is kept for them, sealed, until it is sent or a shift is over.

Revision ID: 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "draft",
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("reviewer_id", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("saved_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.CheckConstraint("step IN ('opinion', 'sign')", name=op.f("ck_draft_known_step")),
        sa.PrimaryKeyConstraint("case_id", "reviewer_id", "step", name="pk_draft"),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_draft_case_id"),
        sa.ForeignKeyConstraint(["reviewer_id"], ["account.id"], name="fk_draft_reviewer_id"),
    )
    op.create_index("ix_draft_expires_at", "draft", ["expires_at"])
    op.create_index("ix_draft_reviewer_id", "draft", ["reviewer_id"])
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON draft TO {APPLICATION}")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
