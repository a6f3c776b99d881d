"""`arbiter labels`: labelled cases, made ready to evaluate and to calibrate on."""

from __future__ import annotations

import typer

from arbiter.cli.examples import examples

app = typer.Typer(
    no_args_is_help=True,
    help="Labelled cases: the answers that panels are measured by.",
    epilog=examples(
        "arbiter labels import deterioration ward.csv --out cases.jsonl",
        "arbiter labels gather deterioration --out ./labelled --as otto",
    ),
)
