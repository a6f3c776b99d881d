"""The built browser assets: where they lie and under which hashed name each one is served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from arbiter.errors import ConfigurationError

STATIC = Path(__file__).parent / "static"
NEEDED = frozenset(
    {
        "arbiter.css",
        "paper.css",
        "pages.js",
        "passkeys.js",
        "drafts.js",
        "fresh.js",
        "work-list.js",
        "favicon.svg",
    }
)
_ADVICE = "run `make assets` to build them"


@dataclass(frozen=True, slots=True)
class Assets:
    """The folder that is served and the hashed file name of each asset."""

    folder: Path
    names: Mapping[str, str]

    def address(self, name: str) -> str:
        """Return the path under which an asset is served; raise KeyError for one that was not built."""
        return f"/static/{self.names[name]}"

    def content(self, name: str) -> str:
        """Return an asset's text, for what must stand alone; raise KeyError for one that was not built."""
        return (self.folder / self.names[name]).read_text(encoding="utf-8")


def require_built(folder: Path = STATIC) -> Assets:
    """Return the built assets.

    Raises:
        ConfigurationError: when they are missing, incomplete or unreadable; the message says how to build them.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"the pages' assets are not built: {_ADVICE}") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the manifest of the pages' assets cannot be read: {_ADVICE}") from error
    if not isinstance(manifest, dict) or not set(manifest) >= NEEDED:
        raise ConfigurationError(f"the manifest of the pages' assets is incomplete: {_ADVICE}")
    for name, hashed in manifest.items():
        if not isinstance(hashed, str) or Path(hashed).name != hashed or not (folder / hashed).is_file():
            raise ConfigurationError(f"the asset {name} is missing: {_ADVICE}")
    return Assets(folder, MappingProxyType(manifest))
