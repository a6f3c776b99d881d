"""Puts labelled cases to a protocol's panel by command: which protocol, which servers, how far it is."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.output import count_bar, err

if TYPE_CHECKING:
    from arbiter.evaluation.cases import Cases
    from arbiter.evaluation.opinions_file import Unused
    from arbiter.evaluation.running import Heard
    from arbiter.panels.vllm.pool import Pool
    from arbiter.ports import Clock
    from arbiter.protocols.bundle import Bundle

_OBJECTS_A_ROUND = 200_000

ProtocolName = Annotated[
    str, typer.Argument(help="Id of a protocol in force, or a bundle's folder.", show_default=False)
]
CasesFile = Annotated[
    Path,
    typer.Argument(
        help="Labelled cases, one a line, as `arbiter labels import` makes them.", show_default=False
    ),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Ask everybody again; what was said before is replaced when all have answered. Stopped, it goes on with --fresh.",
    ),
]
Parallel = Annotated[
    int, typer.Option("--parallel", min=1, max=256, help="How many cases are before the panel at a time.")
]


def require_extra(library: str) -> None:
    """Refuse to begin what would end for want of a library that the extra brings; raises ConfigurationError."""
    from arbiter.errors import ConfigurationError

    if find_spec(library) is None:
        raise ConfigurationError(
            f"this needs {library}, which is not installed: install the extra evaluation, "
            "pip install 'arbiter-panel[evaluation]'"
        )


def spare_rings() -> None:
    """Look for rings among objects more rarely.

    Ten thousand cases are millions of objects of which none refers back: looking among them takes longer than all else.
    """
    gc.set_threshold(_OBJECTS_A_ROUND)


def bundle_of(protocol: str) -> Bundle:
    """Return the bundle of a protocol in force here, or in a folder; raises UsageError when it is neither."""
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


async def hear(
    bundle: Bundle, cases: Cases, folder: Path, parallel: int, *, fresh: bool
) -> tuple[Heard, Mapping[str, Pool]]:
    """Return what the panel said of the cases, kept in the folder, and the model servers it was asked at."""
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
def _bar() -> Iterator[Callable[[Unused | None, int, int], None]]:
    """Yield what is told of the run: what is not used once, then how far it is."""
    from arbiter.errors import counted

    with count_bar() as bar:

        def tell(unused: Unused | None, done: int, total: int) -> None:
            if unused is not None:
                for words in _unused(unused):
                    err.print(words, markup=False)
                if done:
                    err.print(f"{done} of {counted(total, 'case')}: heard before, used again", markup=False)
            bar("cases", done, total)

        yield tell


def _unused(unused: Unused) -> Iterator[str]:
    from arbiter.errors import counted

    if unused.torn:
        yield "the last line of the opinions was torn and is dropped"
    for count, thing, words in (
        (unused.unreadable, "line", "not to be read, dropped"),
        (
            unused.other_panel,
            "case",
            "heard under another content of the protocol or table of a score, kept and not used",
        ),
        (
            unused.changed_case,
            "case",
            "changed since it was heard, asked again; what was said before is kept",
        ),
        (unused.unanswered, "case", "a member was down or too late, asked again"),
        (unused.not_meant, "case", "not in the file of cases, kept and not used"),
    ):
        if count:
            yield f"{counted(count, thing)} of the opinions: {words}"
