"""`arbiter watch`: follow one case to its end, or all cases of this client's sites."""

from __future__ import annotations

from typing import Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.options import AsJson, TokenFile, Url

EXAMPLES = examples(
    "arbiter watch c_4jnoc5hb37oz5irylzg747rv",
    "arbiter watch c_4jnoc5hb37oz5irylzg747rv --once",
    "arbiter watch",
    "arbiter watch --once --limit 50",
    "arbiter watch --json",
)

LIMIT = 20
EVERY_SECONDS = 2.0

Case = Annotated[
    str | None,
    typer.Argument(help="The case to follow; without it, all of this client's sites.", show_default=False),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=1,
        max=200,
        help="How many cases to show, newest first; without CASE only.",
        show_default=str(LIMIT),
    ),
]
Every = Annotated[
    float | None,
    typer.Option(
        "--every",
        min=0.2,
        max=3600,
        help="Seconds between two looks at the list; without CASE only.",
        show_default=str(EVERY_SECONDS),
    ),
]
Once = Annotated[bool, typer.Option("--once", help="Show the case or the list as it is now, and end.")]
Patience = Annotated[
    float,
    typer.Option(
        "--patience", min=0, max=86_400, help="Seconds to go on trying while the server does not answer."
    ),
]


def watch(
    case: Case = None,
    *,
    limit: Limit = None,
    every: Every = None,
    once: Once = False,
    patience: Patience = 60.0,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Follow a case, a line a step, until it has ended; or without CASE, the newest cases as they move.

    A connection that drops is taken up where it broke off. `--json` prints one JSON object a line: the steps of a case,
    or each case whenever it has moved; with `--once`, the case or the cases as they stand.

    Exit status: 0 the case has ended, or was shown once; 2 an option that means nothing with CASE; 3 refused by the server; 4 no answer for as long as --patience says; 130 Ctrl-C.
    """
    from arbiter.cli.cases.following import follow_case, show_once
    from arbiter.cli.cases.listing import follow_cases, list_once
    from arbiter.cli.door import find_server

    if case is not None:
        _refuse_list_options(limit, every)
    server = find_server(url, token_file)
    if case is not None and once:
        show_once(server, case, as_json=as_json)
    elif case is not None:
        follow_case(server, case, patience, as_json=as_json)
    elif once:
        list_once(server, limit or LIMIT, as_json=as_json)
    else:
        follow_cases(server, limit or LIMIT, every or EVERY_SECONDS, patience, as_json=as_json)


def _refuse_list_options(limit: int | None, every: float | None) -> None:
    """Refuse what was said about the list where one case is asked for: it would be ignored."""
    said = [name for name, value in (("--limit", limit), ("--every", every)) if value is not None]
    if said:
        raise UsageError(f"{' and '.join(said)}: expected without CASE, for the list alone; a case came")
