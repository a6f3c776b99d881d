"""Bundles, intake and the shipped protocol against malformed input."""
