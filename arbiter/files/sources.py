"""Reads a file that an operator wrote, no further than its limit."""

from __future__ import annotations

from pathlib import Path

from arbiter.errors import ConfigurationError


def read_source(path: Path, what: str, limit: int) -> bytes:
    """Return the file's bytes, at most `limit`; raises `ConfigurationError` that calls it `what`."""
    try:
        with path.open("rb") as stream:
            source = stream.read(limit + 1)
    except OSError as error:
        raise ConfigurationError(f"{what} {path} cannot be read: {error.strerror}") from error
    if len(source) > limit:
        raise ConfigurationError(f"{what} {path}: expected at most {limit} bytes, more came")
    return source
