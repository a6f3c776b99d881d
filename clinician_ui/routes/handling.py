"""What a reviewer does with a case they hold beside judging it: keep it for longer, give it back."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import ConflictError
from arbiter.lifecycle.states import Phase
from arbiter.workflow import review
from clinician_ui.desk import Desk, case_in, see
from clinician_ui.forms import draft_of
from clinician_ui.routes.case import CasePages, leading_back


class HandlingPages:
    """The forms that stand beside a case."""

    def __init__(self, desk: Desk, pages: CasePages) -> None:
        self._desk = desk
        self._house = desk.house
        self._pages = pages

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/cases/{case}/renew", self.renew, methods=["POST"]),
            Route("/cases/{case}/hand-back", self.hand_back, methods=["POST"]),
            *leading_back(self._desk, "renew", "hand-back"),
        )

    async def renew(self, request: Request) -> Response:
        """Hold the case for longer and show what had been typed again."""
        visitor, fields = await self._desk.form(request)
        case = case_in(request)
        await review.renew(self._house, visitor.principal, case)
        item = await self._pages.item(visitor, case)
        if item is None or not item.mine or item.phase is Phase.OPINION_COMMITTED:
            return see(f"/cases/{case}")
        return await self._pages.show_mine(visitor, case, item.phase, draft_of(fields), ())

    async def hand_back(self, request: Request) -> Response:
        """Give the case back; a case no longer held is back already."""
        visitor, _ = await self._desk.form(request)
        case = case_in(request)
        try:
            await review.hand_back(self._house, visitor.principal, case)
        except ConflictError:
            item = await self._pages.item(visitor, case)
            if item is not None and item.mine:
                raise
        return see("/worklist")
