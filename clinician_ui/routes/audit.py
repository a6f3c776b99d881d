"""The log for auditors: how it stands, a case's trail, entries by time and kind, a receipt checked step by step.

A case's id is typed into a form that is sent by POST: what somebody types there in error may be a patient's number, and is in no
address. Nothing here shows content, so nothing here is a read of a case.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import NotFoundError
from arbiter.identity.roles import Permission
from arbiter.workflow.log import trails
from arbiter.workflow.log.receipts import check_receipt
from arbiter.workflow.log.timeline import Sought
from clinician_ui.audit_forms import SearchForm, place, read_search
from clinician_ui.desk import Desk, beside, case_id, case_in, see
from clinician_ui.fields import check_known, only_value
from clinician_ui.forms import Mistake
from clinician_ui.presenters.audit import found_page, receipt_page, status_page, trail_page
from clinician_ui.presenters.entry_words import kinds
from clinician_ui.session import Visitor
from clinician_ui.texts import _


class AuditPages:
    """`/audit` and what hangs on it, but for exports."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._house = desk.house

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/audit", self.show, methods=["GET"]),
            Route("/audit/find", self.find, methods=["POST"]),
            Route("/audit/find", self.back, methods=["GET"]),
            Route("/audit/entries", self.entries, methods=["GET"]),
            Route("/audit/cases/{case}", self.trail, methods=["GET"]),
            Route("/audit/receipt", self.receipt, methods=["GET"]),
            Route("/audit/receipt", self.check, methods=["POST"]),
        )

    async def show(self, request: Request) -> Response:
        """Show how the log stands, and the ways into it."""
        return await self._start(await self._desk.door.visitor(request), "", ())

    async def back(self, request: Request) -> Response:
        """Lead a reload of the form that was shown with its mistakes back to the beginning."""
        await self._desk.door.visitor(request)
        return see("/audit")

    async def find(self, request: Request) -> Response:
        """Lead to a case's trail, or say that there is none."""
        visitor, fields = await self._desk.form(request)
        visitor.principal.require(Permission.AUDIT_READ)
        check_known(fields, {"case"})
        typed = (only_value(fields, "case") or "").strip()[:200]
        if not typed:
            return await self._start(visitor, typed, (Mistake("case", _("Enter the id of the case")),))
        try:
            trail = await trails.case_trail(self._house, visitor.principal, case_id(typed))
        except NotFoundError:
            wrong = _("There is no case with this id at your sites")
            return await self._start(visitor, typed, (Mistake("case", wrong),))
        return see(f"/audit/cases/{trail.case}")

    async def trail(self, request: Request) -> Response:
        """Show a case's trail."""
        visitor = await self._desk.door.visitor(request)
        after = place(request.query_params.get("after", ""))
        trail = await trails.case_trail(
            self._house, visitor.principal, case_in(request), -1 if after is None else min(after, 2**31 - 1)
        )
        return self._desk.page("audit_trail", visitor, page=trail_page(trail, await self._desk.here()))

    async def entries(self, request: Request) -> Response:
        """Show entries by time and kind."""
        visitor = await self._desk.door.visitor(request)
        principal, form = visitor.principal, read_search(request.query_params, self._house.settings.zone)
        principal.require(Permission.AUDIT_READ)
        here = await self._desk.here()
        found = None
        if not form.mistakes:
            sought = Sought(
                kinds=(form.kind,) if form.kind else (),
                site=form.site or None,
                since=form.since,
                until=form.until,
            )
            found = await trails.find_entries(self._house, principal, sought, form.before)
        sites = sorted((here.site(site), site) for site in principal.sites)
        return self._desk.page(
            "audit_entries",
            visitor,
            422 if form.mistakes else 200,
            page=None if found is None else found_page(found, here),
            older="" if found is None or found.before is None else _older(form, found.before),
            form=form,
            kinds=kinds(),
            sites=sites,
            zone=here.zone_name,
            mistakes=form.mistakes,
            errors=beside(form.mistakes),
        )

    async def receipt(self, request: Request) -> Response:
        """Show the form that takes a receipt."""
        visitor = await self._desk.door.visitor(request)
        visitor.principal.require(Permission.AUDIT_READ)
        return self._desk.page("audit_receipt", visitor, page=None, mistakes=(), errors={})

    async def check(self, request: Request) -> Response:
        """Check a receipt and show what became of it: nothing is changed or kept, so there is nowhere else to lead."""
        visitor, fields = await self._desk.upload(request)
        visitor.principal.require(Permission.AUDIT_READ)
        check_known(fields, {"receipt", "receipt_file", "certificate", "certificate_file"})
        given = [
            (only_value(fields, f"{name}_file") or "").strip() or (only_value(fields, name) or "").strip()
            for name in ("receipt", "certificate")
        ]
        receipt, certificate = (text.encode("utf-8", "replace") for text in given)
        if not receipt:
            mistakes = (Mistake("receipt", _("Paste a receipt, or choose its file")),)
            return self._desk.page(
                "audit_receipt", visitor, 422, page=None, mistakes=mistakes, errors=beside(mistakes)
            )
        report = await check_receipt(self._house, visitor.principal, receipt, certificate or None)
        keys = (await trails.log_status(self._house, visitor.principal)).offline_keys
        page = receipt_page(report, keys, await self._desk.here(), certificate=bool(certificate))
        return self._desk.page("audit_receipt", visitor, page=page, mistakes=(), errors={})

    async def _start(self, visitor: Visitor, typed: str, mistakes: tuple[Mistake, ...]) -> Response:
        status = await trails.log_status(self._house, visitor.principal)
        return self._desk.page(
            "audit",
            visitor,
            422 if mistakes else 200,
            log=status_page(status, await self._desk.here()),
            typed=typed,
            mistakes=mistakes,
            errors=beside(mistakes),
        )


def _older(form: SearchForm, before: int) -> str:
    """Return the query of the entries before these; every part of it was read back by `read_search`."""
    asked = {"kind": form.kind, "site": form.site, "since": form.since_text, "until": form.until_text}
    return urlencode({name: value for name, value in asked.items() if value} | {"before": str(before)})
