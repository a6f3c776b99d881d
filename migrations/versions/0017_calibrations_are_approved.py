"""Calibrations are proposed by one person, approved by another, and withdrawn: a row a step.

Revision ID: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "calibration_step",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("calibration", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("reason", sa.Text),
        sa.CheckConstraint(
            "step IN ('proposed', 'approved', 'withdrawn')", name=op.f("ck_calibration_step_known_step")
        ),
        sa.CheckConstraint(
            "(step = 'withdrawn') = (reason IS NOT NULL)",
            name=op.f("ck_calibration_step_withdrawn_has_reason"),
        ),
        sa.PrimaryKeyConstraint("id", name="pk_calibration_step"),
        sa.ForeignKeyConstraint(
            ["calibration"], ["calibration.content_hash"], name="fk_calibration_step_calibration"
        ),
        sa.UniqueConstraint("calibration", "step", name="uq_calibration_step_calibration_step"),
    )
    op.create_index(
        "uq_calibration_step_two_persons",
        "calibration_step",
        ["calibration", "actor"],
        unique=True,
        postgresql_where=sa.text("step <> 'withdrawn'"),
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON calibration_step "
        "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
    )
    op.execute("ALTER TABLE calibration_step ENABLE ALWAYS TRIGGER append_only")
    op.execute(f"GRANT SELECT, INSERT ON calibration_step TO {APPLICATION}")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
