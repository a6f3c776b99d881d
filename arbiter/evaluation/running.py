"""Runs a panel over labelled cases: uses the opinions that are there, asks for the rest, keeps each as it comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from arbiter.evaluation.asking import clock_for, hear_all, judged_again
from arbiter.evaluation.cases import Case, Cases
from arbiter.evaluation.hearing import Hearing, panel_hash
from arbiter.evaluation.opinions_file import FILE, Unused, opened
from arbiter.ports import Clock
from arbiter.workflow.shelf import Shelved


@dataclass(frozen=True, slots=True)
class Heard:
    """Every case with its hearing, in the order of the cases' file.

    `sha256` is that of these cases' lines in the opinions' file once it is settled. `reused` hearings were there, `asked` were not.
    """

    # asyncio spells a task's result out when it puts SIGINT back: seconds, for ten thousand cases.
    pairs: tuple[tuple[Case, Hearing], ...] = field(repr=False)
    sha256: str
    reused: int
    asked: int
    unused: Unused


def _quiet(_what: Unused | None, _done: int, _total: int) -> None:
    pass


async def run_panel(
    shelved: Shelved,
    cases: Cases,
    folder: Path,
    *,
    parallel: int,
    fresh: bool = False,
    tell: Callable[[Unused | None, int, int], None] = _quiet,
    clock: Clock | None = None,
) -> Heard:
    """Put to the panel what is not kept in the folder, and return all.

    `tell` hears once what of the folder is not used, with how many hearings can be used, of how many cases; then how many are done.
    """
    with opened(folder / FILE, cases.cases, panel_hash(shelved), fresh=fresh) as file:
        reused, total = len(file.hearings), len(cases.cases)
        tell(file.unused, reused, total)
        for case in cases.cases:
            kept = file.hearings.get(case.id)
            if kept is not None and (again := judged_again(shelved, case, kept)) is not kept:
                file.append(again)

        def keep(hearing: Hearing) -> None:
            file.append(hearing)
            tell(None, len(file.hearings), total)

        missing = [case for case in cases.cases if case.id not in file.hearings]
        by = clock_for(shelved.protocol) if clock is None else clock
        await hear_all(shelved, by, missing, keep, parallel=parallel)
    sha256 = file.settle()
    pairs = tuple((case, file.hearings[case.id]) for case in cases.cases)
    return Heard(pairs, sha256, reused, len(missing), file.unused)
