"""`arbiter outcome`: tell a running Arbiter what turned out to be right for a case's patient."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.options import AsJson, TokenFile, Url
from arbiter.cli.output import out
from arbiter.documents.known_outcomes import OutcomeKind

EXAMPLES = examples(
    "arbiter outcome c_4jnoc5hb37oz5irylzg747rv --option urgent-review --observed-at 2026-11-23T07:30 --source discharge-letter",
    'arbiter outcome c_4jnoc5hb37oz5irylzg747rv --option urgent-review --kind "independent reader" --observed-at 2h --source chart-review',
)


def outcome(
    case: Annotated[str, typer.Argument(help="The case's id.", show_default=False)],
    *,
    option: Annotated[
        str,
        typer.Option(
            "--option", help="The option that was right: one of its question's.", show_default=False
        ),
    ],
    observed_at: Annotated[
        str,
        typer.Option(
            "--observed-at",
            help="Since when that is known: 2026-11-23T07:30 by this machine's clock unless it says another, or 2h, 3d ago.",
            show_default=False,
        ),
    ],
    source: Annotated[
        str,
        typer.Option("--source", help="Where that is from, such as discharge-letter.", show_default=False),
    ],
    kind: Annotated[
        OutcomeKind,
        typer.Option(
            "--kind", help="What happened to the patient, or a clinician who had not seen the panel."
        ),
    ] = OutcomeKind.OUTCOME,
    note: Annotated[str | None, typer.Option("--note", help="A few words.", show_default=False)] = None,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Tell what turned out to be right for a case's patient: the panel is measured by it, and learns from it.

    What a clinician decided after seeing the panel is no outcome. Of several that are told, the newest of each kind counts;
    telling one twice enters it once.

    Exit status: 0 told; 2 the command line does not fit; 3 refused by the server; 4 no answer, try again.
    """
    from urllib.parse import quote

    from arbiter.cli.door import call, find_server
    from arbiter.cli.when import instant

    at = instant("--observed-at", observed_at, datetime.now(UTC), None)
    if at is None or not case:
        raise UsageError("expected a case, and since when its outcome is known")
    body = {"option": option, "kind": kind.value, "observed_at": at.isoformat(), "source": source}
    if note is not None:
        body["note"] = note
    with find_server(url, token_file).open() as client:
        reply = call(client, "POST", f"/v1/cases/{quote(case, safe='')}/outcome", json=body)
    if as_json:
        typer.echo(reply.text)
    else:
        out.print(f"{case}: told", markup=False)
