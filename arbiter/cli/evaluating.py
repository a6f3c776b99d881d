"""`arbiter evaluate`: a panel over labelled cases, and what it is worth as a page and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.hearing import (
    CasesFile,
    Fresh,
    Parallel,
    ProtocolName,
    bundle_of,
    hear,
    require_extra,
    spare_rings,
)
from arbiter.cli.inside import run
from arbiter.cli.options import AsJson
from arbiter.cli.output import out, show_json

if TYPE_CHECKING:
    from arbiter.evaluation.cases import Cases
    from arbiter.evaluation.running import Heard
    from arbiter.panels.vllm.pool import Pool
    from arbiter.protocols.bundle import Bundle

EXAMPLES = examples(
    "arbiter evaluate deterioration cases.jsonl --out ./evaluation",
    "arbiter evaluate ./my-protocol cases.jsonl --out ./evaluation --parallel 16",
    "arbiter evaluate deterioration cases.jsonl --out ./evaluation --fresh --json",
)


def evaluate(
    protocol: ProtocolName,
    cases: CasesFile,
    *,
    folder: Annotated[
        Path, typer.Option("--out", help="The folder for opinions and report.", show_default=False)
    ],
    fresh: Fresh = False,
    parallel: Parallel = 8,
    as_json: AsJson = False,
) -> None:
    """Put labelled cases to a protocol's panel and report what it is worth: `report.html` and `report.json` in the folder.

    Each case goes the service's way (intake, exclusions, panel, policy, adjudication) without a database. What members said is
    kept in `opinions.jsonl` as it comes: a run that was stopped goes on, and a case or protocol that has changed is asked again.
    Of the cases 40 % are for fitting, 10 % for the temperature, by their ids; the rest is held out for every figure.

    The opinions cite facts of patients and are to be kept as the cases are; the report holds ids of cases, and
    of facts how many cases are of which age band, sex and site. --json prints the report's JSON too.

    Exit status: 0 the report is written, 1 the cases or the panel are unfit, 2 the command line does not fit.
    """
    from arbiter.evaluation.cases import read_cases
    from arbiter.evaluation.opinions_file import alone

    require_extra("matplotlib")
    spare_rings()
    bundle = bundle_of(protocol)
    read = read_cases(cases, bundle.protocol.question)
    with alone(folder):
        heard, servers = run(hear(bundle, read, folder, parallel, fresh=fresh))
        # A file's name need not be UTF-8.
        name = cases.name.encode(errors="replace").decode()
        _report(bundle, servers, read, name, heard, folder, as_json=as_json)


def _report(
    bundle: Bundle,
    servers: Mapping[str, Pool],
    cases: Cases,
    cases_file: str,
    heard: Heard,
    folder: Path,
    *,
    as_json: bool,
) -> None:
    from arbiter.clock import SystemClock
    from arbiter.errors import counted
    from arbiter.evaluation.document import document_of, json_of
    from arbiter.evaluation.page import render
    from arbiter.evaluation.replacing import write_together
    from arbiter.evaluation.reporting import report_of
    from arbiter.workflow.shelf import shelve

    report = report_of(shelve(bundle, servers), cases, cases_file, heard, SystemClock().now())
    write_together({folder / "report.json": json_of(report), folder / "report.html": render(report)})
    if as_json:
        show_json(document_of(report))
        return
    out.print(f"{counted(heard.asked, 'case')} asked, {heard.reused} used again")
    for sentence in report.summary:
        out.print(f"- {sentence}", markup=False)
    out.print(f"{folder / 'report.html'}, {folder / 'report.json'}", markup=False)
