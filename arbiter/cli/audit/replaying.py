"""`arbiter replay`: decides one case, or every one, again from what is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import count_bar, out, show_json
from arbiter.errors import counted

if TYPE_CHECKING:
    from arbiter.workflow.house import House
    from arbiter.workflow.replaying import ReplayedCases

EXAMPLES = examples(
    "arbiter replay c_4jnoc5hb37oz5irylzg747rv",
    "arbiter replay c_4jnoc5hb37oz5irylzg747rv --json",
    "arbiter replay --all",
)


def replay(
    case: Annotated[str | None, typer.Argument(help="The case's id.", show_default=False)] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every case of the installation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide a case again from its recorded inputs and compare the certificate's bytes; with --all every case.

    Exit status: 0 the same bytes, 1 something is not as recorded, 2 the command line does not fit.
    """
    if (case is None) != every:
        raise typer.BadParameter("expected one of both, and not both", param_hint="CASE, --all")
    if case is None:
        _replay_all(as_json=as_json)
        return
    from arbiter.model import CaseId
    from arbiter.workflow.auditing import replay_case

    replayed = in_house(lambda house: replay_case(house, CaseId(case)))
    same = all(step.same for step in replayed)
    if as_json:
        steps = [{"entry": step.seq, "same": step.same, "said": step.said} for step in replayed]
        show_json({"case": case, "same": same, "steps": steps})
    else:
        for step in replayed:
            out.print(f"entry {step.seq}: {step.said}", markup=False)
    if not same:
        raise typer.Exit(1)


def _replay_all(*, as_json: bool) -> None:
    replayed = in_house(_replay)
    if as_json:
        show_json(
            {
                "same": not replayed.unlike,
                "cases": replayed.cases,
                "certificates": replayed.certificates,
                "erased": replayed.erased,
                "unlike": replayed.unlike,
                "found": [
                    {"case": each.case, "entry": each.entry, "said": each.said} for each in replayed.found
                ],
            }
        )
    else:
        for each in replayed.found:
            place = "" if each.entry is None else f", entry {each.entry}"
            out.print(f"case {each.case}{place}: {each.said}", markup=False)
        out.print(_counted(replayed), markup=False)
    if replayed.unlike:
        raise typer.Exit(1)


async def _replay(house: House) -> ReplayedCases:
    from arbiter.workflow.replaying import replay_cases

    with count_bar() as tell:
        return await replay_cases(house, lambda done, total: tell("cases", done, total))


def _counted(replayed: ReplayedCases) -> str:
    said = [
        f"{counted(replayed.certificates, 'certificate')} of {counted(replayed.cases, 'case')} recomputed to the same bytes"
    ]
    if replayed.erased:
        said.append(f"{counted(replayed.erased, 'case')} erased: nothing of them is left to replay")
    if replayed.unlike:
        said.append(f"{counted(replayed.unlike, 'case')} NOT AS RECORDED")
    return "; ".join(said)
