"""Migrations: up from empty, two at once, nothing drifted, no way back."""

from __future__ import annotations

import hashlib
import re
import threading
from pathlib import Path

import psycopg
import pytest
from alembic import command
from procrastinate.schema import SchemaManager
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

import migrations
from arbiter.errors import ConfigurationError
from arbiter.settings import Mode, Settings
from arbiter.store import migrate
from arbiter.store.database import Database, conninfo, prepare_database
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres
from arbiter.store.tables import metadata


def owner(database: Database) -> str:
    assert database.owner_url is not None
    return database.owner_url


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(conninfo(url)) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def value(url: str, query: str) -> object:
    with psycopg.connect(conninfo(url)) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_up_from_empty_leaves_no_drift(empty_database: Database) -> None:
    assert migrate.current(owner(empty_database)) is None
    migrate.upgrade(owner(empty_database))
    assert migrate.current(owner(empty_database)) == migrate.head()
    assert migrate.drift(owner(empty_database)) == []


def test_up_a_second_time_changes_nothing(database: Database) -> None:
    migrate.upgrade(owner(database))
    assert migrate.drift(owner(database)) == []


def test_a_former_release_says_that_the_database_is_of_a_newer_one(database: Database) -> None:
    execute(owner(database), "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match=r"at version 9999, which this release does not know"):
        migrate.upgrade(owner(database))
    assert migrate.current(owner(database)) == "9999"


_REVIEWS_BEFORE = """
INSERT INTO review_figure (case_id, site_id, protocol_id, protocol_hash, risk_class, training, planted, escalated_at, claimed_at,
    signed_at, overdue, own_is_final, leading_is_final, own_is_leading, reasons, families)
SELECT 'c_' || n, (ARRAY['north', 'south'])[1 + n % 2], 'deterioration', 'h', 'urgent', false, false, now(), now(),
    timestamptz '2026-03-01' + n * interval '1 hour', false, n % 3 = 0, true, NULL, '["disagreement-between"]', '{"scores": {"news2": 0}}'
FROM generate_series(1, 12) AS n
"""
_TOLD_BEFORE = """
INSERT INTO review_outcome (figure_id, source, own_right, leading_right, final_right, at)
SELECT id, 'outcome', own_is_final, true, true, now() FROM review_figure WHERE id % 2 = 0
"""
_COPIED = """
SELECT count(*) FILTER (WHERE (o.site_id, o.protocol_id, o.risk_class, o.signed_at, o.relations)
        = (f.site_id, f.protocol_id, f.risk_class, f.signed_at, f.relations)),
    count(DISTINCT o.relations)
FROM review_outcome AS o JOIN review_figure AS f ON f.id = o.figure_id
"""


def test_what_was_told_of_reviews_before_an_upgrade_is_found_by_them_and_changed_by_nobody(
    empty_database: Database, server: EmbeddedPostgres
) -> None:
    with migrate._connected(owner(empty_database)) as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0027")
    insider = server.url(SUPERUSER, make_url(empty_database.app_url).database or "")
    # As PostgreSQL's own replication writes: without the cases that reviews come from.
    execute(insider, "SET session_replication_role = replica", _REVIEWS_BEFORE, _TOLD_BEFORE)
    migrate.upgrade(owner(empty_database))
    with psycopg.connect(conninfo(insider)) as connection_of_somebody:
        assert connection_of_somebody.execute(_COPIED).fetchone() == (6, 2)
    assert migrate.drift(owner(empty_database)) == []
    for change in ("UPDATE review_outcome SET source = 'planted'", "DELETE FROM review_outcome"):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="only ever added"):
            execute(insider, change)


