"""Keys rotate: a key-encryption key that is retired wraps nothing more, and only what rotation changes can be changed.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"

# A process that still holds the retired key must not lock new content under it: its key file is about to go.
REFUSE = """
CREATE FUNCTION arbiter_refuse_retired_kek() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM retired_kek WHERE id = NEW.kek_id) THEN
        RAISE EXCEPTION 'key-encryption key % is retired: restart this process with the present keys', NEW.kek_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "retired_kek",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retired_kek"),
    )
    op.execute(f"GRANT SELECT, INSERT ON retired_kek TO {APPLICATION}")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON retired_kek "
        "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
    )
    op.execute("ALTER TABLE retired_kek ENABLE ALWAYS TRIGGER append_only")
    op.execute(REFUSE)
    for table in ("case_key", "webhook_endpoint"):
        op.execute(
            f"CREATE TRIGGER no_retired_kek BEFORE INSERT OR UPDATE OF kek_id ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION arbiter_refuse_retired_kek()"
        )
    op.execute(f"REVOKE UPDATE ON case_key, webhook_endpoint FROM {APPLICATION}")
    op.execute(f"GRANT UPDATE (kek_id, wrapped) ON case_key TO {APPLICATION}")
    op.execute(f"GRANT UPDATE (disabled_at, kek_id, sealed_secret) ON webhook_endpoint TO {APPLICATION}")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
