"""Canaries: what each seat answered to the fixed cases in each run, and which process asks tonight.

Revision ID: 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

APPLICATION = "arbiter_app"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.create_table(
        "canary_run",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("member", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("night", sa.Date),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("asked", sa.Text),
        sa.Column("counts", JSONB, nullable=False),
        sa.Column("p_value", sa.Text),
        sa.Column("level", sa.Text),
        sa.Column("alarmed", sa.Boolean, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("anew", sa.Boolean, nullable=False),
        sa.CheckConstraint(
            "kind IN ('baseline', 'comparison', 'not-asked')", name=op.f("ck_canary_run_known_kind")
        ),
        sa.CheckConstraint(
            "(kind = 'not-asked') OR (digest IS NOT NULL AND asked IS NOT NULL)",
            name=op.f("ck_canary_run_heard_has_digest"),
        ),
        sa.CheckConstraint(
            "(kind = 'comparison') = (p_value IS NOT NULL AND level IS NOT NULL)",
            name=op.f("ck_canary_run_comparison_has_p_value"),
        ),
        sa.CheckConstraint("kind = 'baseline' OR NOT anew", name=op.f("ck_canary_run_anew_is_baseline")),
        sa.PrimaryKeyConstraint("id", name="pk_canary_run"),
    )
    op.create_index("ix_canary_run_seat", "canary_run", ["protocol", "member", "id"])
    op.create_index(
        "uq_canary_run_night",
        "canary_run",
        ["night", "protocol", "member"],
        unique=True,
        postgresql_where=sa.text("night IS NOT NULL"),
    )
    op.create_table(
        "canary_lease",
        sa.Column("one", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_canary_lease_one_row")),
        sa.PrimaryKeyConstraint("one", name="pk_canary_lease"),
    )
    op.execute(f"GRANT SELECT, INSERT ON canary_run TO {APPLICATION}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON canary_lease TO {APPLICATION}")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON canary_run "
        "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
    )
    op.execute("ALTER TABLE canary_run ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
