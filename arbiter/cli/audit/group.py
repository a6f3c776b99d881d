"""The group `arbiter audit`; each module beside this one adds its commands to it."""

from __future__ import annotations

import typer

from arbiter.cli.examples import examples

app = typer.Typer(
    no_args_is_help=True,
    help="Check the log, with or without the database.",
    epilog=examples("arbiter audit verify", "arbiter audit verify-receipt receipt.json --key VERIFIER-KEY"),
)
