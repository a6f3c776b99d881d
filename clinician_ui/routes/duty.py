"""The duty pages, made for a phone first: open calls, what a notification leads to, the rota."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import ConflictError, IllegalMoveError
from arbiter.workflow import acknowledging, review
from arbiter.workflow.shift import calls
from arbiter.workflow.shift.rota import rota
from clinician_ui.desk import Desk, case_id, case_in, see
from clinician_ui.fields import check_known
from clinician_ui.presenters.duty import call_card, duty_page
from clinician_ui.presenters.rota import rota_page


class DutyPages:
    """`/duty` and what is done there."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._house = desk.house

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes; what is named comes before `/duty/{case}`."""
        return (
            Route("/duty", self.show, methods=["GET"]),
            Route("/duty/rota", self.rota, methods=["GET"]),
            Route("/duty/take-over", self.take_over, methods=["POST"]),
            Route("/duty/{case}", self.call, methods=["GET"]),
            Route("/duty/{case}/acknowledge", self.acknowledge, methods=["POST"]),
            Route("/duty/{case}/claim", self.claim, methods=["POST"]),
        )

    async def show(self, request: Request) -> Response:
        """Show the calls that nobody has answered."""
        visitor = await self._desk.door.visitor(request)
        found = await calls.open_calls(self._house, visitor.principal)
        taken = request.url.query == "taken-over"
        return self._desk.page("duty", visitor, page=duty_page(found, await self._desk.here()), taken=taken)

    async def call(self, request: Request) -> Response:
        """Show one call: where a notification leads."""
        visitor = await self._desk.door.visitor(request)
        call = await calls.call_about(self._house, visitor.principal, case_in(request))
        return self._desk.page("duty_call", visitor, it=call_card(call, await self._desk.here()))

    async def rota(self, request: Request) -> Response:
        """Show who is on duty, and who is called after whom."""
        visitor = await self._desk.door.visitor(request)
        page = rota_page(rota(self._house, visitor.principal), await self._desk.here())
        return self._desk.page("rota", visitor, page=page)

    async def acknowledge(self, request: Request) -> Response:
        """Say that somebody is on the way; a call that is answered, claimed or over by now needs nothing more."""
        visitor, _ = await self._desk.form(request)
        case = case_in(request)
        with suppress(IllegalMoveError):
            await acknowledging.acknowledge(self._house, visitor.principal, case)
        return see(f"/duty/{case}")

    async def claim(self, request: Request) -> Response:
        """Claim the case and go to it; where somebody was faster, the call says so."""
        visitor, _ = await self._desk.form(request)
        case = case_in(request)
        try:
            await review.claim(self._house, visitor.principal, case)
        except ConflictError:
            call = await calls.call_about(self._house, visitor.principal, case)
            return see(f"/cases/{case}" if call.answer is calls.Answer.MINE else f"/duty/{case}")
        return see(f"/cases/{case}")

    async def take_over(self, request: Request) -> Response:
        """Acknowledge every call that the page showed, in one go; one that came after it stays open."""
        visitor, fields = await self._desk.form(request)
        check_known(fields, {"case"})
        shown = [case_id(value) for value in fields.get("case", ())]
        await calls.take_over(self._house, visitor.principal, shown)
        return see("/duty?taken-over")
