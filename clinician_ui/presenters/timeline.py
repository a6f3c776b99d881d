"""What is known of a patient in the order of time, newest first: observations, texts, when the case came in and was amended.

Made from `BlindCase` alone. Nothing of the panel, of the case's way to a clinician, of who else looked or of an audit is ever an
event here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from arbiter.documents.context import RecordText
from arbiter.workflow.blinding import BlindCase
from clinician_ui.presenters.times import Here, Moment, duration_words, moment
from clinician_ui.presenters.values import value_words
from clinician_ui.texts import _, ngettext


@dataclass(frozen=True, slots=True)
class Event:
    """Something at an instant: what it is, what was seen, and the place on the page where it is read."""

    at: Moment
    what: str
    seen: tuple[str, ...]
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events, newest first, and how many there are over what time."""

    events: tuple[Event, ...]
    words: str


@dataclass(frozen=True, slots=True)
class RecordPage:
    """A text of the record as it is read in place."""

    anchor: str
    title: str
    kind: str
    author: str
    written: Moment
    text: str


def record_pages(blind: BlindCase, here: Here) -> tuple[RecordPage, ...]:
    """Return the record's texts, newest first."""
    return tuple(
        RecordPage(anchor, each.title, each.kind, each.author, moment(each.written_at, here), each.text)
        for anchor, each in reversed(_anchored(blind))
    )


def timeline(blind: BlindCase, here: Here) -> Timeline:
    """Return what happened, newest first; what was observed at one instant stands together."""
    dated = [*_observations(blind, here), *_documents(blind, here), *_arrivals(blind, here)]
    dated.sort(key=lambda pair: pair[0], reverse=True)
    span = dated[0][0] - dated[-1][0] if dated else timedelta()
    counted = ngettext("{number} entry", "{number} entries", len(dated)).format(number=len(dated))
    words = _("{entries} over {time}").format(entries=counted, time=duration_words(span))
    return Timeline(tuple(event for _at, event in dated), words)


def _observations(blind: BlindCase, here: Here) -> Iterator[tuple[datetime, Event]]:
    seen: dict[datetime, list[str]] = defaultdict(list)
    for fact in blind.facts:
        seen[fact.observed_at].append(_said(fact.title, fact.value, fact.unit))
        for each in fact.earlier:
            seen[each.observed_at].append(_said(fact.title, each.value, fact.unit))
    for once in blind.once_known:
        for each in once.earlier:
            seen[each.observed_at].append(_said(once.title, each.value, once.unit))
    for at, values in seen.items():
        yield at, Event(moment(at, here), _("Observed"), tuple(values))


def _said(title: str, value: str, unit: str | None) -> str:
    return _("{fact}: {value}").format(fact=title, value=value_words(value, unit))


def _documents(blind: BlindCase, here: Here) -> Iterator[tuple[datetime, Event]]:
    for anchor, each in _anchored(blind):
        yield each.written_at, Event(moment(each.written_at, here), _("Document"), (each.title,), anchor)


def _arrivals(blind: BlindCase, here: Here) -> Iterator[tuple[datetime, Event]]:
    yield blind.received_at, Event(moment(blind.received_at, here), _("The case came in"), ())
    for at in blind.amended_at:
        yield at, Event(moment(at, here), _("The hospital system sent new facts"), ())


def _anchored(blind: BlindCase) -> list[tuple[str, RecordText]]:
    return [(f"document-{number}", each) for number, each in enumerate(blind.documents, start=1)]
