"""Where the weights and their protocol lie, and what the weights must hash to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
WEIGHTS: Final = HERE / "weights"
BASE: Final = WEIGHTS / "base"
ADAPTERS: Final = WEIGHTS / "adapters"
MANIFEST: Final = WEIGHTS / "SHA256SUMS"
PROTOCOLS: Final = HERE / "protocols"
PROTOCOL: Final = "deterioration-with-models"
PROTOCOL_FOLDER: Final = PROTOCOLS / "deterioration_with_models"

CONTEXT: Final = 1_024
"""As many tokens may prompt and answer have together."""


def sums(folder: Path) -> Mapping[str, str]:
    """Return the SHA-256 (hex) of every file under the folder but the manifest and the card, by its path, sorted."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.name not in {MANIFEST.name, "MODEL_CARD.md"}
    }


def manifest_text(stated: Mapping[str, str]) -> str:
    """Return the manifest for these hashes: `sha256sum --check` reads it."""
    return "".join(f"{digest}  {name}\n" for name, digest in stated.items())
