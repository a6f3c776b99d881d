"""The list that people fall back on when Arbiter itself is down: the file `downtime.html` in the data folder.

It is written anew every minute while the doors are open and once more when they close, whole or not at all, readable by
the service's own user alone, and needs nothing beside itself to be read or printed. Whoever runs Arbiter hands it on as
the local procedure says. What was seen last also stays in memory, for the page that says that Arbiter cannot be used.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from arbiter.settings import Mode
from arbiter.workflow.downtime import Waiting, everything_waiting
from arbiter.workflow.house import House
from clinician_ui.assets import require_built
from clinician_ui.presenters.paper import downtime_list
from clinician_ui.presenters.times import Here
from clinician_ui.rendering import Renderer
from clinician_ui.texts import language_named, speaking

NAME = "downtime.html"
EVERY_SECONDS = 60.0


class DowntimeFile:
    """The file of one house, and what it last held."""

    def __init__(self, house: House) -> None:
        assets = require_built()
        self._house = house
        self._language = language_named(house.settings.language)
        self._renderer = Renderer(assets, demonstration=house.settings.mode is Mode.DEMONSTRATION)
        self._style = assets.content("paper.css")
        self.path = house.settings.data / NAME
        self.last_seen: Waiting | None = None

    async def keep_writing(self) -> None:
        """Write the file now and every minute; what fails is raised, for whoever keeps standing work up to try again."""
        while True:
            await self.write()
            await asyncio.sleep(EVERY_SECONDS)

    async def write(self) -> None:
        """Look at what waits and put it in the place of the file; without a database the file stays as it was."""
        if self._house.guard.refusal is not None:
            # What such a database says waits may be long done; the list of before stays.
            return
        waiting = await everything_waiting(self._house)
        self.last_seen = waiting
        with speaking(self._language):
            content = self._content(waiting)
        await asyncio.to_thread(_replace, self.path, content)

    def _content(self, waiting: Waiting) -> bytes:
        settings = self._house.settings
        here = Here(waiting.at, waiting.sites, settings.zone)
        text = self._renderer.text(
            "downtime_file",
            style=self._style,
            advice=settings.downtime_advice,
            page=downtime_list(waiting, here),
        )
        return text.encode()


def _replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another; whoever reads meanwhile gets the one or the other, whole."""
    # Several processes may share the folder: each writes beside the file under a name of its own.
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
