"""The fleet: how the model servers and the seats that depend on them stand, for those who keep them running.

Nothing of a case is on it, and no reviewer sees it: a seat that does not answer would tell why a case waits.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.workflow.fleet_watch import watch_fleet
from clinician_ui.desk import Desk
from clinician_ui.presenters.fleet import fleet_page


class FleetPages:
    """`/fleet`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/fleet", self.show, methods=["GET"]),
            Route("/fleet/now", self.refresh, methods=["GET"]),
        )

    async def show(self, request: Request) -> Response:
        """Show the fleet."""
        return await self._fleet(request, "fleet", acting=True)

    async def refresh(self, request: Request) -> Response:
        """Return the fleet alone, for the open page to take in."""
        return await self._fleet(request, "fleet_now", acting=False)

    async def _fleet(self, request: Request, template: str, *, acting: bool) -> Response:
        visitor = await self._desk.door.visitor(request, acting=acting)
        watch = await watch_fleet(self._desk.house, visitor.principal)
        page = fleet_page(watch, await self._desk.here())
        return self._desk.page(template, visitor, page=page)
