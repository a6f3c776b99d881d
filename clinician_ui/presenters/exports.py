"""Exports of the log in words, for whoever asked for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from arbiter.workflow.exports.jobs import ExportStanding
from clinician_ui.presenters.paper import full_time
from clinician_ui.presenters.times import Here, Tag
from clinician_ui.texts import _, noted

_STATES = {
    "waiting": Tag(noted("Waiting"), "grey"),
    "running": Tag(noted("Being made"), "blue"),
    "done": Tag(noted("Ready"), "green"),
    "failed": Tag(noted("Failed"), "red"),
}


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One export: how far it is, in words; `ready` says that its file can be fetched."""

    id: str
    state: Tag
    asked: str
    words: str
    ready: bool
    payloads: bool


def export_rows(exports: Iterable[ExportStanding], here: Here) -> tuple[ExportRow, ...]:
    """Return exports, in the order the workflow gave."""
    return tuple(_row(each, here) for each in exports)


def _row(each: ExportStanding, here: Here) -> ExportRow:
    known = _STATES.get(each.state.value, Tag(each.state.value, "grey"))
    return ExportRow(
        id=each.id,
        state=Tag(_(known.text), known.colour),
        asked=full_time(each.created_at, here),
        words=_words(each, here),
        ready=each.state.value == "done",
        payloads=each.payloads,
    )


def _words(each: ExportStanding, here: Here) -> str:
    if each.fault is not None:
        return each.fault
    if each.size is not None and each.expires_at is not None:
        return _("{size} bytes, SHA-256 {hash}; kept until {until}").format(
            size=f"{each.size:,}", hash=each.sha256, until=full_time(each.expires_at, here)
        )
    return _("{done} of {total} entries looked at").format(done=f"{each.done:,}", total=f"{each.total:,}")
