"""Reviews are counted by two numbers that stand in the index; what was told of one is found by when that was signed.

Revision ID: 0028
"""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

RELATIONS = (
    "(training::int + 2 * planted::int + 4 * overdue::int + 8 * coalesce(own_is_final::int, 2) "
    "+ 32 * coalesce(leading_is_final::int, 2) + 128 * coalesce(own_is_leading::int, 2))::smallint"
)
PATTERN = r"('x' || left(encode(sha256(replace(reasons::text || families::text, '\', '\\')::bytea), 'hex'), 16))::bit(64)::bigint"
COPIED = ("site_id", "protocol_id", "risk_class", "signed_at", "relations")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    # What goes with the former pattern goes first: its index. One statement, for each would write the table anew.
    op.execute("DROP INDEX ix_review_figure_counted")
    op.execute(
        "ALTER TABLE review_figure DROP pattern, "
        f"ADD relations smallint GENERATED ALWAYS AS ({RELATIONS}) STORED NOT NULL, "
        f"ADD pattern bigint GENERATED ALWAYS AS ({PATTERN}) STORED NOT NULL"
    )
    op.execute(
        "CREATE INDEX ix_review_figure_counted ON review_figure (site_id, risk_class, signed_at) "
        "INCLUDE (protocol_id, training, relations, pattern, to_claim, to_decision, id)"
    )
    _outcomes()
    op.execute("ANALYZE review_figure, review_outcome")


def _outcomes() -> None:
    """Copy to what was told, which is never changed, what it was told of, which is never changed either."""
    op.execute("DROP INDEX ix_review_outcome_at")
    op.execute(
        "ALTER TABLE review_outcome ADD site_id text, ADD protocol_id text, ADD risk_class text, ADD signed_at timestamptz, "
        "ADD relations smallint"
    )
    copied = ", ".join(f"{name} = f.{name}" for name in COPIED)
    op.execute("ALTER TABLE review_outcome DISABLE TRIGGER append_only")
    op.execute(f"UPDATE review_outcome AS o SET {copied} FROM review_figure AS f WHERE f.id = o.figure_id")
    op.execute("ALTER TABLE review_outcome ENABLE ALWAYS TRIGGER append_only")
    op.execute(f"ALTER TABLE review_outcome {', '.join(f'ALTER {name} SET NOT NULL' for name in COPIED)}")
    op.execute(
        "CREATE INDEX ix_review_outcome_counted ON review_outcome (site_id, signed_at) "
        "INCLUDE (figure_id, source, risk_class, protocol_id, relations, own_right, leading_right, final_right, id)"
    )


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
