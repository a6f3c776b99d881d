"""What audits found of the panel's decisions, and the alarms that they raised: a row an audit, a row a step of an alarm.

Revision ID: 0018
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    # Not concurrently: that waits for every snapshot, and whoever waits for the migration lock holds one.
    op.execute(
        "CREATE INDEX ix_case_file_audited ON case_file (created_at, id) "
        "WHERE state #>> '{audit,stage}' IN ('drawn', 'doubted')"
    )
    op.create_table(
        "audit_count",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("protocol_id", sa.Text, nullable=False),
        sa.Column("calibration", sa.Text, nullable=False),
        sa.Column("option", sa.Text, nullable=False),
        sa.Column("wrong", sa.Boolean, nullable=False),
        sa.Column("doubted", sa.Boolean, nullable=False),
        sa.Column("probability", sa.Text, nullable=False),
        sa.Column("members", JSONB, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("doubted OR NOT wrong", name=op.f("ck_audit_count_wrong_is_doubted")),
        sa.PrimaryKeyConstraint("id", name="pk_audit_count"),
        sa.ForeignKeyConstraint(
            ["calibration"], ["calibration.content_hash"], name="fk_audit_count_calibration"
        ),
        sa.UniqueConstraint("case_id", name="uq_audit_count_case_id"),
    )
    op.create_index("ix_audit_count_calibration", "audit_count", ["calibration", "id"])
    op.create_table(
        "watch_step",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("protocol_id", sa.Text, nullable=False),
        sa.Column("calibration", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("counted", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("reason", sa.Text),
        sa.CheckConstraint("kind IN ('option', 'member')", name=op.f("ck_watch_step_known_kind")),
        sa.CheckConstraint("step IN ('alarmed', 'lifted')", name=op.f("ck_watch_step_known_step")),
        sa.CheckConstraint(
            "(step = 'lifted') = (reason IS NOT NULL)", name=op.f("ck_watch_step_lifted_has_reason")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_watch_step"),
        sa.ForeignKeyConstraint(
            ["calibration"], ["calibration.content_hash"], name="fk_watch_step_calibration"
        ),
    )
    op.create_index("ix_watch_step_protocol_id", "watch_step", ["protocol_id", "id"])
    for table in ("audit_count", "watch_step"):
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
