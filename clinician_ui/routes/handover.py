"""The end of a shift: what is open, on the screen and on paper, and handing over what one holds."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import RefusedError
from arbiter.workflow import work_list
from arbiter.workflow.shift import handing_over
from clinician_ui.desk import Desk, beside, see
from clinician_ui.forms import Mistake
from clinician_ui.handover_form import HandoverForm, read_handover
from clinician_ui.presenters.handover import handover_page, handover_sheet
from clinician_ui.session import Visitor
from clinician_ui.texts import _

HANDOVER = "/duty/handover"
_NOTHING = HandoverForm((), {}, "")

MOST_WAITING = 50
"""Of the cases that wait the page has the most urgent: the whole list is a page of its own, and the printed sheet has it."""


class HandoverPages:
    """`/duty/handover`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._house = desk.house

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route(HANDOVER, self.show, methods=["GET"]),
            Route(f"{HANDOVER}/print", self.print, methods=["GET"]),
            Route(HANDOVER, self.hand_over, methods=["POST"]),
        )

    async def show(self, request: Request) -> Response:
        """Show what is open."""
        visitor = await self._desk.door.visitor(request)
        done = request.url.query if request.url.query in {"done", "partly"} else ""
        return await self._page(visitor, _NOTHING, (), done=done)

    async def print(self, request: Request) -> Response:
        """Show what is open as it goes on paper."""
        visitor = await self._desk.door.visitor(request)
        listed = await work_list.look(self._house, visitor.principal)
        held = await work_list.held(self._house, visitor.principal)
        sheet = handover_sheet(held, listed, await self._desk.here())
        return self._desk.page("handover_print", visitor, page=sheet)

    async def hand_over(self, request: Request) -> Response:
        """Give the ticked cases back, each with its note; what is not held any more is said afterwards."""
        visitor, fields = await self._desk.form(request)
        principal, form = visitor.principal, read_handover(fields)
        known = await handing_over.colleagues(self._house, principal)
        to = next((each for each in known if each.login == form.to), None)
        mistakes = form.mistakes
        if form.to and to is None:
            mistakes = (*mistakes, Mistake("to", _("Choose a colleague from the list, or nobody")))
        if mistakes:
            return await self._page(visitor, form, mistakes)
        try:
            handed = await handing_over.hand_over(self._house, principal, form.notes, to)
        except RefusedError as error:
            if any(problem.code != "other-site" for problem in error.problems):
                raise
            wrong = _("This colleague does not work at the site of every case you ticked")
            return await self._page(visitor, form, (Mistake("to", wrong),))
        return see(f"{HANDOVER}?{'partly' if handed.gone else 'done'}")

    async def _page(
        self, visitor: Visitor, form: HandoverForm, mistakes: tuple[Mistake, ...], *, done: str = ""
    ) -> Response:
        principal = visitor.principal
        listed = await work_list.look(self._house, principal, size=MOST_WAITING)
        known = await handing_over.colleagues(self._house, principal)
        held = await work_list.held(self._house, principal)
        page = handover_page(held, listed, known, await self._desk.here())
        return self._desk.page(
            "handover",
            visitor,
            422 if mistakes else 200,
            page=page,
            # Shown for the first time, everything is ticked.
            ticked=form.cases if mistakes else tuple(row.case for row in page.held),
            typed=form.typed,
            to=form.to,
            done=done,
            mistakes=mistakes,
            errors=beside(mistakes),
        )
