"""What every route needs: the house, the door, the templates, and the pages that say what went wrong."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from arbiter.errors import ArbiterError, NotFoundError
from arbiter.model import CaseId
from arbiter.workflow.house import House
from clinician_ui.downtime import DowntimeFile
from clinician_ui.fields import Fields, read_fields
from clinician_ui.forms import LONGEST_TEXT, Mistake
from clinician_ui.navigation import Navigation
from clinician_ui.presenters.keys import keys_link
from clinician_ui.presenters.paper import full_time
from clinician_ui.presenters.times import Here
from clinician_ui.rendering import NO_STORE, Renderer
from clinician_ui.session import Doorkeeper, Visitor
from clinician_ui.texts import _, ngettext, noted
from clinician_ui.uploads import read_upload

log = logging.getLogger(__name__)

RETRY_SECONDS = 30

_CASE_ID = re.compile(r"c_[a-z2-7]{1,64}", re.ASCII)
"""What an address may name: anything else could be a patient's number, and is not repeated in a redirect."""

_ERRORS: dict[int, tuple[str, tuple[str, ...]]] = {
    400: (
        noted("This form could not be read"),
        (noted("Nothing was changed. Go back, reload the page, and send the form again."),),
    ),
    403: (
        noted("You may not do this"),
        (
            noted(
                "Nothing was changed. Either your account does not allow it, or the form was too old to be trusted."
            ),
            noted("Go back and reload the page. If it happens again, ask your administrator."),
        ),
    ),
    404: (
        noted("Page not found"),
        (noted("There is no such page, or no such case at your sites. Check that the address is complete."),),
    ),
    405: (
        noted("This page cannot be used that way"),
        (noted("Nothing was changed. Start again from the work list."),),
    ),
    409: (
        noted("Someone else holds this case, or it has moved on"),
        (
            noted("Nothing was changed."),
            noted(
                "A colleague may have claimed it, your time with it may have run out, or it may be closed."
            ),
            noted("The work list shows what waits now."),
        ),
    ),
    410: (
        noted("This case was erased"),
        (
            noted(
                "What it held cannot be read any more, by anybody. That it was here, and when it was erased, stands in the log."
            ),
        ),
    ),
    500: (
        noted("Something went wrong on our side"),
        (
            noted(
                "What you sent may or may not have been recorded. Look at the work list before you try again."
            ),
            noted("If it goes on, follow your local procedure and tell your administrator."),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts the routes share."""

    house: House
    door: Doorkeeper
    renderer: Renderer
    downtime: DowntimeFile
    navigation: Navigation = field(default_factory=Navigation)

    async def form(self, request: Request) -> tuple[Visitor, Fields]:
        """Return who sent this form and its fields, once both are proven.

        Raises:
            UnauthenticatedError: without a session; ForbiddenError: without its token; RefusedError: when unreadable.
        """
        visitor = await self.door.visitor(request)
        fields = await read_fields(request)
        self.door.check_form(request, visitor, fields)
        request.state.fields = fields
        return visitor, fields

    async def upload(self, request: Request) -> tuple[Visitor, Fields]:
        """Return as `form` does what may carry a file, whose content is then a field."""
        visitor = await self.door.visitor(request)
        fields = await read_upload(request)
        self.door.check_form(request, visitor, fields)
        return visitor, fields

    async def here(self) -> Here:
        """Return where and when a page is read."""
        sites = dict(await self.house.identities.sites())
        return Here(self.house.clock.now(), sites, self.house.settings.zone)

    def page(self, name: str, visitor: Visitor | None, status: int = 200, **values: Any) -> Response:
        """Return a page with its visitor, and the places that are theirs, in the header."""
        places = () if visitor is None else self.navigation.places(visitor.principal, visitor.at)
        keys = None if visitor is None else keys_link(places)
        return self.renderer.page(name, status, visitor=visitor, places=places, keys=keys, **values)

    def downtime_page(self, request: Request) -> Response:
        """Return the page for when the database does not answer.

        Nobody is proven to be logged in then, so it tells one number for all sites together and no case.
        """
        seen = self.downtime.last_seen
        here = Here(self.house.clock.now(), {}, self.house.settings.zone)
        page = self.page(
            "downtime",
            None,
            503,
            advice=self.house.settings.downtime_advice,
            sent=request.method == "POST",
            seen_at=None if seen is None else full_time(seen.at, here),
            waited=_cases(0 if seen is None else len(seen.cases)),
            zone=here.zone_name,
        )
        page.headers["Retry-After"] = str(RETRY_SECONDS)
        return page

    async def error_page(self, request: Request, status: int) -> Response:
        """Return the page of an error; the name in its header is best effort, for it is shown whatever fails."""
        if status not in _ERRORS:
            status = 500 if status >= 500 else 400
        try:
            visitor = await self.door.visitor(request)
        except ArbiterError:
            visitor = None
        except Exception as error:  # noqa: BLE001 - the error page must come even when the database does not
            log.warning("no session for an error page: %s", type(error).__name__)
            visitor = None
        heading, sentences = _ERRORS[status]
        return self.page(
            "error",
            visitor,
            status,
            heading=_(heading),
            sentences=tuple(map(_, sentences)),
            own_words=_own_words(request) if status == 409 and visitor is not None else (),
        )


def _own_words(request: Request) -> tuple[str, ...]:
    """Return what the visitor wrote into the form that is refused: its page is gone, and the words are nobody else's."""
    fields: Fields = getattr(request.state, "fields", {})
    said = (fields.get(name, ("",))[0].strip() for name in ("note", "reason"))
    return tuple(words[:LONGEST_TEXT] for words in said if words)


def _cases(number: int) -> str:
    if not number:
        return _("no case")
    return ngettext("{number} case", "{number} cases", number).format(number=number)


def case_in(request: Request) -> CaseId:
    """Return the case that an address names; raise NotFoundError when no case can have that id."""
    return case_id(request.path_params["case"])


def case_id(text: str) -> CaseId:
    """Return what somebody gave as a case's id; raise NotFoundError when no case can have that id."""
    if not _CASE_ID.fullmatch(text):
        raise NotFoundError("no case has such an id")
    return CaseId(text)


def see(path: str) -> Response:
    """Return the redirect that ends a POST."""
    return RedirectResponse(path, 303, headers=dict(NO_STORE))


def beside(mistakes: tuple[Mistake, ...]) -> dict[str, str]:
    """Return the mistakes by field, for the messages beside the fields."""
    return {mistake.field: mistake.message for mistake in mistakes}
