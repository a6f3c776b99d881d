"""The application: routes, errors and the door around them. Whoever wires the house starts and stops it."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from arbiter import __version__
from arbiter.api import audit, case_proofs, cases, exports, health, notices, protocols, subjects
from arbiter.api.documentation import openapi_bytes
from arbiter.api.door import Door
from arbiter.api.fhir import discovery, operations
from arbiter.api.headers import content_digests
from arbiter.api.problems import on_arbiter_error, on_http_exception, on_parameter_error
from arbiter.api.replies import bytes_reply
from arbiter.api.security import PUBLIC, route_rules
from arbiter.errors import ArbiterError
from arbiter.workflow.house import House

DESCRIPTION = """Hands a decision that matters to a panel, a policy and, where needed, a person.

Decisions appear once a signed checkpoint covers them; every reading of a case's content is recorded.
Problems are RFC 9457 documents and never repeat a value that was sent.
"""


def create_app(house: House) -> FastAPI:
    """Return the REST door of a running house; more routes may be added before it first serves.

    Raises:
        ConfigurationError: when a route has no rule. Routes added later are checked when serving begins.
    """
    app = FastAPI(
        title="Arbiter",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=None,  # served below, under a rule like everything else
        docs_url=None,  # its page would fetch scripts from a network that is closed here
        redoc_url=None,
        redirect_slashes=False,
        # Its spans would carry addresses and its log records exception texts; ours surround both doors.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.house = house
    app.add_exception_handler(ArbiterError, on_arbiter_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_parameter_error)
    app.add_middleware(Door, owner=app)
    for router in (
        cases.router,
        case_proofs.router,
        notices.router,
        subjects.router,
        protocols.router,
        audit.router,
        exports.router,
        health.router,
        operations.router,
        discovery.router,
        _discovery(app),
    ):
        # Routes go in flat: an included router would match each of them twice for every request.
        app.router.routes.extend(router.routes)
    route_rules(app)
    return app


def _discovery(app: FastAPI) -> APIRouter:
    router = APIRouter(dependencies=[PUBLIC])
    documents: list[bytes] = []

    @router.get("/openapi.json", include_in_schema=False)
    async def read_openapi(request: Request) -> Response:
        """Read this interface's description (OpenAPI 3.1)."""
        if not documents:
            documents.append(openapi_bytes(app))
        headers = {"Cache-Control": "public, max-age=300", "ETag": content_digests(documents[0])["ETag"]}
        return bytes_reply(documents[0], "application/json", headers, request)

    return router
