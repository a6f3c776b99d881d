"""What a reviewer does with a case they hold beside judging it: keep it, give it back, refer it, set it aside, ask, step back, confer.

And what the signer of a decision, or an arbiter, does with one that is wrong: take it back.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import ConflictError, RefusedError
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow import review, work_list
from clinician_ui.desk import Desk, case_in, see
from clinician_ui.fields import Fields
from clinician_ui.forms import (
    Draft,
    Mistake,
    check_asking,
    check_attendance,
    check_deferral,
    check_reason,
    draft_of,
)
from clinician_ui.presenters.handling import Aside, typed
from clinician_ui.presenters.work import work_row
from clinician_ui.routes.case import CasePages, leading_back
from clinician_ui.session import Visitor
from clinician_ui.texts import _

_BETWEEN_LOGINS = re.compile(r"[\s,;]+")

Doing = Callable[[], Awaitable[object]]


class HandlingPages:
    """The forms that stand beside a case."""

    def __init__(self, desk: Desk, pages: CasePages) -> None:
        self._desk = desk
        self._house = desk.house
        self._pages = pages

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        posts = {
            "renew": self.renew,
            "hand-back": self.hand_back,
            "refer": self.refer,
            "defer": self.defer,
            "ask-facts": self.ask_facts,
            "conflict": self.declare_conflict,
            "attendance": self.confer,
            "correct": self.correct,
        }
        return (
            *(Route(f"/cases/{{case}}/{form}", handler, methods=["POST"]) for form, handler in posts.items()),
            Route("/cases/{case}/correct", self.show_correction, methods=["GET"]),
            *leading_back(self._desk, *(form for form in posts if form != "correct")),
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

    # --- forms with a reason -------------------------------------------------------------------------------------

    async def refer(self, request: Request) -> Response:
        """Hand the case up to a senior arbiter."""
        visitor, fields = await self._desk.form(request)
        case, checked = case_in(request), check_reason(fields)
        if (form := checked.values) is None:
            return await self._again(visitor, case, Aside.REFER, fields, checked.mistakes)
        try:
            await review.refer(self._house, visitor.principal, case, form.reason)
        except RefusedError as error:
            if any(problem.pointer != "/arbiter" for problem in error.problems):
                raise
            nobody = Mistake(
                "reason", _("There is nobody else at this site whom the case could be referred to")
            )
            return await self._again(visitor, case, Aside.REFER, fields, (nobody,))
        return see(f"/cases/{case}")

    async def defer(self, request: Request) -> Response:
        """Set the case aside."""
        visitor, fields = await self._desk.form(request)
        case, checked = case_in(request), check_deferral(fields)
        if (form := checked.values) is None:
            return await self._again(visitor, case, Aside.DEFER, fields, checked.mistakes)
        wait = timedelta(minutes=int(form.wait))
        try:
            audited = await review.defer(self._house, visitor.principal, case, wait, form.reason)
        except RefusedError:
            too_long = (Mistake("wait", _("It is due before then: select a shorter time")),)
            return await self._again(visitor, case, Aside.DEFER, fields, too_long)
        return see(f"/cases/{case}" if audited else "/worklist")

    async def ask_facts(self, request: Request) -> Response:
        """Ask the hospital's system for facts."""
        visitor, fields = await self._desk.form(request)
        case, checked = case_in(request), check_asking(fields)
        if (form := checked.values) is None:
            return await self._again(visitor, case, Aside.ASK, fields, checked.mistakes)
        await review.request_facts(self._house, visitor.principal, case, form.facts, form.note)
        return see(f"/cases/{case}")

    async def declare_conflict(self, request: Request) -> Response:
        """Step back from the case for good."""
        visitor, fields = await self._desk.form(request)
        case, checked = case_in(request), check_reason(fields)
        if (form := checked.values) is None:
            return await self._again(visitor, case, Aside.CONFLICT, fields, checked.mistakes)
        await review.declare_conflict(self._house, visitor.principal, case, form.reason)
        return see(f"/cases/{case}")

    async def confer(self, request: Request) -> Response:
        """Record who sits together over the revealed case."""
        visitor, fields = await self._desk.form(request)
        case, checked = case_in(request), check_attendance(fields)
        if (form := checked.values) is None:
            return await self._again(visitor, case, Aside.CONFER, fields, checked.mistakes)
        logins = _BETWEEN_LOGINS.split(form.attendees)
        try:
            await review.convene(self._house, visitor.principal, case, logins)
        except RefusedError:
            said = _("Each must be the login of another reviewer of this site, 20 at most")
            return await self._again(visitor, case, Aside.CONFER, fields, (Mistake("attendees", said),))
        return see(f"/cases/{case}")

    async def _again(
        self, visitor: Visitor, case: CaseId, aside: Aside, fields: Fields, mistakes: Sequence[Mistake]
    ) -> Response:
        """Show the case with a form that is to be put right; raises ConflictError when the visitor does not hold it."""
        item = await self._pages.item(visitor, case)
        if item is None or not item.mine:
            raise ConflictError(f"case {case} is not held by this reviewer")
        came_back = typed(aside, fields, mistakes)
        return await self._pages.show_mine(visitor, case, item.phase, Draft(), (), came_back=came_back)

    # --- correcting ----------------------------------------------------------------------------------------------

    async def show_correction(self, request: Request) -> Response:
        """Show the form that takes a decision back to whoever may."""
        visitor = await self._desk.door.visitor(request)
        return await self._correction(visitor, case_in(request), "", ())

    async def correct(self, request: Request) -> Response:
        """Take a released decision back and go on to sign anew; sent twice, it leads to the case that is held already."""
        visitor, fields = await self._desk.form(request)
        case, checked = case_in(request), check_reason(fields)
        if (form := checked.values) is None:
            return await self._correction(visitor, case, draft_of(fields).reason, checked.mistakes)
        try:
            await review.correct(self._house, visitor.principal, case, form.reason)
        except ConflictError:
            item = await self._pages.item(visitor, case)
            if item is None or not item.mine or item.phase is not Phase.REVEALED:
                raise
        return see(f"/cases/{case}")

    async def _correction(
        self, visitor: Visitor, case: CaseId, reason: str, mistakes: Sequence[Mistake]
    ) -> Response:
        if not await review.may_correct(self._house, visitor.principal, case):
            raise ConflictError(f"case {case} is not this reviewer's to correct")
        row = work_row(
            await work_list.standing(self._house, visitor.principal, case), await self._desk.here()
        )
        named = tuple(Mistake(f"correct_{mistake.field}", mistake.message) for mistake in mistakes)
        error = named[0].message if named else ""
        correction = {"case": case, "opened": True, "reason": reason, "error": error}
        return self._desk.page(
            "case_correct", visitor, 422 if named else 200, row=row, correction=correction, mistakes=named
        )
