"""`arbiter labels …`: where the answers come from that panels are measured by."""

from arbiter.cli.labels import importing
from arbiter.cli.labels.group import app

__all__ = ["app", "importing"]
