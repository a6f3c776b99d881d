"""A year of reviews is counted in an index: what they are counted by stands in it, what is long by its hash.

Revision ID: 0027
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

PATTERN = r"sha256(replace(reasons::text || families::text, '\', '\\')::bytea)"
SECONDS = "greatest(0, extract(epoch from {} - escalated_at))"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    # One statement, for each would write the table anew. What is added is computed from what stands there and is never written;
    # three columns said what others say as well, in what was never released.
    op.execute(
        "ALTER TABLE review_figure "
        "DROP IF EXISTS kind, DROP IF EXISTS opinion_at, DROP IF EXISTS revealed_at, "
        f"ADD pattern bytea GENERATED ALWAYS AS ({PATTERN}) STORED NOT NULL, "
        f"ADD to_claim double precision GENERATED ALWAYS AS ({SECONDS.format('claimed_at')}) STORED NOT NULL, "
        f"ADD to_decision double precision GENERATED ALWAYS AS ({SECONDS.format('signed_at')}) STORED NOT NULL"
    )
    op.execute(
        "CREATE INDEX ix_review_figure_counted ON review_figure (site_id, risk_class, signed_at) INCLUDE (protocol_id, training, "
        "planted, overdue, own_is_final, leading_is_final, own_is_leading, pattern, to_claim, to_decision, id)"
    )
    op.execute(
        "CREATE INDEX ix_review_outcome_at ON review_outcome (at) "
        "INCLUDE (figure_id, source, own_right, leading_right, final_right, id)"
    )


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
