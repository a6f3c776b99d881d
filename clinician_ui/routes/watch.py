"""The watch over stated error rates, for whoever answers for a policy, audits, or keeps the panel running.

No reviewer sees it: who knows how often the panel is wrong is no independent check of it. Nothing of a case is on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.workflow.watching.looking import look_at_guarantees
from clinician_ui.desk import Desk
from clinician_ui.presenters.watch import watch_page


class WatchPages:
    """`/watch`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (Route("/watch", self.show, methods=["GET"]),)

    async def show(self, request: Request) -> Response:
        """Show how stated error rates hold up."""
        visitor = await self._desk.door.visitor(request)
        looked = await look_at_guarantees(self._desk.house, visitor.principal)
        return self._desk.page("watch", visitor, page=watch_page(looked, await self._desk.here()))
