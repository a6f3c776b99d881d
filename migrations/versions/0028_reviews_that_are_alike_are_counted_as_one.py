"""Reviews that are alike have the same number, by which they are counted; what was told of one is found by when that was signed.

Revision ID: 0028
"""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

RELATIONS = ("training", "planted", "overdue", "own_is_final", "leading_is_final", "own_is_leading")
WORDS = " || ".join(
    (*(f"coalesce({name}::text, '-')" for name in RELATIONS), "risk_class", "reasons::text", "families::text")
)
ALIKE = rf"('x' || left(encode(sha256(replace({WORDS}, '\', '\\')::bytea), 'hex'), 16))::bit(64)::bigint"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    # What goes with the pattern goes first: its index.
    op.execute("DROP INDEX ix_review_figure_counted")
    op.execute(
        f"ALTER TABLE review_figure DROP pattern, ADD alike bigint GENERATED ALWAYS AS ({ALIKE}) STORED NOT NULL"
    )
    op.execute(
        "CREATE INDEX ix_review_figure_counted ON review_figure (site_id, risk_class, signed_at) "
        "INCLUDE (protocol_id, training, alike, to_claim, to_decision, id)"
    )
    _outcomes()


def _outcomes() -> None:
    """Copy to what was told, which is never changed, what it was told of, which is never changed either."""
    op.execute("DROP INDEX ix_review_outcome_at")
    op.execute(
        "ALTER TABLE review_outcome ADD site_id text, ADD protocol_id text, ADD signed_at timestamptz, ADD alike bigint"
    )
    op.execute("ALTER TABLE review_outcome DISABLE TRIGGER append_only")
    op.execute(
        "UPDATE review_outcome AS o SET site_id = f.site_id, protocol_id = f.protocol_id, signed_at = f.signed_at, alike = f.alike "
        "FROM review_figure AS f WHERE f.id = o.figure_id"
    )
    op.execute("ALTER TABLE review_outcome ENABLE ALWAYS TRIGGER append_only")
    op.execute(
        "ALTER TABLE review_outcome ALTER site_id SET NOT NULL, ALTER protocol_id SET NOT NULL, ALTER signed_at SET NOT NULL, "
        "ALTER alike SET NOT NULL"
    )
    op.execute(
        "CREATE INDEX ix_review_outcome_counted ON review_outcome (site_id, signed_at) "
        "INCLUDE (figure_id, source, protocol_id, alike, own_right, leading_right, final_right, id)"
    )


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
