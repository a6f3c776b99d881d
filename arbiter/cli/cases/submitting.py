"""`arbiter submit`: hand a case to a running Arbiter and show what became of it."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import Status, UsageError
from arbiter.cli.options import AsJson, TokenFile, Url
from arbiter.cli.output import err
from arbiter.model import RiskClass

if TYPE_CHECKING:
    import httpx

    from arbiter.cli.cases.files import Overrides, Request
    from arbiter.cli.door import Server

EXAMPLES = examples(
    "arbiter submit case.json",
    "arbiter submit case.json --site north --risk-class emergency --wait 60",
    "arbiter submit --example deterioration/stable-after-hip",
    "arbiter submit bundle.json --protocol deterioration --site north --risk-class urgent",
    "arbiter submit --example deterioration/stable-after-hip --training",
    "arbiter submit - --json < case.json",
)

WAIT_SECONDS = 20
MOST_WAIT_SECONDS = 60
TRIES = 4
_LONGEST_PAUSE_SECONDS = 5.0
_ANSWER_MARGIN_SECONDS = 15.0

Case = Annotated[
    Path | None,
    typer.Argument(help="A case as JSON, or a FHIR Bundle; `-` reads standard input.", show_default=False),
]
Example = Annotated[
    str | None,
    typer.Option("--example", help="Send an example instead: PROTOCOL/EXAMPLE.", show_default=False),
]
Protocol = Annotated[
    str | None, typer.Option("--protocol", help="Instead of the case's own.", show_default=False)
]
Site = Annotated[str | None, typer.Option("--site", help="Instead of the case's own.", show_default=False)]
Risk = Annotated[
    RiskClass | None, typer.Option("--risk-class", help="Instead of the case's own.", show_default=False)
]
Training = Annotated[
    bool,
    typer.Option("--training", help="For practice: marked everywhere, told to nobody, never handed out."),
]
Wait = Annotated[
    int,
    typer.Option(
        "--wait", min=0, max=MOST_WAIT_SECONDS, help="Seconds to wait for the case to settle; 0: do not."
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again",
        help="Send under another key: an example with new times; a file whose facts are the same finds its case all the same.",
    ),
]


def submit(
    file: Case = None,
    *,
    example: Example = None,
    protocol: Protocol = None,
    site: Site = None,
    risk_class: Risk = None,
    training: Training = False,
    wait: Wait = WAIT_SECONDS,
    again: Again = False,
    as_json: AsJson = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Hand a case to a running Arbiter and show what becomes of it.

    The same command again finds the same case. Showing a decision or an escalation's reasons
    reads them, and the log notes every reading; `--json` prints the server's answer to the submission and reads nothing.

    Exit status: 0 taken and settled (or taken, with `--wait 0`); 2 the command line or the file does not fit;
    3 refused by the server; 4 no answer, try again; 5 taken, not settled in time.
    """
    from arbiter.cli.cases.files import Overrides
    from arbiter.cli.door import find_server

    if (file is None) == (example is None):
        raise UsageError("expected a file, `-` for standard input, or --example; exactly one of them")
    server = find_server(url, token_file)
    overrides = Overrides(protocol, site, None if risk_class is None else risk_class.value, training)
    request = _request(server, file, example, overrides, again=again)
    key = f"submit-{request.digest()[:48]}" + (f"-{secrets.token_hex(6)}" if again else "")
    with server.open(wait + _ANSWER_MARGIN_SECONDS) as client:
        reply = _send(client, request, key, wait)
        if as_json:
            typer.echo(reply.text)
        settled = _show(client, request, reply, quiet=as_json)
    if wait and not settled:
        raise typer.Exit(Status.UNSETTLED)


def _request(
    server: Server, file: Path | None, example: str | None, overrides: Overrides, *, again: bool
) -> Request:
    from arbiter.cli.cases.files import find_example, from_example, from_file
    from arbiter.cli.cases.remembered import digest, first_sent
    from arbiter.clock import SystemClock

    if file is not None:
        return from_file(file, overrides)
    assert example is not None
    protocol, found = find_example(example)
    given = [f"{name}={value}" for name, value in sorted(overrides.members().items())]
    sent_at = SystemClock().now()
    try:
        sent_at = first_sent(digest(server.url, server.client_id, example, *given), sent_at, anew=again)
    except OSError as error:
        err.print(
            f"arbiter: when this was sent cannot be kept ({error.strerror}), so the same command again makes another case",
            style="yellow",
        )
    return from_example(protocol, found, overrides, sent_at)


def _send(client: httpx.Client, request: Request, key: str, wait: int) -> httpx.Response:
    """Send the case; again, under its key, while the server says that the first sending is not finished or to come back."""
    from arbiter.cli.door import check, exchange

    headers = {"Content-Type": request.media_type, "Idempotency-Key": key}
    if wait:
        headers["Prefer"] = f"wait={wait}"
    for left in range(TRIES, 0, -1):
        reply = exchange(client, "POST", request.address, content=request.body, headers=headers)
        later = None if reply.is_success else reply.headers.get("Retry-After")
        if later is None or left == 1:
            break
        time.sleep(min(float(later) if later.isdecimal() else 1.0, _LONGEST_PAUSE_SECONDS))
    check(reply)
    return reply


def _show(client: httpx.Client, request: Request, reply: httpx.Response, *, quiet: bool) -> bool:
    """Show the case that a submission made and return whether it has settled."""
    from arbiter.cli.cases.showing import show_case

    case = _case_of(client, request, reply)
    settled = bool(case.get("settled"))
    if quiet:
        return settled
    if reply.headers.get("Idempotency-Replayed") == "true":
        err.print("sent before: this is the case it made; --again sends it anew", style="yellow")
    if reply.headers.get("Arbiter-Duplicate") == "true":
        err.print(
            "the same facts about the same patient are there already: this is their case", style="yellow"
        )
    show_case(client, case)
    if not settled:
        err.print(f"not settled yet; follow it with: arbiter watch {case['id']}", markup=False)
    return settled


def _case_of(client: httpx.Client, request: Request, reply: httpx.Response) -> dict[str, Any]:
    """Return the case's standing: the reply itself, or for a bundle what stands where the reply points."""
    from arbiter.cli.cases.files import CASES_PATH
    from arbiter.cli.door import call, case_in, json_of
    from arbiter.errors import UnavailableError

    if not request.is_bundle:
        return case_in(json_of(reply))
    case = reply.headers.get("Location", "").rpartition(f"{CASES_PATH}/")[2]
    if not case or "/" in case:
        raise UnavailableError("the bundle was taken, and the answer does not say which case it made")
    return case_in(json_of(call(client, "GET", f"{CASES_PATH}/{case}")))
