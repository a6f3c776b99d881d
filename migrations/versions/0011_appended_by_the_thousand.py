"""Entries that are appended by the thousand wait in one row, with the hashes that their writer made.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.add_column("pending", sa.Column("ids", INT8MULTIRANGE))
    op.add_column("pending", sa.Column("hashes", sa.LargeBinary))
    op.create_check_constraint(
        op.f("ck_pending_one_or_many"),
        "pending",
        "num_nulls(ids, hashes) = 2 OR (num_nulls(ids, hashes) = 0 AND lower(ids) = entry_id "
        "AND octet_length(hashes) > 0 AND octet_length(hashes) % 32 = 0)",
    )
    # Hashes do not compress.
    op.execute("ALTER TABLE pending ALTER COLUMN hashes SET STORAGE EXTERNAL")
    # Whoever appends by COPY draws the numbers beforehand; only reading and drawing, no setting back.
    op.execute(f"GRANT USAGE ON SEQUENCE entry_id_seq TO {APPLICATION}")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
