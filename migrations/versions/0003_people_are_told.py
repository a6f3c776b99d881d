"""Who is told and when, what is told to whom, patients with two numbers, glass broken, duplicates, training.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)

APPLICATION = "arbiter_app"

GRANTS = {
    "broken_glass": "SELECT, INSERT, UPDATE",
    "recent_case": "SELECT, INSERT, UPDATE",
    "subject_chain": "SELECT, INSERT, UPDATE",
    "subject_merger": "SELECT, INSERT",
    "webhook_endpoint": "SELECT, INSERT, UPDATE",
    "message": "SELECT, INSERT, UPDATE",
    "delivery": "SELECT, INSERT, UPDATE",
    "decision_recipient": "SELECT, INSERT",
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    _cases()
    _recipients()
    _messages()
    for table, rights in GRANTS.items():
        op.execute(f"GRANT {rights} ON {table} TO {APPLICATION}")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON subject_merger "
        "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
    )
    op.execute("ALTER TABLE subject_merger ENABLE ALWAYS TRIGGER append_only")
    op.execute(f"GRANT UPDATE (merged_into) ON subject TO {APPLICATION}")


def _cases() -> None:
    op.add_column("subject", sa.Column("merged_into", sa.Text))
    op.create_foreign_key("fk_subject_merged_into", "subject", "subject", ["merged_into"], ["id"])
    op.create_index("ix_subject_merged_into", "subject", ["merged_into"])
    op.add_column(
        "case_file", sa.Column("training", sa.Boolean, server_default=sa.text("false"), nullable=False)
    )
    op.add_column("client", sa.Column("expires_at", INSTANT))
    op.create_table(
        "recent_case",
        sa.Column("likeness_mac", sa.LargeBinary, nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("taken_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_recent_case_case_id"),
        sa.PrimaryKeyConstraint("likeness_mac", name="pk_recent_case"),
    )
    op.create_table(
        "subject_chain",
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("prev", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("octet_length(prev) = 32", name=op.f("ck_subject_chain_prev_is_a_hash")),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.id"], name="fk_subject_chain_subject_id"),
        sa.PrimaryKeyConstraint("subject_id", name="pk_subject_chain"),
    )
    op.create_table(
        "subject_merger",
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.id"], name="fk_subject_merger_subject_id"),
        sa.PrimaryKeyConstraint("subject_id", "seq", name="pk_subject_merger"),
    )
    op.create_table(
        "broken_glass",
        sa.Column("principal_id", sa.Text, nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_broken_glass_case_id"),
        sa.PrimaryKeyConstraint("principal_id", "case_id", name="pk_broken_glass"),
    )


def _recipients() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text),
        sa.Column("duty_group", sa.Text),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("kek_id", sa.Text, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("disabled_at", INSTANT),
        sa.CheckConstraint(
            "(client_id IS NULL) <> (duty_group IS NULL)", name=op.f("ck_webhook_endpoint_one_owner")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name="fk_webhook_endpoint_client_id"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoint"),
    )
    op.create_index("ix_webhook_endpoint_client_id", "webhook_endpoint", ["client_id"])
    op.create_index("ix_webhook_endpoint_duty_group", "webhook_endpoint", ["duty_group"])
    op.create_table(
        "decision_recipient",
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("first_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_decision_recipient_case_id"),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name="fk_decision_recipient_client_id"),
        sa.PrimaryKeyConstraint("case_id", "client_id", name="pk_decision_recipient"),
    )


def _messages() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("rung", sa.Integer),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("due_at", INSTANT),
        sa.Column("acknowledge_by", INSTANT),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("addressed_at", INSTANT),
        sa.Column("place", sa.BigInteger),
        sa.CheckConstraint("audience IN ('requester', 'duty')", name=op.f("ck_message_known_audience")),
        sa.CheckConstraint(
            "(addressed_at IS NULL) = (place IS NULL)", name=op.f("ck_message_placed_when_addressed")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_message_case_id"),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sa.UniqueConstraint("place", name="uq_message_place"),
    )
    op.create_index("ix_message_case_id", "message", ["case_id", "id"])
    op.create_index(
        "ix_message_unaddressed", "message", ["id"], postgresql_where=sa.text("addressed_at IS NULL")
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("message_id", sa.BigInteger, nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", INSTANT, nullable=False),
        sa.Column("claimed_until", INSTANT),
        sa.Column("delivered_at", INSTANT),
        sa.Column("dead_at", INSTANT),
        sa.Column("revived_at", INSTANT),
        sa.Column("last_fault", sa.Text),
        sa.CheckConstraint("channel IN ('webhook', 'mail')", name=op.f("ck_delivery_known_channel")),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_delivery_message_id"),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sa.UniqueConstraint(
            "message_id", "channel", "recipient", name="uq_delivery_message_id_channel_recipient"
        ),
    )
    op.create_index(
        "ix_delivery_waiting",
        "delivery",
        ["recipient", "case_id", "message_id"],
        postgresql_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
    )
    op.create_index(
        "ix_delivery_dead", "delivery", ["dead_at"], postgresql_where=sa.text("dead_at IS NOT NULL")
    )


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
