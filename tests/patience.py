"""How long a test waits for another process before it calls it hung."""

from __future__ import annotations

PATIENCE_SECONDS = 110.0
"""Below the limit of a test (`pyproject.toml`), so that what hangs is told with its command. A slow machine is no fault."""
