"""Simulations of what adjudication promises, and how long deciding takes: `python -m benchmarks.adjudication`."""
