"""Runs the migrations on the connection that `arbiter.store.migrate` hands over, which holds the migration lock."""

from alembic import context
from sqlalchemy import Connection, text

from arbiter.errors import ConfigurationError
from arbiter.store.tables import metadata

LOCK_TIMEOUT_MS = 5000
"""A migration that cannot get its lock this soon gives up: everyone who asks after it would queue behind it."""


def _run(connection: Connection) -> None:
    connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
    connection.execute(text("SET statement_timeout = 0"))
    connection.commit()
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if not isinstance(given, Connection):
    raise ConfigurationError("migrations are run by `arbiter migrate`, not by alembic's own command")
_run(given)
