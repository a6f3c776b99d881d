"""`arbiter audit …`: the log verified, read, proven, compared, exported and recovered. Importing a module adds its commands."""

from arbiter.cli.audit import (
    comparing,
    exporting,
    figures,
    opening,
    proofs,
    recovering,
    timeline,
    verifying,
    witnesses,
)
from arbiter.cli.audit.group import app

__all__ = [
    "app",
    "comparing",
    "exporting",
    "figures",
    "opening",
    "proofs",
    "recovering",
    "timeline",
    "verifying",
    "witnesses",
]
