"""The list of keyboard shortcuts, as a page of its own: the script shows it over other pages."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from clinician_ui.desk import Desk
from clinician_ui.navigation import KEYS
from clinician_ui.presenters.keys import keys_page


class KeysPages:
    """`/keys`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (Route(KEYS, self.show, methods=["GET"]),)

    async def show(self, request: Request) -> Response:
        """Show the shortcuts to the places that this visitor has, and to nothing else."""
        visitor = await self._desk.door.visitor(request)
        places = self._desk.navigation.places(visitor.principal)
        return self._desk.page("keys", visitor, page=keys_page(places))