def test_two_processes_that_migrate_at_once_do_not_clash(empty_database: Database) -> None:
    failures: list[BaseException] = []
    together = threading.Barrier(4)

    def up() -> None:
        together.wait()
        try:
            migrate.upgrade(owner(empty_database))
        except BaseException as error:  # noqa: BLE001 -- whatever it was, the test tells
            failures.append(error)

    threads = [threading.Thread(target=up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert migrate.drift(owner(empty_database)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ALTER TABLE entry ADD COLUMN note text", "remove_column"),
        ("ALTER TABLE case_file DROP COLUMN reviewer_id", "add_column"),
        ("ALTER TABLE site ALTER COLUMN name DROP NOT NULL", "modify_nullable"),
        ("ALTER TABLE checkpoint ALTER COLUMN note TYPE varchar(9)", "modify_type"),
        ("ALTER TABLE account ALTER COLUMN failed_logins SET DEFAULT 5", "modify_default"),
        ("DROP INDEX ix_case_file_wake_at", "add_index"),
        ("ALTER TABLE subject DROP CONSTRAINT uq_subject_index_mac", "add_constraint"),
        ("ALTER TABLE session DROP CONSTRAINT fk_session_account_id", "add_fk"),
        ("CREATE TABLE stray (id int)", "remove_table"),
        ("DROP TABLE tree_node", "add_table"),
        (
            "ALTER TABLE tree_node DROP CONSTRAINT ck_tree_node_hash_is_sha256",
            "ck_tree_node_hash_is_sha256 is missing",
        ),
        ("ALTER TABLE sealed_run DROP CONSTRAINT ex_sealed_run_ids", "ex_sealed_run_ids is missing"),
        ("ALTER TABLE sealed_run ADD CONSTRAINT ck_more CHECK (start > -1)", "ck_more is not in the tables"),
        ("DROP TRIGGER append_only ON entry", "entry is not append-only"),
        ("ALTER TABLE entry DISABLE TRIGGER append_only", "entry is not append-only"),
        ("ALTER TABLE entry ENABLE TRIGGER append_only", "entry is not append-only"),
    ],
)
def test_drift_is_told(database: Database, change: str, told: str) -> None:
    execute(owner(database), change)
    differences = migrate.drift(owner(database))
    assert len(differences) >= 1
    assert any(told in difference for difference in differences), differences


def test_there_is_no_way_back(database: Database) -> None:
    with migrate._connected(owner(database)) as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        with pytest.raises(RuntimeError, match="no way back"):
            command.downgrade(config, "base")
    assert migrate.drift(owner(database)) == []


def test_alembics_own_command_is_turned_away() -> None:
    with pytest.raises(ConfigurationError, match="arbiter migrate"):
        command.upgrade(migrate._config(), "head")


def test_a_migration_gives_up_on_a_lock_that_it_does_not_get(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that others hold must not make everybody queue behind the migration."""
    execute(
        owner(empty_database),
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
        "GRANT SELECT ON alembic_version TO arbiter_app",
    )
    env = Path(migrations.__file__).with_name("env.py").read_text()
    assert int(re.findall(r"LOCK_TIMEOUT_MS = (\d+)", env)[0]) <= 5000
    monkeypatch.setattr(migrate, "_LOCK_WAIT_SECONDS", 1)
    with psycopg.connect(conninfo(owner(empty_database))) as blocking:
        blocking.execute("SELECT pg_advisory_lock(%s)", [migrate._LOCK])
        with pytest.raises(ConfigurationError, match="lock timeout"):
            migrate.upgrade(owner(empty_database))


def test_the_schema_of_the_job_queue_is_the_one_that_was_tried() -> None:
    """Migration 0002 takes it from the package: a release that changes it needs a migration of ours for old databases."""
    digest = hashlib.sha256(SchemaManager.get_schema().encode()).hexdigest()
    assert digest == "c70ec4b400a60ad9592787653aae5ae77ae41bf801d56b5bd2712751a07f2009"


def test_new_jobs_notify_nobody(database: Database) -> None:
    enabled = value(
        owner(database),
        "SELECT tgenabled FROM pg_trigger WHERE tgname = 'procrastinate_jobs_notify_queue_job_inserted_v1'",
    )
    assert enabled == "D"
    with psycopg.connect(conninfo(database.app_url), autocommit=True) as connection:
        connection.execute('LISTEN "procrastinate_any_queue_v1"')
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('cases', 'take-up')"
        )
        assert list(connection.notifies(timeout=0.2)) == []


def test_a_job_that_is_dropped_untouched_writes_no_history_and_one_that_begins_does(
    database: Database,
) -> None:
    execute(
        database.app_url,
        "INSERT INTO procrastinate_jobs (queue_name, task_name, scheduled_at) VALUES ('cases', 'take-up', now())",
    )
    assert value(database.app_url, "SELECT count(*) FROM procrastinate_events") == 0
    execute(database.app_url, "UPDATE procrastinate_jobs SET status = 'doing'")
    assert (
        value(database.app_url, "SELECT string_agg(type::text, ' ') FROM procrastinate_events") == "started"
    )


def test_the_application_can_use_the_job_queue_and_not_its_schema(database: Database) -> None:
    execute(
        database.app_url,
        "SELECT procrastinate_register_worker_v1()",
        "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('cases', 'take-up')",
        "DELETE FROM procrastinate_jobs",
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(database.app_url, "ALTER TABLE procrastinate_jobs ENABLE TRIGGER ALL")


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_every_table_can_be_read_and_added_to_by_the_application(
    module_database: Database, table: str
) -> None:
    asked = f"SELECT has_table_privilege('{table}', 'SELECT') AND has_table_privilege('{table}', 'INSERT')"
    assert value(module_database.app_url, asked) is True


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "DROP TABLE entry",
        "UPDATE alembic_version SET version_num = '0000'",
        "DELETE FROM case_file",
        "DELETE FROM account",
        "UPDATE subject SET id = 'x'",
        "ALTER ROLE arbiter_app SUPERUSER",
        "SET ROLE arbiter_owner",
    ],
)
def test_the_application_is_refused_what_it_does_not_need(module_database: Database, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(module_database.app_url, statement)


# --- a server of the hospital's own ---------------------------------------------------------------------------------


def on_server(database: Database, app_url: str | None = None) -> Settings:
    return Settings(mode=Mode.DEMONSTRATION, database_url=app_url or database.app_url)


async def test_a_migrated_server_is_used(database: Database) -> None:
    opened = await prepare_database(on_server(database))
    assert opened.embedded is None
    assert opened.app_url == database.app_url


async def test_a_server_that_was_never_migrated_is_refused(empty_database: Database) -> None:
    with pytest.raises(ConfigurationError, match=r"at version none .* run `arbiter migrate`"):
        await prepare_database(on_server(empty_database))


@pytest.mark.parametrize("version", ["0001", "9999"])
async def test_a_server_at_another_version_is_refused(database: Database, version: str) -> None:
    execute(owner(database), f"UPDATE alembic_version SET version_num = '{version}'")
    with pytest.raises(ConfigurationError, match=rf"at version {version} .* run `arbiter migrate`"):
        await prepare_database(on_server(database))


async def test_a_role_that_could_change_the_log_is_refused(
    database: Database, server: EmbeddedPostgres
) -> None:
    name = make_url(database.app_url).database
    assert name is not None
    for url in (owner(database), server.url(SUPERUSER, name)):
        with pytest.raises(ConfigurationError, match="may change entry"):
            await prepare_database(on_server(database, url))


async def test_one_grant_too_many_is_refused(database: Database) -> None:
    execute(owner(database), "GRANT UPDATE ON checkpoint TO arbiter_app")
    with pytest.raises(ConfigurationError, match="may change checkpoint"):
        await prepare_database(on_server(database))


async def test_a_server_that_is_not_there_is_refused_without_its_password() -> None:
    url = "postgresql://arbiter_app:h4ndsome@127.0.0.1:1/arbiter"
    with pytest.raises(ConfigurationError) as caught:
        await prepare_database(Settings(database_url=url))
    assert "h4ndsome" not in str(caught.value)


def test_a_hospitals_own_roles_work(empty_database: Database, server: EmbeddedPostgres) -> None:
    """An owner that may make no roles, and a log-in that is a member of the application's role."""
    name = make_url(empty_database.app_url).database
    assert name is not None
    with psycopg.connect(conninfo(server.url(SUPERUSER, name)), autocommit=True) as connection:
        connection.execute("CREATE ROLE hospital_owner LOGIN NOCREATEROLE")
        connection.execute("CREATE ROLE hospital_login LOGIN IN ROLE arbiter_app")
        connection.execute(SQL("ALTER DATABASE {} OWNER TO hospital_owner").format(Identifier(name)))
    try:
        migrate.upgrade(server.url("hospital_owner", name))
        assert migrate.current(server.url("hospital_login", name)) == migrate.head()
        assert migrate.drift(server.url("hospital_owner", name)) == []
        execute(server.url("hospital_login", name), "INSERT INTO site (id, name) VALUES ('ward', 'Ward')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(server.url("hospital_login", name), "DELETE FROM entry")
    finally:
        with psycopg.connect(conninfo(server.url(SUPERUSER, name)), autocommit=True) as connection:
            connection.execute("REASSIGN OWNED BY hospital_owner TO postgres")
            connection.execute("DROP OWNED BY hospital_owner")
            connection.execute("DROP ROLE hospital_login")
            connection.execute("DROP ROLE hospital_owner")
