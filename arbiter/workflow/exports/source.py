"""The source that an export carries, so that checking it takes nothing of an installation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import arbiter
from arbiter.audit.export.layout import SCRIPT, SOURCE_FOLDER

FOLDERS = ("adjudication", "audit", "documents", "lifecycle", "policy", "verifying")
FILES = ("__init__.py", "calibration.py", "errors.py", "model.py", "question.py")


def source_members() -> Iterator[tuple[str, bytes]]:
    """Yield the verifier and every module that it needs as (member's name, content), from the installed package."""
    yield from _source()


@cache
def _source() -> tuple[tuple[str, bytes], ...]:
    package = Path(arbiter.__file__).parent
    paths = [package / name for name in FILES]
    for folder in FOLDERS:
        paths += sorted((package / folder).rglob("*.py"))
    carried = [
        (f"{SOURCE_FOLDER}arbiter/{path.relative_to(package).as_posix()}", path.read_bytes())
        for path in paths
    ]
    return ((SCRIPT, (package / "verifying" / "script.py").read_bytes()), *carried)
