"""What a client is told, for clients that ask by themselves: the same notices that webhooks carry, in one order."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from arbiter.api.documentation import replies
from arbiter.api.headers import check_query
from arbiter.api.replies import json_reply, notices_out
from arbiter.api.schemas.outgoing import NoticePageOut
from arbiter.api.security import house_of, requires
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.workflow.notices import notices_after

router = APIRouter(prefix="/v1/notices", tags=["notices"])

Reader = Annotated[Principal, requires(Permission.CASES_READ)]

_PARAMETERS = frozenset({"after", "limit"})


@router.get("", responses=replies({200: {"model": NoticePageOut}}, 400))
async def read_notices(
    request: Request,
    principal: Reader,
    after: Annotated[str, Query(pattern=r"^(0|[1-9][0-9]{0,17})$")] = "0",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Read what this client is told: of its own cases, and of changes to decisions that it got.

    `after` is a page's `next`, or absent to begin at the beginning. Nothing is skipped or told twice to whoever goes on
    from `next`; an empty page means that nothing is new.
    """
    check_query(request, _PARAMETERS)
    page = await notices_after(house_of(request), principal, int(after), limit)
    return json_reply(notices_out(page))
