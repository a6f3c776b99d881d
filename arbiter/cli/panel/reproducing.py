"""`arbiter panel reproduce`: ask a case's members again with the bytes that were recorded, and compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import Status
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import show_json, show_rows
from arbiter.cli.panel.group import app
from arbiter.cli.persons import PasswordsStdin, ask_passwords, prove

if TYPE_CHECKING:
    from arbiter.workflow.house import House
    from arbiter.workflow.reproducing import Reproduced, Told

_COLUMNS = ("entry", "member", "kind", "outcome", "then", "now", "changed", "note")


@app.command(
    "reproduce",
    epilog=examples(
        "arbiter panel reproduce c_4jnoc5hb37oz5irylzg747rv --as ada",
        "arbiter panel reproduce c_4jnoc5hb37oz5irylzg747rv --as ada --json",
    ),
)
def reproduce(
    case: Annotated[str, typer.Argument(help="The case's id.", show_default=False)],
    *,
    login: Annotated[
        str,
        typer.Option(
            "--as",
            prompt="login",
            help="Your login; you need the role auditor, at the case's site.",
            show_default=False,
        ),
    ],
    password_stdin: PasswordsStdin = False,
    as_json: AsJson = False,
) -> None:
    """Ask a recorded case's members again, and say of each whether it answers the same.

    A model is sent the recorded bytes, at its server as the fleet file has it now; a score is computed again. Each is `equal`
    (the same words in every choice), `equal-option` (other words, the same state and leading option), `different`, or `not-asked`
    with the reason. Opening the case becomes an entry of it. Nothing else changes. In production the seats are proven first, which
    takes as long as their weights take to read.

    Exit status: 0 each is equal or equal-option, 1 one is different, 4 none is and one that answered then could not be asked.
    """
    passwords = ask_passwords([login], from_stdin=password_stdin)

    async def work(house: House) -> tuple[Reproduced, ...]:
        from arbiter.model import CaseId
        from arbiter.workflow.reproducing import reproduce_case

        (by,) = await prove(house, [login], passwords)
        return await reproduce_case(house, by, CaseId(case))

    found = in_house(work)
    if as_json:
        show_json({"case": case, "members": [_document(each) for each in found]})
    else:
        show_rows(_COLUMNS, (_row(each) for each in found), as_json=False)
    _end(found)


def _row(each: Reproduced) -> tuple[Any, ...]:
    now = "" if each.now is None else _words(each.now)
    return (
        each.entry,
        each.member,
        each.kind,
        each.outcome.value,
        _words(each.then),
        now,
        each.changed,
        each.cause,
    )


def _words(told: Told) -> str:
    if not told.votes:
        return told.status.value
    return ", ".join(f"{option} {count} of {told.samples}" for option, count in told.votes)


def _document(each: Reproduced) -> dict[str, Any]:
    return {
        "entry": each.entry,
        "member": each.member,
        "kind": each.kind,
        "outcome": each.outcome.value,
        "then": _told(each.then),
        "now": None if each.now is None else _told(each.now),
        "changed": each.changed,
        "cause": each.cause,
    }


def _told(told: Told) -> dict[str, Any]:
    return {
        "status": told.status.value,
        "leading": told.leading,
        "votes": dict(told.votes),
        "samples": told.samples,
    }


def _end(found: tuple[Reproduced, ...]) -> None:
    from arbiter.workflow.reproducing import Outcome, could_have_been_asked

    if any(each.outcome is Outcome.DIFFERENT for each in found):
        raise typer.Exit(Status.FAILED)
    if any(each.outcome is Outcome.NOT_ASKED and could_have_been_asked(each) for each in found):
        raise typer.Exit(Status.UNAVAILABLE)
