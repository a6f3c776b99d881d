"""Calibrations are kept by hash, so that what was decided by one can be decided by it again.

Revision ID: 0016
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"

TABLE = """
CREATE TABLE calibration (
    content_hash text NOT NULL,
    protocol_hash text NOT NULL,
    document bytea NOT NULL,
    first_used_at timestamptz NOT NULL,
    CONSTRAINT pk_calibration PRIMARY KEY (content_hash),
    CONSTRAINT fk_calibration_protocol_hash FOREIGN KEY (protocol_hash) REFERENCES protocol_bundle (content_hash)
)
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(TABLE)
    op.execute("CREATE INDEX ix_calibration_protocol_hash ON calibration (protocol_hash)")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON calibration "
        "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
    )
    op.execute("ALTER TABLE calibration ENABLE ALWAYS TRIGGER append_only")
    op.execute(f"GRANT SELECT, INSERT ON calibration TO {APPLICATION}")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
