"""Case keys lie in parts: each is rewritten by itself, so that taking a destroyed key out of the files holds nobody up for long.

Revision ID: 0013
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"
PARTS = 8
"""As many as look-ups can afford: a plan that serves every case opens them all."""

TABLE = """
CREATE TABLE case_key (
    case_id text NOT NULL,
    kek_id text NOT NULL,
    wrapped bytea NOT NULL,
    CONSTRAINT pk_case_key PRIMARY KEY (case_id)
) PARTITION BY HASH (case_id)
"""

# Rewriting is PostgreSQL 17's to grant, table by table; on an older server the owner does it.
MAY_REWRITE = f"""
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN
        FOR part IN 0..{PARTS - 1} LOOP
            EXECUTE format('GRANT MAINTAIN ON case_key_%s TO {APPLICATION}', part);
        END LOOP;
    END IF;
END
$$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("ALTER TABLE case_key RENAME TO whole_case_key")
    op.execute("ALTER TABLE whole_case_key RENAME CONSTRAINT pk_case_key TO pk_whole_case_key")
    op.execute(TABLE)
    for part in range(PARTS):
        op.execute(
            f"CREATE TABLE case_key_{part} PARTITION OF case_key FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part})"
        )
    # The planner's statistics sample a column's values, and wrapped keys must stand nowhere else (0008).
    op.execute("ALTER TABLE case_key ALTER COLUMN wrapped SET STATISTICS 0")
    op.execute("INSERT INTO case_key SELECT case_id, kek_id, wrapped FROM whole_case_key")
    # With its file goes what earlier wrappings and destroyed keys left in it.
    op.execute("DROP TABLE whole_case_key")
    op.execute(
        "ALTER TABLE case_key ADD CONSTRAINT fk_case_key_case_id FOREIGN KEY (case_id) REFERENCES case_file (id)"
    )
    op.execute(
        "CREATE TRIGGER no_retired_kek BEFORE INSERT OR UPDATE OF kek_id ON case_key "
        "FOR EACH ROW EXECUTE FUNCTION arbiter_refuse_retired_kek()"
    )
    op.execute(f"GRANT SELECT, INSERT, DELETE, UPDATE (kek_id, wrapped) ON case_key TO {APPLICATION}")
    op.execute(MAY_REWRITE)


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
