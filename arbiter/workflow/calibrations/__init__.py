"""Calibrations proposed by one person and approved by another, and which of them cases are decided by."""
