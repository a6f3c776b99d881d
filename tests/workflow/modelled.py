"""The settings of a house in whose seats models sit."""

from __future__ import annotations

from pathlib import Path

from arbiter.settings import Mode, Settings
from tests.fleet.files import fleet_file


def settings_with(folder: Path, url: str, **others: str) -> Settings:
    """A demonstration whose own protocols lie beside it, the server `gpu-a` at that address, other servers by their names."""
    return Settings(
        data=folder,
        mode=Mode.DEMONSTRATION,
        secure_cookies=False,
        workers=False,
        protocols=folder / "protocols",
        fleet=fleet_file(folder, {"gpu-a": url, **others}),
        time_zone="UTC",
        canary_at="03:00",
    )
