"""`arbiter panel`: what sits on the panels, and the fleet that serves it."""

from __future__ import annotations

import typer

from arbiter.cli.examples import examples

app = typer.Typer(
    no_args_is_help=True,
    help="The members of the panels, and the model servers behind them.",
    epilog=examples("arbiter panel check", "arbiter panel watch"),
)
