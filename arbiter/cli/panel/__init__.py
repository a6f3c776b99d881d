"""`arbiter panel …`: the model servers behind a panel started, checked, watched and asked again."""

from arbiter.cli.panel import checking, serving
from arbiter.cli.panel.group import app

__all__ = ["app", "checking", "serving"]
