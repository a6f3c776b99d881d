"""`arbiter guarantee`: how what was certified holds up."""

from __future__ import annotations

import typer

from arbiter.cli.examples import examples

app = typer.Typer(
    no_args_is_help=True,
    help="How what was certified holds up: audits of decisions, alarms, drift.",
    epilog=examples(
        "arbiter guarantee show",
        "arbiter guarantee show --share 0.5",
        'arbiter guarantee lift deterioration --reason "two thermometers were mixed up" --as paula',
    ),
)
