"""The database's versions, run by `arbiter.store.migrate`; part of the wheel."""
