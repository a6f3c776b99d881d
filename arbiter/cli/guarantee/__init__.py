"""`arbiter guarantee …`: how what was certified holds up, and alarms lifted."""

from arbiter.cli.guarantee import drift, history, lifting, standing
from arbiter.cli.guarantee.group import app

__all__ = ["app", "drift", "history", "lifting", "standing"]
