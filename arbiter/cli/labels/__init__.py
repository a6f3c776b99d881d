"""`arbiter labels …`: where the answers come from that panels are measured by."""

from arbiter.cli.labels import gathering, importing
from arbiter.cli.labels.group import app

__all__ = ["app", "gathering", "importing"]
