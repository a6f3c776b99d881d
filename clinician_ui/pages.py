"""The reviewer's pages as one application, mounted beside the REST door.

Every change is a POST with the session's token and ends in a redirect; a form sent twice changes nothing twice. Errors of
the house become pages in the same style. What a page shows is decided by the workflow: these routes only ask.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arbiter.errors import (
    ArbiterError,
    ConflictError,
    ErasedError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    UnauthenticatedError,
)
from arbiter.settings import Mode
from arbiter.workflow.downtime import OUTAGES
from arbiter.workflow.house import House
from clinician_ui.assets import Assets, require_built
from clinician_ui.desk import Desk, see
from clinician_ui.downtime import DowntimeFile
from clinician_ui.navigation import HOME
from clinician_ui.rendering import SECURITY_HEADERS, Renderer
from clinician_ui.routes.account import AccountPages
from clinician_ui.routes.audit import AuditPages
from clinician_ui.routes.case import CasePages
from clinician_ui.routes.drafts import DraftPages
from clinician_ui.routes.duty import DutyPages
from clinician_ui.routes.exports import ExportPages
from clinician_ui.routes.fleet import FleetPages
from clinician_ui.routes.glass import GlassPages
from clinician_ui.routes.handling import HandlingPages
from clinician_ui.routes.handover import HandoverPages
from clinician_ui.routes.keys import KeysPages
from clinician_ui.routes.live import LivePages
from clinician_ui.routes.log_in import LogInPages
from clinician_ui.routes.mine import MinePages
from clinician_ui.routes.oversight import OversightPages
from clinician_ui.routes.signing import SigningPages
from clinician_ui.routes.teaching import TeachingPages, is_teaching
from clinician_ui.routes.watch import WatchPages
from clinician_ui.routes.work import WorkPages
from clinician_ui.session import Doorkeeper, log_in_address
from clinician_ui.texts import Language, Speaking, language_named

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]

_IMMUTABLE = "public, max-age=31536000, immutable"


def create_pages(
    house: House, downtime: DowntimeFile | None = None, language: Language | None = None
) -> ASGIApp:
    """Return the pages as an ASGI application to be mounted at `/`; `downtime` is the list that somebody keeps writing.

    They speak the language that the settings name unless another is given.

    Raises:
        ConfigurationError: when the browser assets are not built, or the language has no catalogue.
    """
    spoken = language or language_named(house.settings.language)
    assets = require_built()
    renderer = Renderer(
        assets,
        demonstration=house.settings.mode is Mode.DEMONSTRATION,
        planting=house.settings.planted_cases is not None,
    )
    desk = Desk(house, Doorkeeper(house), renderer, downtime or DowntimeFile(house))
    routes = page_routes(desk)
    taught = house.settings.teaching
    desk.navigation.lead_to(route for route in routes if taught or not is_teaching(route))
    application = Starlette(
        routes=[*routes, Mount("/static", _static(assets), name="static")],
        exception_handlers=_error_pages(desk),
    )
    # A redirect to the address with another slash would name the host that the request named.
    application.router.redirect_slashes = False
    return _SecurityHeaders(Speaking(_WhileRefused(application, desk), spoken))


def page_routes(desk: Desk) -> Sequence[BaseRoute]:
    """Return every route that answers with a page."""
    cases = CasePages(desk)
    parts = (
        LogInPages(desk),
        WorkPages(desk),
        LivePages(desk),
        GlassPages(desk),
        AccountPages(desk),
        cases,
        SigningPages(desk, cases),
        HandlingPages(desk, cases),
        DraftPages(desk),
        # Before the calls: their addresses end in any case.
        HandoverPages(desk),
        DutyPages(desk),
        MinePages(desk),
        TeachingPages(desk),
        AuditPages(desk),
        ExportPages(desk),
        FleetPages(desk),
        WatchPages(desk),
        KeysPages(desk),
        OversightPages(desk),
    )
    return (Route("/", _home(desk), methods=["GET"]), *(route for part in parts for route in part.routes()))


def _home(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def home(request: Request) -> Response:
        try:
            visitor = await desk.door.visitor(request)
        except UnauthenticatedError:
            return see(HOME)
        return see(visitor.home)

    return home


def _static(assets: Assets) -> ASGIApp:
    return _SetHeaders(StaticFiles(directory=assets.folder), {"Cache-Control": _IMMUTABLE})


class _SetHeaders:
    """Sets headers on every successful response of an application."""

    def __init__(self, application: ASGIApp, headers: Mapping[str, str]) -> None:
        self._application = application
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and self._applies(message["status"]):
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self._application(scope, receive, sending)

    def _applies(self, status: int) -> bool:
        return status < 400


class _SecurityHeaders(_SetHeaders):
    """Sets the security headers on every response, error pages and redirects included."""

    def __init__(self, application: ASGIApp) -> None:
        super().__init__(application, SECURITY_HEADERS)

    def _applies(self, status: int) -> bool:
        return status > 0


class _WhileRefused:
    """Answers every page with that for a downtime while the log is refused: what was signed would not be released."""

    def __init__(self, application: ASGIApp, desk: Desk) -> None:
        self._application = application
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._desk.house.guard.refusal is None or scope["path"].startswith("/static/"):
            await self._application(scope, receive, send)
            return
        await self._desk.downtime_page(Request(scope, receive))(scope, receive, send)


# --- errors ------------------------------------------------------------------------------------------------------


def _error_pages(desk: Desk) -> Mapping[type[Exception], Handler]:
    async def unauthenticated(request: Request, _error: Exception) -> Response:
        return _to_log_in(request)

    async def house_error(request: Request, error: Exception) -> Response:
        status = _status_of(error)
        if status == 500:
            log.error("%s %s: %s", request.method, type(error).__name__, error)
        return await desk.error_page(request, status)

    async def outage(request: Request, error: Exception) -> Response:
        # Never the error's text, which may quote a row.
        log.error("%s while the database does not answer: %s", request.method, type(error).__name__)
        return desk.downtime_page(request)

    async def http_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return await desk.error_page(request, status)

    return {
        UnauthenticatedError: unauthenticated,
        ArbiterError: house_error,
        **dict.fromkeys(OUTAGES, outage),
        HTTPException: http_error,
        Exception: http_error,
    }


def _status_of(error: Exception) -> int:
    match error:
        case NotFoundError():
            return 404
        case ForbiddenError():
            return 403
        case ErasedError():
            return 410
        case ConflictError():
            return 409
        case RefusedError():
            return 400
        case _:
            return 500


def _to_log_in(request: Request) -> Response:
    """Send somebody without a session to the log-in page and back afterwards; a refreshing list takes its page along."""
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": "/login", "Cache-Control": "no-store"})
    path = request.url.path if request.method == "GET" else _page_of(request.url.path)
    return RedirectResponse(log_in_address(path), 303, headers={"Cache-Control": "no-store"})


def _page_of(form: str) -> str:
    """Return the page that a form stands on: what was typed into a case's form is asked for there again."""
    case = re.fullmatch(r"(/cases/[^/]+)/[a-z/-]+", form, re.ASCII)
    if case is not None:
        return case[1]
    return "/account" if form.startswith("/account/") else "/"
