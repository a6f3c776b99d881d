"""The signature that ends a case, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import ConflictError, RefusedError, UnauthenticatedError
from arbiter.workflow import review, work_list
from arbiter.workflow.oversight.telling import planted_told
from clinician_ui.desk import Desk, case_in, see
from clinician_ui.forms import Mistake, check_signature, draft_of
from clinician_ui.presenters.done import done_page
from clinician_ui.routes.case import NEEDS_REASON, CasePages, leading_back

SEAL_WAIT_SECONDS = 2.0
SEAL_LOOK_SECONDS = 0.1

_WRONG_PASSWORD = (Mistake("password", "The password is wrong, or your account is locked for now"),)


class SigningPages:
    """`/cases/{case}/sign` and `/cases/{case}/done`."""

    def __init__(self, desk: Desk, pages: CasePages) -> None:
        self._desk = desk
        self._house = desk.house
        self._pages = pages

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/cases/{case}/sign", self.sign, methods=["POST"]),
            Route("/cases/{case}/done", self.done, methods=["GET"]),
            *leading_back(self._desk, "sign"),
        )

    async def sign(self, request: Request) -> Response:
        """Decide and sign, after the password has proven once more who signs."""
        visitor, fields = await self._desk.form(request)
        case = case_in(request)
        checked = check_signature(fields)
        if (form := checked.values) is None:
            return await self._pages.revealed(visitor, case, draft_of(fields), checked.mistakes)
        try:
            await self._desk.door.prove_again(visitor.principal, form.password)
            await review.sign(self._house, visitor.principal, case, form.option, form.reason)
        except UnauthenticatedError:
            return await self._pages.revealed(visitor, case, draft_of(fields), _WRONG_PASSWORD)
        except RefusedError as error:
            if any(problem.pointer != "/reason" for problem in error.problems):
                raise
            return await self._pages.revealed(visitor, case, draft_of(fields), NEEDS_REASON)
        except ConflictError:
            # Sent twice: whoever has signed is led to what was signed.
            await review.signed_case(self._house, visitor.principal, case)
        return see(f"/cases/{case}/done")

    async def done(self, request: Request) -> Response:
        """Show the signed decision as soon as the log is sealed over it; give the sealer a moment first."""
        visitor = await self._desk.door.visitor(request)
        case = case_in(request)
        decision = await review.signed_case(self._house, visitor.principal, case)
        for _ in range(round(SEAL_WAIT_SECONDS / SEAL_LOOK_SECONDS)):
            if decision is not None:
                break
            await asyncio.sleep(SEAL_LOOK_SECONDS)
            decision = await review.signed_case(self._house, visitor.principal, case)
        done = None if decision is None else done_page(decision, await self._desk.here())
        training = (await work_list.standing(self._house, visitor.principal, case)).training
        planted = await planted_told(self._house, visitor.principal, case)
        return self._desk.page(
            "done", visitor, case=case, done=done, training=training or planted is not None, planted=planted
        )
