"""Protocols as data: the loader that refuses a malformed bundle line by line, intake's checks, the shipped bundles."""
