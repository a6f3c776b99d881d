"""The fleet is watched: each process keeps what it knows of the model servers in a row of its own.

Revision ID: 0015
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"

TABLE = """
CREATE TABLE fleet_state (
    process text NOT NULL,
    began timestamptz NOT NULL,
    at timestamptz NOT NULL,
    document bytea NOT NULL,
    CONSTRAINT pk_fleet_state PRIMARY KEY (process, began),
    CONSTRAINT ck_fleet_state_process_is_short CHECK (octet_length(process) BETWEEN 1 AND 256),
    CONSTRAINT ck_fleet_state_document_is_bounded CHECK (octet_length(document) <= 1048576)
)
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(TABLE)
    # Nothing of it is a record: rows are replaced every few seconds and taken away.
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON fleet_state TO {APPLICATION}")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
