"""The first tables, their application role, and the triggers that keep the log append-only.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)

APPLICATION = "arbiter_app"

INSERT_ONLY = ("entry", "leaf", "tree_node", "checkpoint", "protocol_bundle", "sealed_document")

GRANTS = {
    "alembic_version": "SELECT",
    "site": "SELECT, INSERT",
    "client": "SELECT, INSERT, UPDATE",
    "account": "SELECT, INSERT, UPDATE",
    "session": "SELECT, INSERT, UPDATE, DELETE",
    "subject": "SELECT, INSERT",
    "case_file": "SELECT, INSERT, UPDATE",
    "case_key": "SELECT, INSERT, UPDATE, DELETE",
    "idempotency": "SELECT, INSERT, UPDATE, DELETE",
    "pending": "SELECT, INSERT, DELETE",
    **dict.fromkeys(INSERT_ONLY, "SELECT, INSERT"),
}

# A statement trigger fires even when no row is touched, and TRUNCATE has no other kind. ENABLE ALWAYS holds it against
# `session_replication_role = replica` too. What is left is the owner's ALTER TABLE, which the log itself then reveals.
REFUSE = """
CREATE FUNCTION arbiter_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: its rows are only ever added', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""

FIND_OR_MAKE_ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'arbiter_app') THEN
        CREATE ROLE arbiter_app NOLOGIN;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role arbiter_app is missing and this role may not make it'
            USING ERRCODE = 'undefined_object', HINT = 'have the server''s administrator run CREATE ROLE arbiter_app';
    WHEN duplicate_object THEN NULL;
END
$$
"""


def upgrade() -> None:
    op.execute(FIND_OR_MAKE_ROLE)
    _people_and_machines()
    _cases()
    _log()
    op.execute(REFUSE)
    for table in INSERT_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION arbiter_refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
    for table, privileges in GRANTS.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APPLICATION}")


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )


def _people_and_machines() -> None:
    op.create_table(
        "site",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_site"),
    )
    op.create_table(
        "client",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("roles", ARRAY(sa.Text), nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("sites", ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("disabled_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_client"),
    )
    op.create_table(
        "account",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("login", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("roles", ARRAY(sa.Text), nullable=False),
        sa.Column("sites", ARRAY(sa.Text), nullable=False),
        sa.Column("failed_logins", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("locked_until", INSTANT),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("disabled_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("login", name="uq_account_login"),
    )
    op.create_table(
        "session",
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("csrf_token", sa.Text, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_session_account_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_session"),
    )
    op.create_index("ix_session_account_id", "session", ["account_id"])
    op.create_index("ix_session_expires_at", "session", ["expires_at"])


def _cases() -> None:
    op.create_table(
        "protocol_bundle",
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("protocol_id", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("files", JSONB, nullable=False),
        sa.Column("first_used_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("content_hash", name="pk_protocol_bundle"),
    )
    op.create_table(
        "subject",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("index_mac", sa.LargeBinary, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subject"),
        sa.UniqueConstraint("index_mac", name="uq_subject_index_mac"),
    )
    op.create_table(
        "case_file",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("site_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("encounter_mac", sa.LargeBinary),
        sa.Column("protocol_id", sa.Text, nullable=False),
        sa.Column("protocol_hash", sa.Text, nullable=False),
        sa.Column("risk_class", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("state", JSONB, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("prev", sa.LargeBinary, nullable=False),
        sa.Column("wake_at", INSTANT),
        sa.Column("decided_seq", sa.Integer),
        sa.Column("reviewer_id", sa.Text),
        sa.Column("job_id", sa.BigInteger),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.CheckConstraint("octet_length(prev) = 32", name=op.f("ck_case_file_prev_is_a_hash")),
        sa.CheckConstraint("seq >= 0 AND version >= 1", name=op.f("ck_case_file_counts")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name="fk_case_file_client_id"),
        sa.ForeignKeyConstraint(
            ["protocol_hash"], ["protocol_bundle.content_hash"], name="fk_case_file_protocol_hash"
        ),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_case_file_site_id"),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.id"], name="fk_case_file_subject_id"),
        sa.PrimaryKeyConstraint("id", name="pk_case_file"),
    )
    op.create_index(
        "ix_case_file_decided", "case_file", ["id"], postgresql_where=sa.text("phase = 'decided'")
    )
    op.create_index("ix_case_file_listing", "case_file", ["created_at", "id"])
    op.create_index("ix_case_file_phase", "case_file", ["phase", "created_at"])
    op.create_index("ix_case_file_subject_id", "case_file", ["subject_id"])
    op.create_index(
        "ix_case_file_wake_at", "case_file", ["wake_at"], postgresql_where=sa.text("wake_at IS NOT NULL")
    )
    op.create_table(
        "case_key",
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("kek_id", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_case_key_case_id"),
        sa.PrimaryKeyConstraint("case_id", name="pk_case_key"),
    )
    op.create_table(
        "sealed_document",
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_sealed_document_case_id"),
        sa.PrimaryKeyConstraint("case_id", "seq", "name", name="pk_sealed_document"),
    )
    op.create_table(
        "idempotency",
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("key_mac", sa.LargeBinary, nullable=False),
        sa.Column("body_mac", sa.LargeBinary, nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_idempotency_case_id"),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name="fk_idempotency_client_id"),
        sa.PrimaryKeyConstraint("client_id", "key_mac", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])


def _log() -> None:
    op.create_table(
        "entry",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("octet_length(body) < 65536", name=op.f("ck_entry_fits_a_bundle")),
        sa.PrimaryKeyConstraint("id", name="pk_entry"),
        sa.UniqueConstraint("case_id", "seq", name="uq_entry_case_id_seq"),
    )
    op.create_table(
        "pending",
        sa.Column("entry_id", sa.BigInteger, nullable=False),
        sa.Column("queued_at", INSTANT, server_default=sa.text("now()"), nullable=False),
    )
    op.create_table(
        "leaf",
        sa.Column("index", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_leaf_hash_is_sha256")),
        sa.PrimaryKeyConstraint("index", name="pk_leaf"),
        sa.UniqueConstraint("entry_id", name="uq_leaf_entry_id"),
    )
    op.create_table(
        "tree_node",
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("index", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_tree_node_hash_is_sha256")),
        sa.PrimaryKeyConstraint("level", "index", name="pk_tree_node"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("sealed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_checkpoint"),
    )
