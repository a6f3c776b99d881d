"""Somebody's own account: the passkeys they sign with.

A passkey is added in two steps: the password is proven and the browser is asked for a passkey, then its answer is taken.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import ConflictError, RefusedError, UnauthenticatedError
from arbiter.workflow import passkeys
from clinician_ui.desk import Desk, beside, see
from clinician_ui.fields import Fields, only_value
from clinician_ui.forms import Mistake, check_new_passkey, check_passkey, check_removal
from clinician_ui.presenters.account import account_page
from clinician_ui.rendering import NO_STORE
from clinician_ui.session import Visitor
from clinician_ui.texts import _, noted

ACCOUNT = "/account"
_WRONG = noted("The password is wrong, or your account is locked for now")
_UNFIT = noted("Give the passkey a name of up to 60 characters")
_NOT_MADE = noted("The passkey could not be added. Try again")
_KNOWN = noted("This passkey is registered already")
_TOO_MANY = noted("You have ten passkeys already. Remove one first")


def asked(options: str) -> Response:
    """Return what a script hands to the browser's passkeys."""
    return JSONResponse({"options": json.loads(options)}, headers=dict(NO_STORE))


def not_asked(message: str) -> Response:
    """Return the sentence that a script shows instead."""
    return JSONResponse({"message": message}, 422, headers=dict(NO_STORE))


class AccountPages:
    """`/account` and the forms on it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._house = desk.house

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        forms = ("passkeys", "passkeys/ask", "passkeys/remove")
        return (
            Route(ACCOUNT, self.show, methods=["GET"]),
            Route(f"{ACCOUNT}/passkeys/ask", self.ask, methods=["POST"]),
            Route(f"{ACCOUNT}/passkeys", self.add, methods=["POST"]),
            Route(f"{ACCOUNT}/passkeys/remove", self.remove, methods=["POST"]),
            *(Route(f"{ACCOUNT}/{form}", self._back, methods=["GET"]) for form in forms),
        )

    async def show(self, request: Request) -> Response:
        """Show one's own account."""
        return await self._page(await self._desk.door.visitor(request))

    async def ask(self, request: Request) -> Response:
        """Ask the browser for a passkey, once the password has proven who wants one."""
        visitor, fields = await self._desk.form(request)
        checked = check_passkey(fields)
        if (form := checked.values) is None:
            return not_asked(checked.mistakes[0].message)
        principal = visitor.principal
        try:
            await self._desk.door.prove_again(principal, principal.login or "", form.password)
            return asked(await passkeys.ask_to_add(self._house, principal, form.name))
        except UnauthenticatedError:
            return not_asked(_(_WRONG))
        except passkeys.NoPlaceError:
            return not_asked(_(_NOT_MADE))
        except RefusedError as error:
            too_many = any(problem.code == "too-many" for problem in error.problems)
            return not_asked(_(_TOO_MANY if too_many else _UNFIT))

    async def add(self, request: Request) -> Response:
        """Take the passkey that the browser has made."""
        visitor, fields = await self._desk.form(request)
        checked = check_new_passkey(fields)
        if (form := checked.values) is None:
            return await self._page(visitor, fields, checked.mistakes)
        try:
            await passkeys.finish_adding(self._house, visitor.principal, form.name, form.passkey)
        except ConflictError:
            return await self._page(visitor, fields, (Mistake("name", _(_KNOWN)),))
        except (RefusedError, passkeys.NoPlaceError):
            return await self._page(visitor, fields, (Mistake("name", _(_NOT_MADE)),))
        return see(ACCOUNT)

    async def remove(self, request: Request) -> Response:
        """Take the right to sign from one of one's own passkeys."""
        visitor, fields = await self._desk.form(request)
        checked = check_removal(fields)
        if (form := checked.values) is None:
            return await self._page(visitor, fields, checked.mistakes)
        await passkeys.remove(self._house, visitor.principal, form.passkey)
        return see(ACCOUNT)

    async def _back(self, request: Request) -> Response:
        await self._desk.door.visitor(request)
        return see(ACCOUNT)

    async def _page(
        self, visitor: Visitor, fields: Fields | None = None, mistakes: tuple[Mistake, ...] = ()
    ) -> Response:
        house = self._house
        page = account_page(
            visitor.principal,
            await passkeys.list_passkeys(house, visitor.principal),
            passkeys.why_not(house.settings),
            await self._desk.here(),
        )
        typed = "" if fields is None else (only_value(fields, "name") or "")
        return self._desk.page(
            "account",
            visitor,
            422 if mistakes else 200,
            page=page,
            typed=typed[:200],
            mistakes=mistakes,
            errors=beside(mistakes),
        )
