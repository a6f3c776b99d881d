"""`arbiter demo | serve | worker | migrate | version`: the processes of an installation, and its schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter import __version__
from arbiter.cli.examples import examples
from arbiter.cli.inside import run
from arbiter.cli.options import AsJson
from arbiter.cli.output import err, out, show_json

if TYPE_CHECKING:
    from arbiter.settings import Settings

DEMO_EXAMPLES = examples("arbiter demo", "arbiter demo --vllm .vllm/bin/python")
SERVE_EXAMPLES = examples("arbiter serve")
WORKER_EXAMPLES = examples("arbiter worker")
MIGRATE_EXAMPLES = examples("arbiter migrate")
VERSION_EXAMPLES = examples("arbiter version", "arbiter version --json")


def version(*, as_json: AsJson = False) -> None:
    """Print the version."""
    if as_json:
        show_json({"version": __version__})
    else:
        out.print(__version__)


def demo(
    *,
    vllm: Annotated[
        Path | None,
        typer.Option(
            "--vllm",
            help="The Python of an environment with vLLM for the CPU: small models then sit beside the scores.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start everything on the embedded database and put the example cases through the REST door.

    With --vllm, three small language models of our own sit on the panel; they know no medicine and show what a panel of models
    does. A second run goes on with the same data. ARBITER_DATA and ARBITER_PORT move it.
    """
    from arbiter import demo as demonstration
    from arbiter.telemetry.export import telemetry

    with telemetry():
        run(demonstration.run(out, vllm))


def serve() -> None:
    """Serve the REST door and the clinicians' pages until interrupted.

    ARBITER_HOST and ARBITER_PORT say where; `arbiter doctor` says whether everything is in place.
    """
    from arbiter.settings import read_settings
    from arbiter.telemetry.export import telemetry
    from arbiter.telemetry.logs import log_to_stderr

    settings = read_settings()
    log_to_stderr(settings.log_level)
    with telemetry():
        run(_serve(settings))


async def _serve(settings: Settings) -> None:
    from arbiter import serving
    from arbiter.wiring import open_house, run_house

    async with open_house(settings) as house, run_house(house), serving.open_doors(house, settings) as stop:
        serving.settle_memory()
        err.print(f"Arbiter {__version__} serves http://{settings.host}:{settings.port}; Ctrl-C stops it")
        await stop.wait()
        err.print("stopping: finishing what is in hand")


def worker() -> None:
    """Seal, watch deadlines and take up left-over cases, without any door."""
    from arbiter.settings import read_settings
    from arbiter.telemetry.export import telemetry
    from arbiter.telemetry.logs import log_to_stderr

    settings = read_settings()
    log_to_stderr(settings.log_level)
    with telemetry():
        run(_work(settings))


async def _work(settings: Settings) -> None:
    from arbiter import serving
    from arbiter.wiring import open_house, run_house

    stop = serving.stop_on_signals()
    async with open_house(settings) as house, run_house(house):
        err.print(f"Arbiter {__version__} works; Ctrl-C stops it")
        await stop.wait()


def migrate() -> None:
    """Bring the schema of the server named by ARBITER_DATABASE_OWNER_URL to this release's version."""
    from arbiter.settings import read_settings
    from arbiter.store import migrate as migrations

    settings = read_settings()
    if settings.database_owner_url is None:
        raise typer.BadParameter("set ARBITER_DATABASE_OWNER_URL; the embedded database migrates by itself")
    migrations.upgrade(settings.database_owner_url)
    out.print(f"the schema is at {migrations.head()}")
