"""Breaking the glass: a reviewer with emergency access is let to one case of another site, for a reason, on the record.

What opens is the case's ordinary page: the reviewer claims it, judges blind and signs as at home. No list shows foreign
cases, before or afterwards: whoever breaks the glass has been given the case's id by somebody.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import ConflictError, NotFoundError, StaleStateError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.states import WITH_HUMANS
from arbiter.workflow import glass
from clinician_ui.desk import Desk, beside, case_id, see
from clinician_ui.fields import Fields, only_value
from clinician_ui.forms import GlassForm, Mistake, check_glass
from clinician_ui.presenters.times import duration_words
from clinician_ui.session import Visitor
from clinician_ui.texts import _, noted

_UNKNOWN = noted("There is no case with this id. Check it with whoever gave it to you")
_AT_HOME = noted(
    "This case is at one of your own sites: there is nothing to break. Look for it on the work list"
)
_MOVED = noted("The case was being moved at this very moment. Nothing was opened: send the form again")


class GlassPages:
    """`/glass`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/glass", self.show, methods=["GET"]),
            Route("/glass", self.break_glass, methods=["POST"]),
        )

    async def show(self, request: Request) -> Response:
        """Show the form to those who may use it."""
        visitor = await self._desk.door.visitor(request)
        _require(visitor.principal)
        return self._form(visitor, {}, ())

    async def break_glass(self, request: Request) -> Response:
        """Break the glass and lead to the case, or show the form again and say why not."""
        visitor, fields = await self._desk.form(request)
        _require(visitor.principal)
        checked = check_glass(fields)
        if (form := checked.values) is None:
            return self._form(visitor, fields, checked.mistakes)
        try:
            return await self._broken(visitor, form)
        except NotFoundError:
            return self._form(visitor, fields, (Mistake("case", _(_UNKNOWN)),))
        except StaleStateError:
            return self._form(visitor, fields, (Mistake("case", _(_MOVED)),))
        except ConflictError:
            return self._form(visitor, fields, (Mistake("case", _(_AT_HOME)),))

    async def _broken(self, visitor: Visitor, form: GlassForm) -> Response:
        case = case_id(form.case.strip())
        view, _until = await glass.break_glass(self._desk.house, visitor.principal, case, form.reason)
        if view.phase in WITH_HUMANS:
            return see(f"/cases/{case}")
        return self._desk.page(
            "error",
            visitor,
            409,
            heading=_("The glass is broken, and nothing waits for a reviewer in this case"),
            sentences=(
                _("That you opened it is in the log, with your reason."),
                _("The case is not with the clinicians: it is before the panel, lacks facts, or has ended."),
                _("A decision is told to the hospital system that asked for it."),
                _("If it comes to the clinicians within the hour, its address leads to it."),
            ),
        )

    def _form(self, visitor: Visitor, fields: Fields, mistakes: tuple[Mistake, ...]) -> Response:
        return self._desk.page(
            "glass",
            visitor,
            422 if mistakes else 200,
            case=(only_value(fields, "case") or "")[:200],
            reason=(only_value(fields, "reason") or "")[:4000],
            open_for=duration_words(glass.OPEN_FOR),
            mistakes=mistakes,
            errors=beside(mistakes),
        )


def may_break_glass(principal: Principal) -> bool:
    """Return whether the page is for this principal: the right to break, and a reviewer's to judge what it opens."""
    return principal.permissions.issuperset({Permission.CASES_BREAK_GLASS, Permission.REVIEW_WORK})


def _require(principal: Principal) -> None:
    principal.require(Permission.REVIEW_WORK)
    principal.require(Permission.CASES_BREAK_GLASS)
