"""What somebody has signed, for them alone."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.workflow.shift.signed import own_decisions
from clinician_ui.audit_forms import place
from clinician_ui.desk import Desk
from clinician_ui.presenters.mine import mine_page


class MinePages:
    """`/mine`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (Route("/mine", self.show, methods=["GET"]),)

    async def show(self, request: Request) -> Response:
        """Show a page of the visitor's decisions."""
        visitor = await self._desk.door.visitor(request)
        before = place(request.query_params.get("before", ""))
        own = await own_decisions(self._desk.house, visitor.principal, before)
        return self._desk.page("mine", visitor, page=mine_page(own, await self._desk.here()))
