"""What the log's entries say, in words for whoever reads it, and how each kind stands out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo

from arbiter.cli.cases.words import STEPS
from arbiter.lifecycle.entries import EntryType

OTHERS: Mapping[str, str] = {
    "subject.searched": "somebody looked for a patient's cases",
    "subject.merged": "two numbers were joined as one patient",
    "subject.separated": "a number was parted from the patient it was joined to",
    "erasure.ordered": "a case's erasure was ordered",
    "backup.begun": "a backup was begun",
    "backup.restored": "a backup was restored",
    "log.contradicted": "two signed checkpoints contradicted each other; both are kept",
    "log.recovered": "entries were lost, and the log goes on under another name",
}
"""Kinds that belong to no case."""

_ALARMING = "bold red"
_STYLES: Mapping[str, str] = {
    "log.contradicted": _ALARMING,
    "log.recovered": _ALARMING,
    EntryType.ESCALATED: "yellow",
    EntryType.OVERDUE: _ALARMING,
    EntryType.UNATTENDED: _ALARMING,
    EntryType.WITHDRAWN: _ALARMING,
    EntryType.RETRACTED: _ALARMING,
    EntryType.CONTESTED: "yellow",
    EntryType.GLASS_BROKEN: "bold yellow",
    EntryType.DECIDED: "green",
    EntryType.RELEASED: "green",
    EntryType.READ: "dim",
    EntryType.RENEWED: "dim",
}


def said(kind: str) -> str:
    """Return what an entry says; a kind that has no words here is shown as it is."""
    return STEPS.get(kind) or OTHERS.get(kind) or kind


def style(kind: str) -> str:
    """Return how an entry of that kind is printed on a terminal."""
    return _STYLES.get(kind, "")


def clock(at: datetime, zone: tzinfo | None) -> str:
    """Return an instant as a clock on the hospital's wall shows it; `zone` None is this machine's."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
