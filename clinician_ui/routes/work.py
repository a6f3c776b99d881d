"""The work list, and claiming from it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import ConflictError, IllegalMoveError
from arbiter.workflow import acknowledging, review, work_list
from clinician_ui.desk import Desk, case_in, see
from clinician_ui.presenters.paper import paper_list
from clinician_ui.presenters.work import work_page
from clinician_ui.routes.glass import may_break_glass


class WorkPages:
    """`/worklist` and what is done from it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/worklist", self.show, methods=["GET"]),
            Route("/worklist/list", self.refresh, methods=["GET"]),
            Route("/worklist/print", self.print, methods=["GET"]),
            Route("/worklist/{case}/claim", self.claim, methods=["POST"]),
            Route("/worklist/{case}/acknowledge", self.acknowledge, methods=["POST"]),
        )

    async def show(self, request: Request) -> Response:
        """Show the list."""
        return await self._list(request, "work", acting=True)

    async def refresh(self, request: Request) -> Response:
        """Return the list alone, for the open page to take in."""
        return await self._list(request, "work_list", acting=False)

    async def print(self, request: Request) -> Response:
        """Show the list as it goes on paper."""
        visitor = await self._desk.door.visitor(request)
        items = await work_list.waiting(self._desk.house, visitor.principal)
        return self._desk.page("work_print", visitor, page=paper_list(items, await self._desk.here()))

    async def claim(self, request: Request) -> Response:
        """Claim a case and go to it; claiming one's own case again does nothing."""
        visitor, _ = await self._desk.form(request)
        case = case_in(request)
        try:
            await review.claim(self._desk.house, visitor.principal, case)
        except ConflictError:
            # Not the list: it does not show a case that was claimed through broken glass.
            item = await work_list.standing(self._desk.house, visitor.principal, case)
            if not item.mine:
                raise
        return see(f"/cases/{case}")

    async def acknowledge(self, request: Request) -> Response:
        """Say that somebody is on the way; a case that is acknowledged, claimed or closed by now needs nothing more."""
        visitor, _ = await self._desk.form(request)
        case = case_in(request)
        with suppress(IllegalMoveError):
            await acknowledging.acknowledge(self._desk.house, visitor.principal, case)
        return see("/worklist")

    async def _list(self, request: Request, template: str, *, acting: bool) -> Response:
        visitor = await self._desk.door.visitor(request, acting=acting)
        items = await work_list.waiting(self._desk.house, visitor.principal)
        page = work_page(items, await self._desk.here())
        may_break = may_break_glass(visitor.principal)
        return self._desk.page(template, visitor, page=page, may_break_glass=may_break)
