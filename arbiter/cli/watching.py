"""`arbiter watch`: follow one case to its end, or all cases of this client's sites."""

from __future__ import annotations

from typing import Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.options import AsJson, TokenFile, Url

EXAMPLES = examples(
    "arbiter watch c_4jnoc5hb37oz5irylzg747rv",
    "arbiter watch",
    "arbiter watch --once --limit 50",
    "arbiter watch --json",
)

Case = Annotated[
    str | None,
    typer.Argument(help="The case to follow; without it, all of this client's sites.", show_default=False),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=200, help="How many cases to show, newest first.")]
Every = Annotated[
    float, typer.Option("--every", min=0.2, max=3600, help="Seconds between two looks at the list.")
]
Once = Annotated[bool, typer.Option("--once", help="Show the list as it is now, and end.")]
Patience = Annotated[
    float,
    typer.Option(
        "--patience", min=0, max=86_400, help="Seconds to go on trying while the server does not answer."
    ),
]


def watch(
    case: Case = None,
    *,
    limit: Limit = 20,
    every: Every = 2.0,
    once: Once = False,
    patience: Patience = 60.0,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Follow a case, a line a step, until it has ended; or without CASE, the newest cases as they move.

    A connection that drops is taken up where it broke off. `--json` prints one JSON object a line: the steps of a case,
    or each case whenever it has moved.

    Exit status: 0 the case has ended; 3 refused by the server; 4 no answer for as long as --patience says; 130 Ctrl-C.
    """
    from arbiter.cli.door import find_server
    from arbiter.cli.following import follow_case
    from arbiter.cli.listing import follow_cases, list_once

    server = find_server(url, token_file)
    if case is not None:
        follow_case(server, case, patience, as_json=as_json)
    elif once:
        list_once(server, limit, as_json=as_json)
    else:
        follow_cases(server, limit, every, patience, as_json=as_json)
