"""Decisions are audited, what audits find is counted, and an alarm stops deciding alone."""
