"""Measurements: speed is measured here, as ratios in one run, and never asserted in a test."""
