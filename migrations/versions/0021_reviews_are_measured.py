"""What came of reviews, a row a signed one, and what was told of it later: relations and instants, never an answer.

Revision ID: 0021
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    _figures()
    _outcomes()
    for table in ("review_figure", "review_outcome"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {APPLICATION}")


def _figures() -> None:
    op.create_table(
        "review_figure",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("site_id", sa.Text, nullable=False),
        sa.Column("protocol_id", sa.Text, nullable=False),
        sa.Column("protocol_hash", sa.Text, nullable=False),
        sa.Column("risk_class", sa.Text, nullable=False),
        sa.Column("training", sa.Boolean, nullable=False),
        sa.Column("planted", sa.Boolean, nullable=False),
        sa.Column("escalated_at", INSTANT, nullable=False),
        sa.Column("claimed_at", INSTANT, nullable=False),
        sa.Column("opinion_at", INSTANT),
        sa.Column("revealed_at", INSTANT),
        sa.Column("signed_at", INSTANT, nullable=False),
        sa.Column("overdue", sa.Boolean, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("own_is_final", sa.Boolean),
        sa.Column("leading_is_final", sa.Boolean),
        sa.Column("own_is_leading", sa.Boolean),
        sa.Column("reasons", JSONB, nullable=False),
        sa.Column("families", JSONB, nullable=False),
        sa.CheckConstraint(
            "kind IN ('kept', 'changed', 'adopted', 'panel-first')", name=op.f("ck_review_figure_known_kind")
        ),
        sa.CheckConstraint("training OR NOT planted", name=op.f("ck_review_figure_planted_is_training")),
        sa.CheckConstraint(
            "(kind = 'panel-first') = (own_is_final IS NULL)", name=op.f("ck_review_figure_own_is_told")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_review_figure"),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_review_figure_case_id"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_review_figure_site_id"),
        sa.ForeignKeyConstraint(
            ["protocol_hash"], ["protocol_bundle.content_hash"], name="fk_review_figure_protocol_hash"
        ),
    )
    op.create_index("ix_review_figure_signed_at", "review_figure", ["signed_at", "id"])
    op.create_index("ix_review_figure_case_id", "review_figure", ["case_id", "id"])


def _outcomes() -> None:
    op.create_table(
        "review_outcome",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("figure_id", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("own_right", sa.Boolean),
        sa.Column("leading_right", sa.Boolean),
        sa.Column("final_right", sa.Boolean, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "source IN ('outcome', 'independent reader', 'planted')",
            name=op.f("ck_review_outcome_known_source"),
        ),
        sa.PrimaryKeyConstraint("id", name="pk_review_outcome"),
        sa.ForeignKeyConstraint(["figure_id"], ["review_figure.id"], name="fk_review_outcome_figure_id"),
    )
    op.create_index("ix_review_outcome_figure_id", "review_outcome", ["figure_id", "id"])


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
