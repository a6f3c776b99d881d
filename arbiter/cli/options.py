"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Sites = Annotated[list[str], typer.Option("--site", help="A site's id; may be given more than once.")]
Since = Annotated[
    str | None,
    typer.Option("--since", help="Written at this time or later: 2026-03-01T14:30, or 90m, 12h, 7d ago."),
]
Until = Annotated[str | None, typer.Option("--until", help="Written before this time; as --since.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="The running Arbiter. Else ARBITER_URL, else http://127.0.0.1:8400.",
        show_default=False,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="The file that holds the client's token. Else ARBITER_TOKEN_FILE.",
        show_default=False,
    ),
]
