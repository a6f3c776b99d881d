"""Closed cases to learn from, where the house has switched that on."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.workflow.teaching import offered, open_lesson
from clinician_ui.desk import Desk, case_in
from clinician_ui.presenters.teaching import lesson_page

_PLACE = "/teaching"


def is_teaching(route: BaseRoute) -> bool:
    """Return whether a route is one of these, which nothing leads to where the house has no teaching."""
    return isinstance(route, Route) and route.path.startswith(_PLACE)


class TeachingPages:
    """`/teaching` and `/teaching/{case}`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route(_PLACE, self.show, methods=["GET"]),
            Route(f"{_PLACE}/{{case}}", self.lesson, methods=["GET"]),
        )

    async def show(self, request: Request) -> Response:
        """Show which cases can be opened, and nothing of them."""
        visitor = await self._desk.door.visitor(request)
        return self._desk.page("teaching", visitor, rows=await offered(self._desk.house, visitor.principal))

    async def lesson(self, request: Request) -> Response:
        """Open a case; the log says so."""
        visitor = await self._desk.door.visitor(request)
        lesson = await open_lesson(self._desk.house, visitor.principal, case_in(request))
        return self._desk.page("teaching_case", visitor, page=lesson_page(lesson, await self._desk.here()))
