"""When an example was sent first, so that the same command again is the same request and makes no second case.

An example's facts are dated by the moment they are sent. That moment alone is kept, in the user's own state folder,
under a digest of server, client, example and overrides; it is no patient's and no secret.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

_MOST_KEPT = 200
_NAME = "examples-sent.json"


def digest(*parts: str) -> str:
    """Return the name under which the moment is kept."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def state_folder() -> Path:
    """Return where this user's programs keep their state (XDG Base Directory)."""
    named = os.environ.get("XDG_STATE_HOME", "")
    # The specification has a relative path ignored.
    base = Path(named) if named.startswith("/") else Path.home() / ".local" / "state"
    return base / "arbiter"


def first_sent(name: str, now: datetime, *, anew: bool) -> datetime:
    """Return the moment kept under `name`; keep and return `now` when there is none or it begins `anew`.

    Raises:
        OSError: when it cannot be kept.
    """
    path = state_folder() / _NAME
    kept = _read(path)
    if name in kept and not anew:
        return kept[name]
    kept[name] = now
    newest = sorted(kept.items(), key=lambda item: item[1])[-_MOST_KEPT:]
    _write(path, dict(newest))
    return now


def _read(path: Path) -> dict[str, datetime]:
    try:
        found = json.loads(path.read_text("utf-8"))
        moments = {str(name): datetime.fromisoformat(text) for name, text in found.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        # A damaged file costs a second made-up case, no more.
        return {}
    return {name: at for name, at in moments.items() if at.tzinfo is not None}


def _write(path: Path, kept: Mapping[str, datetime]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{_NAME}.{os.getpid()}")
    fresh.write_text(json.dumps({name: at.isoformat() for name, at in kept.items()}), "utf-8")
    fresh.replace(path)
