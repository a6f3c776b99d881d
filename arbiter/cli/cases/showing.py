"""A case at the terminal: where it stands, and what was decided or why not, in the certificate's own words."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from arbiter.cli.cases.words import local_time, standing
from arbiter.cli.door import check, exchange, json_of, reason_of
from arbiter.cli.output import out
from arbiter.lifecycle.states import Phase

if TYPE_CHECKING:
    import httpx

_EXPLAINED = frozenset({Phase.RELEASED, Phase.ESCALATED, Phase.AWAITING_FACTS})
_SEALING_TRIES = 10
_SEALING_PAUSE_SECONDS = 0.2


def show_case(client: httpx.Client, case: dict[str, Any]) -> None:
    """Show a case as the server told it; reads its certificate or decision where the phase has one."""
    lines = [
        ("case", case["id"]),
        ("phase", f"{case['phase']}: {standing(case)}"),
        ("protocol", f"{case.get('protocol')} {case.get('protocol_version')}"),
    ]
    if case.get("due_at"):
        lines.append(("until", local_time(case["due_at"])))
    if case["phase"] in _EXPLAINED:
        lines += _explained(client, case)
    if out.is_terminal:
        _grid(lines)
        return
    for name, words in lines:
        out.print(f"{name:<9} {words}", markup=False)


def _explained(client: httpx.Client, case: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the decision, or the certificate's account of why there is none yet."""
    released = case["phase"] == Phase.RELEASED
    name = "decision" if released else "certificate"
    # What comes of training never leaves: there is nothing to wait for.
    tries = 1 if case.get("training") is True else _SEALING_TRIES
    document = _document(client, f"/v1/cases/{case['id']}/{name}", tries)
    if isinstance(document, str):
        return [("because", document)]
    lines = []
    if released and isinstance(document.get("title"), str):
        lines.append(("decision", document["title"]))
    return [*lines, ("because", str(document.get("plain", "")))]


def _document(client: httpx.Client, path: str, tries: int) -> dict[str, Any] | str:
    """Return a document of the case, waiting the second that sealing it takes; or else why the door does not show it."""
    while True:
        reply = exchange(client, "GET", path)
        if reply.status_code != HTTPStatus.CONFLICT:
            check(reply)
            found = json_of(reply)
            return found if isinstance(found, dict) else "expected a document, something else came"
        tries -= 1
        if tries == 0:
            return reason_of(reply)
        time.sleep(_SEALING_PAUSE_SECONDS)


def _grid(lines: list[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for name, words in lines:
        grid.add_row(Text(name, style="bold"), Text(words))
    out.print(grid, soft_wrap=False)
