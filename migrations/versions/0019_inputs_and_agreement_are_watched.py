"""Inputs and agreement are watched for drift: a cursor, a sealed state a protocol version, alarms, windows of agreement.

Revision ID: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    _states()
    _rows()
    for table in ("drift_step", "agreement_window"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {APPLICATION}")
    op.execute(
        "CREATE TRIGGER no_retired_kek BEFORE INSERT OR UPDATE OF kek_id ON drift_state "
        "FOR EACH ROW EXECUTE FUNCTION arbiter_refuse_retired_kek()"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON drift_cursor TO {APPLICATION}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE (kek_id, sealed) ON drift_state TO {APPLICATION}")


def _states() -> None:
    op.create_table(
        "drift_cursor",
        sa.Column("one", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("leaves", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_drift_cursor_one_row")),
        sa.CheckConstraint("leaves >= 0", name=op.f("ck_drift_cursor_counts")),
        sa.PrimaryKeyConstraint("one", name="pk_drift_cursor"),
    )
    op.create_table(
        "drift_state",
        sa.Column("protocol_hash", sa.Text, nullable=False),
        sa.Column("kek_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("protocol_hash", name="pk_drift_state"),
        sa.ForeignKeyConstraint(
            ["protocol_hash"], ["protocol_bundle.content_hash"], name="fk_drift_state_protocol_hash"
        ),
    )


def _rows() -> None:
    op.create_table(
        "drift_step",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("protocol_hash", sa.Text, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("reason", sa.Text),
        sa.CheckConstraint("step IN ('alarmed', 'acknowledged')", name=op.f("ck_drift_step_known_step")),
        sa.CheckConstraint(
            "(step = 'acknowledged') = (reason IS NOT NULL)",
            name=op.f("ck_drift_step_acknowledged_has_reason"),
        ),
        sa.CheckConstraint("run >= 0", name=op.f("ck_drift_step_counts")),
        sa.PrimaryKeyConstraint("id", name="pk_drift_step"),
        sa.ForeignKeyConstraint(
            ["protocol_hash"], ["protocol_bundle.content_hash"], name="fk_drift_step_protocol_hash"
        ),
        sa.UniqueConstraint(
            "protocol_hash", "stream", "run", "step", name="uq_drift_step_protocol_hash_stream_run_step"
        ),
    )
    op.create_table(
        "agreement_window",
        sa.Column("protocol_hash", sa.Text, nullable=False),
        sa.Column("asks", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("cases", sa.Integer, nullable=False),
        sa.Column("alpha", sa.Text),
        sa.Column("ended_at", INSTANT, nullable=False),
        sa.CheckConstraint("number >= 0 AND cases > 0", name=op.f("ck_agreement_window_counts")),
        sa.PrimaryKeyConstraint("protocol_hash", "asks", "number", name="pk_agreement_window"),
        sa.ForeignKeyConstraint(
            ["protocol_hash"], ["protocol_bundle.content_hash"], name="fk_agreement_window_protocol_hash"
        ),
    )


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
