"""`arbiter erase` and `arbiter hold`: make a case unreadable for good, or forbid that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_rows
from arbiter.cli.persons import PasswordsStdin, ask_passwords, check_reason, prove

if TYPE_CHECKING:
    from arbiter.model import CaseId
    from arbiter.workflow.erasure.clearing import ErasureStanding
    from arbiter.workflow.house import House

ERASE_EXAMPLES = examples(
    "arbiter erase c_4jnoc5hb37oz5irylzg747rv --as olga",
    'arbiter erase c_4jnoc5hb37oz5irylzg747rv --as olga --second piet --despite-retention "court order 12/26"',
    "arbiter erase --status",
)
HOLD_EXAMPLES = examples(
    'arbiter hold c_4jnoc5hb37oz5irylzg747rv --as olga --reason "claim 2026-114"',
    'arbiter hold c_4jnoc5hb37oz5irylzg747rv --as olga --lift --reason "claim settled"',
)

Login = Annotated[
    str | None, typer.Option("--as", help="Your login; the password is asked for.", show_default=False)
]
Case = Annotated[str | None, typer.Argument(help="The case's id.", show_default=False)]


def erase(
    case: Case = None,
    *,
    login: Login = None,
    second: Annotated[
        str | None,
        typer.Option("--second", help="The second person's login, for a case that must still be kept."),
    ] = None,
    despite_retention: Annotated[
        str | None,
        typer.Option(
            "--despite-retention",
            help="Why it is erased before its time. Kept for good, in the clear: nothing about the patient.",
        ),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Show how far erasures have come; changes nothing.")
    ] = False,
    password_stdin: PasswordsStdin = False,
    as_json: AsJson = False,
) -> None:
    """Destroy a case's key, so that nobody can read what it held any more; the log keeps that it was.

    Needs an account with the role records-officer. A case under way, on legal hold or still to be kept is refused.
    """
    if status:
        _show_status(case, as_json=as_json)
        return
    if case is None or login is None:
        raise UsageError("expected a case's id and --as LOGIN, or --status")
    if (second is None) != (despite_retention is None):
        raise UsageError("--despite-retention and --second go together")
    reason = None if despite_retention is None else check_reason(despite_retention)
    logins = [login] if second is None else [login, second]
    passwords = ask_passwords(logins, from_stdin=password_stdin)
    named = _case_id(case)

    async def work(house: House) -> tuple[str | None, tuple[ErasureStanding, ...]]:
        from arbiter.workflow.erasure.clearing import clear_keys, erasures_standing
        from arbiter.workflow.erasure.erasing import Order
        from arbiter.workflow.erasure.erasing import erase as erase_case

        by, *others = await prove(house, logins, passwords)
        await erase_case(house, Order(by, others[0] if others else None, reason), named)
        return await clear_keys(house), await erasures_standing(house, named)

    fault, (standing,) = in_house(work)
    out.print(f"{case} is erased: {standing.state}", markup=False)
    if fault is not None:
        out.print(
            f"its key still stands in the database's files: {fault}; `arbiter serve` tries again",
            markup=False,
        )
    elif standing.waits_for:
        out.print(f"complete waits for {standing.waits_for}", markup=False)


def hold(
    case: Annotated[str, typer.Argument(help="The case's id.", show_default=False)],
    *,
    login: Annotated[
        str, typer.Option("--as", help="Your login; the password is asked for.", show_default=False)
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; sealed with the case.", show_default=False)],
    lift: Annotated[bool, typer.Option("--lift", help="End the hold.")] = False,
    password_stdin: PasswordsStdin = False,
) -> None:
    """Put a legal hold on a case, so that nobody can erase it, or lift it; each is an entry of the case.

    Needs an account with the role records-officer.
    """
    words = check_reason(reason)
    passwords = ask_passwords([login], from_stdin=password_stdin)
    named = _case_id(case)

    async def work(house: House) -> None:
        from arbiter.workflow.erasure.erasing import hold as place
        from arbiter.workflow.erasure.erasing import lift_hold

        (by,) = await prove(house, [login], passwords)
        await (lift_hold if lift else place)(house, by, named, words)

    in_house(work)
    out.print(f"{case}: the hold is {'lifted' if lift else 'in force'}", markup=False)


def _show_status(case: str | None, *, as_json: bool) -> None:
    async def work(house: House) -> tuple[ErasureStanding, ...]:
        from arbiter.workflow.erasure.clearing import erasures_standing

        return await erasures_standing(house, None if case is None else _case_id(case))

    found = in_house(work)
    if case is not None and not found:
        raise UsageError(f"no erasure of {case} is recorded")
    show_rows(
        ("case", "state", "destroyed", "cleared", "complete from", "waits for"),
        (
            (
                standing.erasure.case,
                standing.state.value,
                standing.erasure.destroyed_at,
                standing.erasure.cleared_at,
                standing.complete_from,
                standing.waits_for,
            )
            for standing in found
        ),
        as_json=as_json,
    )


def _case_id(text: str) -> CaseId:
    from arbiter.model import CaseId

    return CaseId(text)
