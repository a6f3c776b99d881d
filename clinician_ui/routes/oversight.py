"""How panels and clinicians work together, for whoever answers for a policy, audits, or keeps the panel running.

No reviewer sees it: who knows how often colleagues follow the panel, or how often it errs, is no independent check of it. Nothing of a
case and nothing of a person is on it. Its filters travel in the address, which holds nothing but days, a protocol and a site.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import NotFoundError
from arbiter.workflow.oversight.looking import choices, newest, oversee
from clinician_ui.desk import Desk, beside
from clinician_ui.presenters.figure_tables import csv_of
from clinician_ui.presenters.oversight import NAMES, oversight_page, table_named
from clinician_ui.presenters.oversight_filters import Wanted, filters_of, wanted_in
from clinician_ui.presenters.times import Here
from clinician_ui.rendering import NO_STORE
from clinician_ui.session import Visitor


class OversightPages:
    """`/oversight` and its figures as CSV."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._house = desk.house

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/oversight", self.show, methods=["GET"]),
            Route("/oversight/figures.csv", self.figures, methods=["GET"]),
        )

    async def show(self, request: Request) -> Response:
        """Show the figures of what the address asks for."""
        visitor, wanted, protocols, sites = await self._wanted(request)
        overseen = None
        if wanted.asked is not None:
            overseen = await oversee(self._house, visitor.principal, wanted.asked)
        filters = filters_of(wanted, protocols, sites)
        page = oversight_page(overseen, filters, wanted.query, self._here(sites))
        return self._desk.page(
            "oversight",
            visitor,
            422 if wanted.mistakes else 200,
            page=page,
            mistakes=wanted.mistakes,
            wrong=beside(wanted.mistakes),
        )

    async def figures(self, request: Request) -> Response:
        """Return one figure's table as CSV."""
        visitor, wanted, _protocols, sites = await self._wanted(request)
        name = request.query_params.get("table", "")
        if wanted.asked is None or name not in NAMES:
            raise NotFoundError("no such table of figures")
        overseen = await oversee(self._house, visitor.principal, wanted.asked)
        table = table_named(name, overseen, self._here(sites))
        file = f"oversight-{name}-{wanted.asked.since}-{wanted.asked.until}.csv"
        headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="{file}"'}
        return Response(csv_of(table), media_type="text/csv; charset=utf-8", headers=headers)

    def _here(self, sites: Mapping[str, str]) -> Here:
        """Return where and when it is read, by whom only these sites are known."""
        return Here(self._house.clock.now(), sites, self._house.settings.zone)

    async def _wanted(self, request: Request) -> tuple[Visitor, Wanted, Mapping[str, str], Mapping[str, str]]:
        visitor = await self._desk.door.visitor(request)
        protocols, sites = await choices(self._house, visitor.principal)
        wanted = wanted_in(request.query_params, newest(self._house), protocols)
        return visitor, wanted, protocols, sites
