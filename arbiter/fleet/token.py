"""The key that model servers ask of their callers, from its file: an environment is seen by too many."""

from __future__ import annotations

import re
from pathlib import Path

from arbiter.errors import ConfigurationError


def read_token(path: Path | None) -> str | None:
    """Return the key in the file that ARBITER_MODEL_SERVER_TOKEN_FILE names, None where it names none.

    Raises:
        ConfigurationError: when it cannot be read, or holds anything but one word.
    """
    if path is None:
        return None
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"ARBITER_MODEL_SERVER_TOKEN_FILE: {path} cannot be read") from error
    if not re.fullmatch(r"[!-~]{1,4096}", token):
        raise ConfigurationError(f"ARBITER_MODEL_SERVER_TOKEN_FILE: expected one word in {path}")
    return token
