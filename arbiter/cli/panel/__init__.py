"""`arbiter panel …`: the model servers behind a panel started, checked, watched and asked again."""

from arbiter.cli.panel import canary, checking, reproducing, serving, watching
from arbiter.cli.panel.group import app

__all__ = ["app", "canary", "checking", "reproducing", "serving", "watching"]
