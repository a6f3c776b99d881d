"""Faults of sealing, on a real database: processes killed at every statement, full disks, failing fsync, stopped servers."""
