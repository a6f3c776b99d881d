"""Exports of the log for auditors: asked for, watched, fetched, deleted. What an export opens of a case is an entry of that case."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from arbiter.errors import BusyError, ForbiddenError, NotFoundError, RefusedError
from arbiter.identity.roles import Permission
from arbiter.workflow.exports import jobs
from arbiter.workflow.exports.selecting import selection_of
from clinician_ui.audit_forms import ExportForm, read_export
from clinician_ui.desk import Desk, beside, see
from clinician_ui.forms import Mistake
from clinician_ui.presenters.exports import export_rows
from clinician_ui.rendering import NO_STORE
from clinician_ui.session import Visitor
from clinician_ui.texts import _

EXPORTS = "/audit/exports"
_EXPORT_ID = re.compile(r"e_[a-z2-7]{24}", re.ASCII)


class ExportPages:
    """`/audit/exports`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._house = desk.house

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route(EXPORTS, self.show, methods=["GET"]),
            Route(EXPORTS, self.ask, methods=["POST"]),
            Route(f"{EXPORTS}/{{export}}/file", self.file, methods=["GET"]),
            Route(f"{EXPORTS}/{{export}}/delete", self.delete, methods=["POST"]),
        )

    async def show(self, request: Request) -> Response:
        """Show what this auditor asked for, and the form that asks."""
        return await self._page(await self._desk.door.visitor(request), ExportForm(), ())

    async def ask(self, request: Request) -> Response:
        """Ask for an export; what this auditor may not take, or does not fit together, is said beside the form."""
        visitor, fields = await self._desk.form(request)
        visitor.principal.require(Permission.AUDIT_READ)
        form = read_export(fields, self._house.settings.zone)
        if form.mistakes:
            return await self._page(visitor, form, form.mistakes)
        try:
            selection = selection_of(
                cases=form.cases,
                sites=form.sites,
                since=form.since,
                until=form.until,
                payloads=form.payloads,
                paper=form.paper,
            )
            await jobs.ask_for_export(self._house, visitor.principal, selection)
        except (RefusedError, NotFoundError, ForbiddenError, BusyError) as error:
            return await self._page(visitor, form, (_mistake(error),))
        return see(EXPORTS)

    async def file(self, request: Request) -> Response:
        """Give the archive of a finished export."""
        visitor = await self._desk.door.visitor(request)
        export = _export_in(request)
        file = await jobs.export_file(self._house, visitor.principal, export)
        headers = {
            **NO_STORE,
            "Content-Disposition": f'attachment; filename="{export}.zip"',
            "Content-Length": str(file.size),
        }
        return StreamingResponse(file.read(0, file.size), 200, headers, media_type="application/zip")

    async def delete(self, request: Request) -> Response:
        """Delete an export, finished or not; one that is gone is deleted already."""
        visitor, _fields = await self._desk.form(request)
        await jobs.delete_export(self._house, visitor.principal, _export_in(request))
        return see(EXPORTS)

    async def _page(self, visitor: Visitor, form: ExportForm, mistakes: tuple[Mistake, ...]) -> Response:
        principal = visitor.principal
        exports = await jobs.list_exports(self._house, principal)
        here = await self._desk.here()
        return self._desk.page(
            "audit_exports",
            visitor,
            422 if mistakes else 200,
            exports=export_rows(exports, here),
            form=form,
            sites=sorted((here.site(site), site) for site in principal.sites),
            may_open=Permission.AUDIT_PAYLOADS in principal.permissions,
            zone=here.zone_name,
            mistakes=mistakes,
            errors=beside(mistakes),
        )


def _mistake(error: RefusedError | NotFoundError | ForbiddenError | BusyError) -> Mistake:
    match error:
        case BusyError():
            return Mistake(
                "cases", _("Too many exports are under way or kept. Delete one you no longer need")
            )
        case ForbiddenError():
            return Mistake("payloads", _("You may not take documents in the clear"))
        case NotFoundError():
            return Mistake("cases", _("One of these cases or sites is not yours to export"))
        case _:
            return Mistake("until", _("The case papers are of whole cases: leave the times empty for them"))


def _export_in(request: Request) -> str:
    export = str(request.path_params["export"])
    if not _EXPORT_ID.fullmatch(export):
        raise NotFoundError("no export has such an id")
    return export
