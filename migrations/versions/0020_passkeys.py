"""Passkeys that people sign with, and what a passkey was asked to sign: a row a passkey, a row a request.

Revision ID: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "passkey",
        sa.Column("credential_id", sa.LargeBinary, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("rp_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("backup_eligible", sa.Boolean, nullable=False),
        sa.Column("backed_up", sa.Boolean, nullable=False),
        sa.Column("entry_seq", sa.BigInteger, nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("removed_at", INSTANT),
        sa.CheckConstraint("sign_count >= 0 AND entry_seq >= 0", name=op.f("ck_passkey_counts")),
        sa.PrimaryKeyConstraint("credential_id", name="pk_passkey"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_passkey_account_id"),
    )
    op.create_index("ix_passkey_account_id", "passkey", ["account_id"])
    op.create_table(
        "passkey_request",
        sa.Column("challenge", sa.LargeBinary, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.CheckConstraint("purpose IN ('add', 'sign')", name=op.f("ck_passkey_request_known_purpose")),
        sa.PrimaryKeyConstraint("challenge", name="pk_passkey_request"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_passkey_request_account_id"),
    )
    op.create_index("ix_passkey_request_asked_at", "passkey_request", ["asked_at"])
    # A passkey's key and owner never change: what it signed must be checked by them years later.
    op.execute(
        f"GRANT SELECT, INSERT, UPDATE (sign_count, backed_up, removed_at) ON passkey TO {APPLICATION}"
    )
    op.execute(f"GRANT SELECT, INSERT, DELETE ON passkey_request TO {APPLICATION}")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
