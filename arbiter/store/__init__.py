"""PostgreSQL, the keys and the vault: everything that is kept. SQLAlchemy appears here and in `migrations` alone."""
