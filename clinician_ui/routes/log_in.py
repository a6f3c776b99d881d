"""Log in and log out."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import UnauthenticatedError
from arbiter.identity.principals import Principal
from clinician_ui.desk import Desk, beside, see
from clinician_ui.fields import Fields, only_value, read_fields
from clinician_ui.forms import Mistake, check_log_in
from clinician_ui.navigation import HOME
from clinician_ui.session import home_of, safe_next
from clinician_ui.texts import _, noted

_WRONG = noted("The login or the password is wrong, or the account is locked for now")


class LogInPages:
    """`/login` and `/logout`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/login", self.show, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
        )

    async def show(self, request: Request) -> Response:
        """Show the log-in form; whoever is logged in goes on."""
        following = safe_next(request.query_params.get("next"))
        try:
            visitor = await self._desk.door.visitor(request)
        except UnauthenticatedError:
            return self._form(request, login="", following=following, mistakes=())
        return see(_onwards(following, visitor.principal))

    async def log_in(self, request: Request) -> Response:
        """Open a session, or show the form again with one message for every reason."""
        fields = await read_fields(request)
        self._desk.door.check_log_in_form(request, fields)
        checked = check_log_in(fields)
        if checked.values is None:
            return self._again(request, fields, checked.mistakes)
        try:
            principal, token = await self._desk.door.admit(checked.values.login, checked.values.password)
        except UnauthenticatedError:
            return self._again(request, fields, (Mistake("login", _(_WRONG)),))
        response = see(_onwards(safe_next(checked.values.next), principal))
        self._desk.door.give_session(response, token)
        return response

    async def log_out(self, request: Request) -> Response:
        """End the session; without one there is nothing to end."""
        try:
            visitor, _ = await self._desk.form(request)
        except UnauthenticatedError:
            return see("/login")
        await self._desk.door.dismiss(visitor)
        response = see("/login")
        self._desk.door.take_session(response)
        return response

    def _again(self, request: Request, fields: Fields, mistakes: tuple[Mistake, ...]) -> Response:
        following = safe_next(only_value(fields, "next"))
        login = (only_value(fields, "login") or "")[:256]
        return self._form(request, login=login, following=following, mistakes=mistakes)

    def _form(
        self, request: Request, *, login: str, following: str, mistakes: tuple[Mistake, ...]
    ) -> Response:
        token = self._desk.door.log_in_token(request)
        response = self._desk.page(
            "login",
            None,
            422 if mistakes else 200,
            csrf_token=token,
            login=login,
            next=following,
            ended=self._desk.door.cookies.session in request.cookies,
            mistakes=mistakes,
            errors=beside(mistakes),
        )
        self._desk.door.give_log_in_token(response, token)
        return response


def _onwards(following: str, principal: Principal) -> str:
    """Return where to go: the page asked for, or where this person's work begins."""
    return home_of(principal) if following == HOME else following
