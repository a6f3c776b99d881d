"""What the log costs and how fast it is, and how each figure grows with it: `python -m benchmarks.audit`."""
