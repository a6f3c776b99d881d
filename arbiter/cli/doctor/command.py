"""`arbiter doctor`: is this installation fit to serve, and if not, what to do about it.

It changes nothing: no key, no schema, no checkpoint is made here. The embedded database is started only where its own
user asks, nobody else is busy with it, and it exists already; it is stopped again unless another process uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import Status
from arbiter.cli.inside import run
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arbiter.cli.doctor.findings import Finding

EXAMPLES = examples("arbiter doctor", "arbiter doctor --json")

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(*, as_json: AsJson = False) -> None:
    """Check this installation and say what to do about whatever is not right.

    Looks at the settings of this environment, the keys, the kept checkpoint, who else may open the files, the disk, the clock, the database and its
    rights, the log's tail, what waits to be sealed, the canary, the calibrations, drift, the protocols, the duty file, the fleet file, and what the settings name
    elsewhere. It may run beside `arbiter serve`.

    Exit status: 0 nothing fails, 1 something does.
    """
    from arbiter.cli.doctor.checks import examine

    findings = run(examine())
    if as_json:
        show_json(
            [{"check": f.check, "state": f.state, "found": f.found, "advice": f.advice} for f in findings]
        )
    else:
        _show(findings)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(Status.FAILED)


def _show(findings: Sequence[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("check", "", "found", "what to do")
    for f in findings:
        table.add_row(Text(f.check), Text(f.state, style=_STYLES[f.state]), Text(f.found), Text(f.advice))
    out.print(table, soft_wrap=False)
    counts = {state: sum(f.state == state for f in findings) for state in _STYLES}
    out.print(", ".join(f"{count} {state}" for state, count in counts.items()))
