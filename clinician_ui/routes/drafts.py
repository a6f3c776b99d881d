"""Keeping what is being typed: by a script while it is typed, or by a button where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import RefusedError
from arbiter.workflow.review import drafts
from arbiter.workflow.review.drafts import DraftStep
from clinician_ui.desk import Desk, case_in, see
from clinician_ui.drafts import kept_fields
from clinician_ui.fields import only_value
from clinician_ui.presenters.times import moment
from clinician_ui.rendering import NO_STORE
from clinician_ui.routes.case import leading_back
from clinician_ui.texts import _

SCRIPT_HEADER = "x-arbiter-draft"
"""Sent by our script, which is told in words when it was kept instead of being led back to the case."""


class DraftPages:
    """`/cases/{case}/draft`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/cases/{case}/draft", self.keep, methods=["POST"]),
            *leading_back(self._desk, "draft"),
        )

    async def keep(self, request: Request) -> Response:
        """Keep what the visitor has typed into a form of a case they hold."""
        visitor, fields = await self._desk.form(request)
        case = case_in(request)
        try:
            step = DraftStep(only_value(fields, "step") or "")
        except ValueError:
            raise RefusedError("expected a form whose drafts are kept") from None
        saved_at = await drafts.keep(
            self._desk.house, visitor.principal, case, step, kept_fields(step, fields)
        )
        if SCRIPT_HEADER not in request.headers:
            return see(f"/cases/{case}")
        said = _("Draft saved at {time}").format(time=moment(saved_at, await self._desk.here()).text)
        return JSONResponse({"said": said}, headers=dict(NO_STORE))
