"""YAML files that people write for Arbiter, read strictly: a protocol's and the duty file.

`sources` reads a file's bytes, `reading` gives plain values and where each stands, `values` says what a value may be, and `faults` tells all that is
wrong at once, each fault by file, line and column.
"""
