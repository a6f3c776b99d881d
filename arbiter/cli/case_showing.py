"""A case at the terminal: where it stands, and what was decided or why not, in the certificate's own words."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from arbiter.cli.case_words import local_time, standing
from arbiter.cli.door import check, exchange, json_of
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
    document = _document(client, case["id"], "decision" if released else "certificate")
    if document is None:
        return [("because", "its certificate is not sealed yet")]
    lines = []
    if released and isinstance(document.get("title"), str):
        lines.append(("decision", document["title"]))
    return [*lines, ("because", str(document.get("plain", "")))]


def _document(client: httpx.Client, case: str, name: str) -> dict[str, Any] | None:
    """Return a document of the case, waiting the second that sealing it takes; None when it is still not there."""
    for _ in range(_SEALING_TRIES):
        reply = exchange(client, "GET", f"/v1/cases/{case}/{name}")
        if reply.status_code != HTTPStatus.CONFLICT:
            check(reply)
            found = json_of(reply)
            return found if isinstance(found, dict) else None
        time.sleep(_SEALING_PAUSE_SECONDS)
    return None


def _grid(lines: list[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for name, words in lines:
        grid.add_row(Text(name, style="bold"), Text(words))
    out.print(grid, soft_wrap=False)
