"""`arbiter panel serve`: the model servers behind panels, as command lines or as running processes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.inside import run
from arbiter.cli.options import AsJson
from arbiter.cli.output import err, show_json
from arbiter.cli.panel.group import app
from arbiter.cli.panel.naming import Protocols, Replicas, fleet_of, protocols_of, require_asked, require_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arbiter.fleet.serving import Serving


@app.command(
    "serve",
    epilog=examples(
        "arbiter panel serve",
        "arbiter panel serve ./my-protocol --replica gpu-a-1",
        "arbiter panel serve ./my-protocol --run",
    ),
)
def panel_serve(
    protocols: Protocols = None,
    *,
    run_them: Annotated[
        bool, typer.Option("--run", help="Run the servers on this machine until interrupted. Else print.")
    ] = False,
    replicas: Replicas = None,
    restart: Annotated[
        bool, typer.Option(help="Start a server that has ended again. Else the first that ends, ends all.")
    ] = True,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            help="Where logs and caches are kept. Else `fleet` in ARBITER_DATA.",
            show_default=False,
        ),
    ] = None,
    patience: Annotated[
        float, typer.Option("--patience", help="Seconds that a server may take until it answers.")
    ] = 1_800.0,
    as_json: AsJson = False,
) -> None:
    """Print the `vllm serve` command lines that the panels need, one for each replica, or run them with --run.

    The fleet file (ARBITER_FLEET) says where and how; the protocols' seats say what. Adapters stand on their base in one process,
    and the base goes by a name that no protocol can ask. With --run each server counts as ready when every adapter has
    given a completion; one that ends later is started again after a pause; SIGTERM and SIGINT end all. The servers ask
    for the key in ARBITER_MODEL_SERVER_TOKEN_FILE where that is set (as VLLM_API_KEY; it is never printed).

    Exit status: 0 after a signal, 1 when no seat asks a model, a server cannot be started or, with --no-restart, has ended.
    """
    from arbiter.fleet.checking import seats_of
    from arbiter.fleet.serving import command_lines
    from arbiter.fleet.token import read_token
    from arbiter.settings import read_settings

    settings = read_settings()
    fleet, meant = fleet_of(settings), protocols_of(settings, protocols)
    require_asked(fleet, meant)
    require_known(replicas, {each.name for seat in seats_of(fleet, meant) for each in seat.server.replicas})
    chosen = command_lines(fleet, *meant, only=replicas or ())
    if run_them:
        kept = folder or settings.data / "fleet"
        run(_run(chosen, kept, read_token(settings.model_server_token_file), patience, restart=restart))
    elif as_json:
        show_json([_document(serving) for serving in chosen])
    else:
        for serving in chosen:
            typer.echo(f"# {serving.server}, replica {serving.replica.name}: {', '.join(serving.names)}")
            typer.echo(serving.shell())


def _document(serving: Serving) -> dict[str, object]:
    return {
        "server": serving.server,
        "replica": serving.replica.name,
        "url": serving.replica.url,
        "build": serving.build,
        "environment": dict(serving.environment),
        "command": list(serving.command),
        "names": list(serving.names),
    }


async def _run(
    chosen: Sequence[Serving], folder: Path, token: str | None, patience_seconds: float, *, restart: bool
) -> None:
    from arbiter.fleet.running import serve
    from arbiter.serving import stop_on_signals

    async def keep() -> None:
        async with serve(
            chosen, folder, token=token, tell=_tell, patience_seconds=patience_seconds, again=restart
        ) as served:
            _tell(f"{len(chosen)} ready; Ctrl-C stops")
            await served.ended()

    stop = asyncio.create_task(stop_on_signals().wait())
    keeping = asyncio.create_task(keep())
    await asyncio.wait({stop, keeping}, return_when=asyncio.FIRST_COMPLETED)
    if keeping.done():
        stop.cancel()
        keeping.result()
        return
    _tell("stopping")
    keeping.cancel()
    await asyncio.wait({keeping})
    _tell("stopped")


def _tell(words: str) -> None:
    err.print(words, markup=False)
