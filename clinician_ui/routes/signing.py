"""The signature that ends a case, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import ConflictError, RefusedError, ShownChangedError, UnauthenticatedError
from arbiter.model import CaseId
from arbiter.workflow import passkeys, review, work_list
from arbiter.workflow.oversight.telling import planted_told
from clinician_ui.desk import Desk, case_in, see
from clinician_ui.forms import (
    SHOWN_CHANGED,
    Mistake,
    SignForm,
    check_decision,
    check_signature,
    draft_of,
)
from clinician_ui.presenters.done import done_page
from clinician_ui.routes.account import asked, not_asked
from clinician_ui.routes.case import CasePages, leading_back, needs_reason
from clinician_ui.session import Visitor
from clinician_ui.texts import _, noted

SEAL_LOOK_SECONDS = {"": 1, "2": 2, "4": 4, "8": 8, "16": 16, "32": 32}
"""For how long a page that says that a decision is being sealed is shown before it is asked for again, by what its address says: a
signature is mostly sealed within a tenth of a second, and a page that reloads each second is nothing to listen to for long."""

WRONG = noted("Login or password is wrong, or your account is locked for now")
_WRONG_PASSKEY = noted(
    "The passkey could not be checked, and nothing was signed. Try again, or use your password"
)
_NO_PASSKEY = noted("You have no passkey that works here. Use your password")
_SIGNED_BEFORE = "signed=before"
"""Said in the address to which a signature leads that came when the case was signed already."""
_OUT_OF_TURN = noted("This case is not yours to sign any more. Reload the page to see how it stands")


class SigningPages:
    """`/cases/{case}/sign` and `/cases/{case}/done`."""

    def __init__(self, desk: Desk, pages: CasePages) -> None:
        self._desk = desk
        self._house = desk.house
        self._pages = pages

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/cases/{case}/sign", self.sign, methods=["POST"]),
            Route("/cases/{case}/sign/passkey", self.ask_passkey, methods=["POST"]),
            Route("/cases/{case}/done", self.done, methods=["GET"]),
            *leading_back(self._desk, "sign", "sign/passkey"),
        )

    async def sign(self, request: Request) -> Response:
        """Decide and sign, after login and password, or a passkey, have proven once more who signs."""
        visitor, fields = await self._desk.form(request)
        case = case_in(request)
        checked = check_signature(fields)
        if (form := checked.values) is None:
            return await self._pages.revealed(visitor, case, draft_of(fields), checked.mistakes)
        try:
            decided = await self._prove_and_sign(visitor, case, form)
        except UnauthenticatedError:
            wrong = Mistake("login", _(_WRONG_PASSKEY if form.passkey else WRONG))
            return await self._pages.revealed(visitor, case, draft_of(fields), (wrong,))
        except RefusedError as error:
            if any(problem.pointer != "/reason" for problem in error.problems):
                raise
            return await self._pages.revealed(visitor, case, draft_of(fields), needs_reason())
        except ShownChangedError:
            changed = Mistake("shown", _(SHOWN_CHANGED))
            return await self._pages.revealed(visitor, case, draft_of(fields), (changed,))
        except ConflictError:
            # Sent twice: whoever has signed is led to what was signed, and told that it is not what they sent now.
            await review.signed_case(self._house, visitor.principal, case)
            return see(f"/cases/{case}/done?{_SIGNED_BEFORE}")
        return see(f"/cases/{case}/done" if decided else f"/cases/{case}")

    async def _prove_and_sign(self, visitor: Visitor, case: CaseId, form: SignForm) -> bool:
        principal, asserted = visitor.principal, None
        if form.passkey:
            asserted = await passkeys.take_assertion(self._house, principal, form.passkey)
        else:
            await self._desk.door.prove_again(principal, form.login, form.password)
        return await review.sign(
            self._house, principal, case, form.option, form.reason, page=form.shown, asserted=asserted
        )

    async def ask_passkey(self, request: Request) -> Response:
        """Ask the browser for a passkey's signature over this very decision; nothing is signed yet."""
        visitor, fields = await self._desk.form(request)
        case = case_in(request)
        checked = check_decision(fields)
        if (form := checked.values) is None:
            return not_asked(checked.mistakes[0].message)
        try:
            options = await review.ask_passkey(
                self._house, visitor.principal, case, form.option, form.reason, form.shown
            )
        except (UnauthenticatedError, passkeys.NoPlaceError):
            return not_asked(_(_NO_PASSKEY))
        except RefusedError:
            return not_asked(needs_reason()[0].message)
        except ShownChangedError:
            return not_asked(_(SHOWN_CHANGED))
        except ConflictError:
            return not_asked(_(_OUT_OF_TURN))
        return asked(options)

    async def done(self, request: Request) -> Response:
        """Show the signed decision once the log is sealed over it; until then say so, and have the browser ask again."""
        visitor = await self._desk.door.visitor(request)
        case = case_in(request)
        decision = await review.signed_case(self._house, visitor.principal, case)
        done = None if decision is None else done_page(decision, await self._desk.here())
        training = (await work_list.standing(self._house, visitor.principal, case)).training
        planted = await planted_told(self._house, visitor.principal, case)
        page = self._desk.page(
            "done",
            visitor,
            case=case,
            done=done,
            training=training or planted is not None,
            planted=planted,
            signed_before=_signed_before(request),
        )
        if done is None:
            page.headers["Refresh"] = _again(request, case)
        return page


def _again(request: Request, case: CaseId) -> str:
    """Return the header by which a browser, with scripts or without, asks for the page again: each time after twice as long."""
    seconds = SEAL_LOOK_SECONDS.get(request.query_params.get("again", ""), 1)
    said = f"&{_SIGNED_BEFORE}" if _signed_before(request) else ""
    return f"{seconds}; url=/cases/{case}/done?again={min(2 * seconds, 32)}{said}"


def _signed_before(request: Request) -> bool:
    return request.query_params.get("signed") == "before"
