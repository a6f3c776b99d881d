"""Is this process alive, and may it be sent cases?"""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from arbiter.api.replies import json_reply
from arbiter.api.schemas.outgoing import CheckOut, HealthOut
from arbiter.api.security import PUBLIC, house_of
from arbiter.workflow import publishing

router = APIRouter(tags=["health"], dependencies=[PUBLIC])


@router.get("/healthz", responses={200: {"model": HealthOut}})
async def healthz() -> Response:
    """Say that the process answers; it says nothing about what it rests on."""
    return json_reply(HealthOut(ok=True))


@router.get("/readyz", responses={200: {"model": HealthOut}, 503: {"model": HealthOut}})
async def readyz(request: Request) -> Response:
    """Say whether everything that a case needs works; 503 and the failing checks otherwise."""
    readiness = await publishing.ready(house_of(request))
    checks = tuple(CheckOut(name=name, ok=ok, detail=detail) for name, ok, detail in readiness.checks)
    if readiness.ok:
        return json_reply(HealthOut(ok=True, checks=checks))
    failing = tuple(check for check in checks if not check.ok)
    return json_reply(
        HealthOut(ok=False, checks=failing), HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "5"}
    )
