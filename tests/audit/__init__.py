"""Tests of the audit log's formats and mathematics."""
