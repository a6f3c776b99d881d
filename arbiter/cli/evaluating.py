"""`arbiter evaluate`: a panel over labelled cases, and what it is worth as a page and as JSON."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.inside import run
from arbiter.cli.options import AsJson
from arbiter.cli.output import count_bar, err, out, show_json

if TYPE_CHECKING:
    from arbiter.evaluation.cases import Cases
    from arbiter.evaluation.opinions_file import Dropped
    from arbiter.evaluation.running import Heard
    from arbiter.panels.vllm.pool import Pool
    from arbiter.ports import Clock
    from arbiter.protocols.bundle import Bundle

EXAMPLES = examples(
    "arbiter evaluate deterioration cases.jsonl --out ./evaluation",
    "arbiter evaluate ./my-protocol cases.jsonl --out ./evaluation --parallel 16",
    "arbiter evaluate deterioration cases.jsonl --out ./evaluation --fresh --json",
)
_OBJECTS_A_ROUND = 200_000


def evaluate(
    protocol: Annotated[
        str, typer.Argument(help="Id of a protocol in force, or a bundle's folder.", show_default=False)
    ],
    cases: Annotated[
        Path,
        typer.Argument(
            help="Labelled cases, one a line as in a bundle's examples.jsonl.", show_default=False
        ),
    ],
    *,
    folder: Annotated[
        Path, typer.Option("--out", help="The folder for opinions and report.", show_default=False)
    ],
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask everybody again. Else the folder's opinions are used.")
    ] = False,
    parallel: Annotated[
        int, typer.Option("--parallel", min=1, max=256, help="How many cases are before the panel at a time.")
    ] = 8,
    as_json: AsJson = False,
) -> None:
    """Put labelled cases to a protocol's panel and report what it is worth: `report.html` and `report.json` in the folder.

    Each case goes the service's way (intake, exclusions, panel, policy, adjudication) without a database. What members said is
    kept in `opinions.jsonl` as it comes: a run that was stopped goes on, and a case or protocol that has changed is asked again.
    Of the cases 40 % are for fitting, 10 % for the temperature, by their ids; the rest is held out for every figure.

    The opinions cite facts of patients and are to be kept as the cases are; the report holds ids of cases alone. --json prints
    the report's JSON too.

    Exit status: 0 the report is written, 1 the cases or the panel are unfit, 2 the command line does not fit.
    """
    from arbiter.evaluation.cases import read_cases
    from arbiter.evaluation.opinions_file import alone

    _require_matplotlib()
    # Ten thousand cases are millions of objects of which none refers back: looking for rings among them takes longer than all else.
    gc.set_threshold(_OBJECTS_A_ROUND)
    bundle = _bundle(protocol)
    read = read_cases(cases, bundle.protocol.question)
    with alone(folder):
        heard, servers = run(_hear(bundle, read, folder, parallel, fresh=fresh))
        # A file's name need not be UTF-8.
        name = cases.name.encode(errors="replace").decode()
        _report(bundle, servers, read, name, heard, folder, as_json=as_json)


def _require_matplotlib() -> None:
    from arbiter.errors import ConfigurationError

    if find_spec("matplotlib") is None:
        raise ConfigurationError(
            "the plots need matplotlib, which is not installed: install the extra evaluation, "
            "pip install 'arbiter-panel[evaluation]'"
        )


def _bundle(protocol: str) -> Bundle:
    from arbiter.cli.failing import UsageError
    from arbiter.settings import read_settings
    from arbiter.workflow.protocol_checking import bundles, check_bundle

    in_force = {bundle.protocol.id: bundle for bundle in bundles(read_settings().protocols)}
    if protocol in in_force:
        return in_force[protocol]
    if Path(protocol).is_dir():
        return check_bundle(Path(protocol))
    raise UsageError(
        f"expected one of the protocols in force {', '.join(sorted(in_force))} or a bundle's folder; "
        f"{protocol[:80]} is neither"
    )


async def _hear(
    bundle: Bundle, cases: Cases, folder: Path, parallel: int, *, fresh: bool
) -> tuple[Heard, Mapping[str, Pool]]:
    from arbiter.evaluation.asking import clock_for
    from arbiter.evaluation.running import run_panel
    from arbiter.workflow.shelf import shelve

    clock = clock_for(bundle.protocol)
    async with _servers(bundle, clock) as servers:
        with _bar() as tell:
            heard = await run_panel(
                shelve(bundle, servers), cases, folder, parallel=parallel, fresh=fresh, tell=tell, clock=clock
            )
    return heard, servers


@asynccontextmanager
async def _servers(bundle: Bundle, clock: Clock) -> AsyncIterator[Mapping[str, Pool]]:
    """Yield the model servers that the panel asks, none for a panel of scores."""
    from arbiter.cli.panel.naming import fleet_of
    from arbiter.fleet.token import read_token
    from arbiter.panels.seating import require_servers
    from arbiter.panels.vllm.pool import NO_SERVERS, close_servers, open_servers
    from arbiter.settings import read_settings

    if all(seat.model is None for seat in bundle.protocol.seats):
        yield NO_SERVERS
        return
    settings = read_settings()
    servers = open_servers(fleet_of(settings), read_token(settings.model_server_token_file), clock)
    probing = asyncio.create_task(servers.keep_probing())
    try:
        require_servers(bundle.protocol, servers)
        yield servers
    finally:
        probing.cancel()
        await asyncio.wait({probing})
        await close_servers(servers)


@contextmanager
def _bar() -> Iterator[Callable[[Dropped | None, int, int], None]]:
    """Yield what is told of the run: what was dropped once, then how far it is."""
    from arbiter.errors import counted

    with count_bar() as bar:

        def tell(dropped: Dropped | None, done: int, total: int) -> None:
            if dropped is not None:
                for words in _dropped(dropped):
                    err.print(words, markup=False)
                if done:
                    err.print(f"{done} of {counted(total, 'case')}: heard before, used again", markup=False)
            bar("cases", done, total)

        yield tell


def _dropped(dropped: Dropped) -> Iterator[str]:
    from arbiter.errors import counted

    if dropped.torn:
        yield "the last line of the opinions was torn and is dropped"
    for count, thing, words in (
        (dropped.unreadable, "line", "not to be read, dropped"),
        (
            dropped.other_panel,
            "case",
            "heard under another content of the protocol or table of a score, asked again",
        ),
        (dropped.changed_case, "case", "changed since it was heard, asked again"),
        (dropped.unanswered, "case", "a member was down or too late, asked again"),
        (dropped.not_meant, "case", "no longer in the file, dropped"),
    ):
        if count:
            yield f"{counted(count, thing)} of the opinions: {words}"


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
    from arbiter.evaluation.reporting import report_of
    from arbiter.workflow.shelf import shelve

    report = report_of(shelve(bundle, servers), cases, cases_file, heard, SystemClock().now())
    (folder / "report.json").write_text(json_of(report), encoding="utf-8")
    (folder / "report.html").write_text(render(report), encoding="utf-8")
    if as_json:
        show_json(document_of(report))
        return
    out.print(f"{counted(heard.asked, 'case')} asked, {heard.reused} used again")
    for sentence in report.summary:
        out.print(f"- {sentence}", markup=False)
    out.print(f"{folder / 'report.html'}, {folder / 'report.json'}", markup=False)
