"""Backups taken, listed and restored."""
