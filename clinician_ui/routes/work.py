"""The work list, and claiming from it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import ConflictError, IllegalMoveError
from arbiter.workflow import acknowledging, next_case, review, work_list
from clinician_ui.desk import Desk, case_in, see
from clinician_ui.fields import Fields, only_value
from clinician_ui.presenters.paper import paper_list
from clinician_ui.presenters.work import work_page
from clinician_ui.presenters.work_filter import Wish, read_wish
from clinician_ui.routes.glass import may_break_glass
from clinician_ui.session import Visitor

PAGE_SIZE = 50
LIST_FIELD = "list"
"""The hidden field by which a form of the list says which list it stands on, to be led back there."""


class WorkPages:
    """`/worklist` and what is done from it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._in_hand = next_case.InHand()

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/worklist", self.show, methods=["GET"]),
            Route("/worklist/list", self.refresh, methods=["GET"]),
            Route("/worklist/print", self.print, methods=["GET"]),
            Route("/worklist/next", self.take_next, methods=["POST"]),
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
        listed = await work_list.look(self._desk.house, visitor.principal)
        return self._desk.page("work_print", visitor, page=paper_list(listed, await self._desk.here()))

    async def take_next(self, request: Request) -> Response:
        """Claim the most urgent case of the list that this reviewer may take, and go to it; back to the list without one."""
        visitor, fields = await self._desk.form(request)
        wish = _list_of(fields, visitor) or Wish()
        case = await next_case.take_next(self._desk.house, visitor.principal, wish.narrowing, self._in_hand)
        return see(replace(wish, said="none").address() if case is None else f"/cases/{case}")

    async def claim(self, request: Request) -> Response:
        """Claim a case and go to it; claiming one's own case again does nothing. Who comes too late is led back to their list."""
        visitor, fields = await self._desk.form(request)
        case = case_in(request)
        wish = _list_of(fields, visitor)
        try:
            await review.claim(self._desk.house, visitor.principal, case)
        except ConflictError:
            # Not the list: it does not show a case that was claimed through broken glass.
            item = await work_list.standing(self._desk.house, visitor.principal, case)
            if not item.mine:
                if wish is None:
                    raise
                return see(replace(wish, said="taken").address())
        return see(f"/cases/{case}")

    async def acknowledge(self, request: Request) -> Response:
        """Say that somebody is on the way; a case that is acknowledged, claimed or closed by now needs nothing more."""
        visitor, fields = await self._desk.form(request)
        case = case_in(request)
        wish = _list_of(fields, visitor) or Wish()
        with suppress(IllegalMoveError):
            await acknowledging.acknowledge(self._desk.house, visitor.principal, case)
        return see(wish.address())

    async def _list(self, request: Request, template: str, *, acting: bool) -> Response:
        visitor = await self._desk.door.visitor(request, acting=acting)
        sites = visitor.principal.sites
        wish = read_wish(request.url.query, sites)
        listed = await work_list.look(
            self._desk.house, visitor.principal, wish.narrowing, page=wish.page, size=PAGE_SIZE
        )
        page = work_page(listed, wish, await self._desk.here(), sites)
        may_break = may_break_glass(visitor.principal)
        return self._desk.page(template, visitor, page=page, may_break_glass=may_break)


def _list_of(fields: Fields, visitor: Visitor) -> Wish | None:
    """Return which list a form stands on; None for a form of another page."""
    query = only_value(fields, LIST_FIELD)
    return None if query is None else read_wish(query, visitor.principal.sites)
