"""One case on its way through a reviewer's hands: opinion, panel, signature.

Which page a case shows depends on its phase alone, and the phase on what the workflow has recorded: no address and no
form leads past a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from arbiter.errors import ConflictError, IllegalMoveError
from arbiter.lifecycle.states import WITH_HUMANS, Phase
from arbiter.model import CaseId
from arbiter.workflow import passkeys, review, work_list
from arbiter.workflow.blinding import BlindCase
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import Passed
from arbiter.workflow.taking import arbitrates
from clinician_ui.desk import Desk, beside, case_in, see
from clinician_ui.drafts import kept_draft
from clinician_ui.forms import Draft, Mistake, check_opinion, draft_of
from clinician_ui.presenters.case import case_page
from clinician_ui.presenters.handling import HandlingPart, Typed, handling_part
from clinician_ui.presenters.handover import note_words
from clinician_ui.presenters.panel import panel_page
from clinician_ui.presenters.passed import passed_page
from clinician_ui.presenters.readers import readers_part
from clinician_ui.presenters.signing import signing_part
from clinician_ui.presenters.work import work_row
from clinician_ui.session import Visitor
from clinician_ui.texts import _, noted

_UNCHANGED = "opinion=unchanged"
"""Said in the address to which another opinion leads that came when one was locked already."""


_NEEDS_REASON = noted("Give a reason: your decision is not the opinion you gave before")


def needs_reason() -> tuple[Mistake, ...]:
    """Return what is said of a decision that is not the opinion given before, and has no reason."""
    return (Mistake("reason", _(_NEEDS_REASON)),)


def leading_back(desk: Desk, *forms: str) -> tuple[BaseRoute, ...]:
    """Return routes that lead from forms' addresses to the case as it stands.

    Where a form was shown again with its mistakes, a reload or a step back asks for its address.
    """

    async def back(request: Request) -> Response:
        await desk.door.visitor(request)
        return see(f"/cases/{case_in(request)}")

    return tuple(Route(f"/cases/{{case}}/{form}", back, methods=["GET"]) for form in forms)


class CasePages:
    """`/cases/{case}` and what is done there."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._house = desk.house

    def routes(self) -> Sequence[BaseRoute]:
        """Return this part's routes."""
        return (
            Route("/cases/{case}", self.show, methods=["GET"]),
            Route("/cases/{case}/read", self.read, methods=["GET"]),
            Route("/cases/{case}/opinion", self.commit, methods=["POST"]),
            Route("/cases/{case}/reveal", self.reveal, methods=["POST"]),
            *leading_back(self._desk, "opinion", "reveal"),
        )

    # --- looking -------------------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        """Show a case as its phase allows."""
        visitor = await self._desk.door.visitor(request)
        case = case_in(request)
        item = await self.item(visitor, case)
        unchanged = request.url.query == _UNCHANGED
        if item is not None and item.mine:
            draft = await kept_draft(self._desk, visitor, case, item.phase)
            return await self.show_mine(visitor, case, item.phase, draft, (), unchanged=unchanged)
        if item is not None and item.phase is Phase.ESCALATED and item.takeable:
            return self._desk.page("case_waiting", visitor, row=work_row(item, await self._desk.here()))
        if item is None and (answer := await self._after(visitor, case)) is not None:
            return answer
        passed = await review.passed_on(self._house, visitor.principal, case)
        if passed is None:
            raise ConflictError(
                f"case {case} is held by somebody else, or for somebody else, or not with clinicians"
            )
        return await self._passed(visitor, case, passed, unchanged=unchanged)

    async def read(self, request: Request) -> Response:
        """Say what becomes of an opinion that was given for an audit, and nothing of the decision it is compared with."""
        visitor = await self._desk.door.visitor(request)
        case = case_in(request)
        if not await review.has_read(self._house, visitor.principal, case):
            raise IllegalMoveError(f"case {case} was not read by {visitor.principal.id}")
        row = work_row(
            await work_list.standing(self._house, visitor.principal, case), await self._desk.here()
        )
        return self._desk.page("case_read", visitor, row=row, unchanged=request.url.query == _UNCHANGED)

    # --- doing ---------------------------------------------------------------------------------------------------

    async def commit(self, request: Request) -> Response:
        """Lock the reviewer's opinion; sent again, it leads to the opinion that is locked already."""
        visitor, fields = await self._desk.form(request)
        case = case_in(request)
        checked = check_opinion(fields)
        if (form := checked.values) is None:
            try:
                return await self._blind(visitor, case, draft_of(fields), checked.mistakes)
            except ConflictError:
                return await self._locked_already(visitor, case, None)
        own = OwnOpinion(form.option, form.confidence, form.rests_on, form.note)
        try:
            read = await review.commit_opinion(self._house, visitor.principal, case, own)
        except ConflictError:
            return await self._locked_already(visitor, case, own)
        if form.then and not read:
            # Out of this reviewer's hands now, with a second reader: the page says so.
            with suppress(ConflictError):
                await review.reveal(self._house, visitor.principal, case)
        return see(f"/cases/{case}/read" if read else f"/cases/{case}")

    async def reveal(self, request: Request) -> Response:
        """Show the panel from now on."""
        visitor, _fields = await self._desk.form(request)
        case = case_in(request)
        await review.reveal(self._house, visitor.principal, case)
        return see(f"/cases/{case}")

    # --- pages ---------------------------------------------------------------------------------------------------

    async def item(self, visitor: Visitor, case: CaseId) -> work_list.WorkItem | None:
        """Return where the case stands with the clinicians, or None when it is not with them."""
        item = await work_list.standing(self._house, visitor.principal, case)
        return item if item.phase in WITH_HUMANS else None

    async def _after(self, visitor: Visitor, case: CaseId) -> Response | None:
        """Lead whoever has signed a case, or has read it for an audit, to what came of that; None for anybody else."""
        try:
            await review.signed_case(self._house, visitor.principal, case)
        except IllegalMoveError:
            read = await review.has_read(self._house, visitor.principal, case)
            return see(f"/cases/{case}/read") if read else None
        return see(f"/cases/{case}/done")

    async def _passed(self, visitor: Visitor, case: CaseId, passed: Passed, *, unchanged: bool) -> Response:
        """Say what becomes of a case that is out of this reviewer's hands."""
        row = work_row(
            await work_list.standing(self._house, visitor.principal, case), await self._desk.here()
        )
        said = passed_page(passed)
        return self._desk.page("case_passed", visitor, row=row, passed=said, unchanged=unchanged)

    async def _locked_already(self, visitor: Visitor, case: CaseId, own: OwnOpinion | None) -> Response:
        """Lead to an opinion that was locked before this one came; raise IllegalMoveError where there is none."""
        item = await self.item(visitor, case)
        path = f"/cases/{case}"
        if item is None or not item.mine or item.phase not in {Phase.OPINION_COMMITTED, Phase.REVEALED}:
            if await review.has_read(self._house, visitor.principal, case):
                path = f"/cases/{case}/read"
            elif await review.passed_on(self._house, visitor.principal, case) is not Passed.READ:
                raise IllegalMoveError(f"case {case} is not this reviewer's to move so")
        same = own is not None and await review.is_committed(self._house, visitor.principal, case, own)
        return see(path if same else f"{path}?{_UNCHANGED}")

    async def show_mine(
        self,
        visitor: Visitor,
        case: CaseId,
        phase: Phase,
        draft: Draft,
        mistakes: tuple[Mistake, ...],
        *,
        unchanged: bool = False,
        came_back: Typed | None = None,
    ) -> Response:
        """Show a case that this visitor holds, as its phase allows; `came_back` is a form beside it to be put right."""
        match phase:
            case Phase.CLAIMED:
                return await self._blind(visitor, case, draft, mistakes, came_back)
            case Phase.OPINION_COMMITTED:
                blind = await review.open_case(self._house, visitor.principal, case)
                here = await self._desk.here()
                handling = self._handling(visitor, blind, came_back)
                return self._desk.page(
                    "case_locked",
                    visitor,
                    422 if handling.mistakes else 200,
                    page=case_page(blind, here),
                    unchanged=unchanged,
                    handling=handling,
                    mistakes=handling.mistakes,
                )
            case Phase.REVEALED:
                return await self.revealed(
                    visitor, case, draft, mistakes, unchanged=unchanged, came_back=came_back
                )
            case _:
                raise ConflictError(f"case {case} is {phase}")

    async def _blind(
        self,
        visitor: Visitor,
        case: CaseId,
        draft: Draft,
        mistakes: tuple[Mistake, ...],
        came_back: Typed | None = None,
    ) -> Response:
        blind = await review.open_case(self._house, visitor.principal, case)
        if blind.view.phase is not Phase.CLAIMED:
            return see(f"/cases/{case}")
        here = await self._desk.here()
        handling = self._handling(visitor, blind, came_back)
        named = (*mistakes, *handling.mistakes)
        return self._desk.page(
            "case_blind",
            visitor,
            422 if named else 200,
            page=case_page(blind, here),
            draft=draft,
            mistakes=named,
            errors=beside(mistakes),
            handling=handling,
        )

    def _handling(
        self,
        visitor: Visitor,
        blind: BlindCase,
        came_back: Typed | None = None,
        *,
        revealed: bool = False,
    ) -> HandlingPart:
        """Return the forms beside a case that this visitor holds."""
        return handling_part(
            review.askable_facts(self._house, blind.view),
            confers=revealed and arbitrates(visitor.principal),
            came_back=came_back,
        )

    async def revealed(
        self,
        visitor: Visitor,
        case: CaseId,
        draft: Draft,
        mistakes: tuple[Mistake, ...],
        *,
        unchanged: bool = False,
        came_back: Typed | None = None,
    ) -> Response:
        """Show the panel that is shown already, with the form that signs; raises ConflictError where it is not."""
        item = await self.item(visitor, case)
        # A form must not reveal: only a case that is revealed already is read here.
        if item is None or not item.mine or item.phase is not Phase.REVEALED:
            raise ConflictError(f"the panel of case {case} is not shown to this reviewer")
        revealed = await review.reveal(self._house, visitor.principal, case)
        if mistakes:
            mistakes = _with_missing_reason(mistakes, draft, revealed.own)
        here = await self._desk.here()
        page = case_page(revealed.blind, here)
        handling = self._handling(visitor, revealed.blind, came_back, revealed=True)
        named = (*mistakes, *handling.mistakes)
        return self._desk.page(
            "case_revealed",
            visitor,
            422 if named else 200,
            page=page,
            panel=panel_page(revealed, page),
            signing=signing_part(
                visitor.principal.name,
                revealed.shown,
                here,
                passkey=await passkeys.usable(self._house, visitor.principal),
            ),
            notes=note_words(revealed.notes, here),
            unchanged=unchanged,
            draft=draft,
            mistakes=named,
            errors=beside(mistakes),
            handling=handling,
            readers=readers_part(revealed, page),
        )


def _with_missing_reason(
    mistakes: tuple[Mistake, ...], draft: Draft, own: OwnOpinion | None
) -> tuple[Mistake, ...]:
    """Name a missing reason together with the other mistakes, not only once those are put right."""
    changed = bool(draft.option) and (own is None or own.option != draft.option)
    named = any(mistake.field == "reason" for mistake in mistakes)
    if named or not changed or draft.reason.strip():
        return mistakes
    return (*needs_reason(), *mistakes)
