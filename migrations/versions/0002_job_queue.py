"""The job queue: procrastinate's own schema, without the notification that serialises commits.

PostgreSQL takes one lock across every commit that carries a NOTIFY, fsync included, so that a trigger on each new
job would let one transaction commit at a time. Workers poll instead.

Revision ID: 0002
"""

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"

TABLES = (
    "procrastinate_jobs",
    "procrastinate_events",
    "procrastinate_periodic_defers",
    "procrastinate_workers",
)


def upgrade() -> None:
    # Many statements and percent signs in one text: handed to the driver as it is, without parameters.
    op.get_bind().exec_driver_sql(SchemaManager.get_schema(), execution_options={"no_parameters": True})
    op.execute(
        "ALTER TABLE procrastinate_jobs DISABLE TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1"
    )
    for table in TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APPLICATION}")
    for table in TABLES:
        # Named as the server names an identity's or a serial's sequence; found rather than assumed.
        op.execute(
            f"""
            DO $$
            DECLARE numbers text := pg_get_serial_sequence('{table}', 'id');
            BEGIN
                IF numbers IS NOT NULL THEN
                    EXECUTE 'GRANT USAGE ON SEQUENCE ' || numbers || ' TO {APPLICATION}';
                END IF;
            END
            $$
            """
        )


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
