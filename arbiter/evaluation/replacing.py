"""Writes files that belong together: whoever reads finds the old ones or the new ones, each whole.

All are written beside and are on the disk before the first takes its place. Between the first and the last there are only renames,
which is as near to all at once as a file system goes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def write_together(texts: Mapping[Path, str]) -> None:
    """Put each text, as UTF-8, in the place of its file.

    Raises:
        OSError: when one cannot be written; then every file is as it was.
    """
    beside = {path: path.with_name(f".{path.name}.new") for path in texts}
    try:
        for path, text in texts.items():
            with beside[path].open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for path in texts:
            if path.is_dir():
                raise IsADirectoryError(f"expected a file or nothing at {path}, a folder is there")
        for path, fresh in beside.items():
            fresh.replace(path)
    finally:
        for fresh in beside.values():
            fresh.unlink(missing_ok=True)
