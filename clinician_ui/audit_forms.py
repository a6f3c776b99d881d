"""What an auditor sends: a search by time and kind, and what an export is to hold. Times are clock times in the hospital's zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from clinician_ui.fields import Fields, check_known, only_value
from clinician_ui.forms import Mistake
from clinician_ui.texts import _

_KIND = re.compile(r"[a-z][a-z.-]{0,60}", re.ASCII)
_PLACE = re.compile(r"\d{1,15}", re.ASCII)
MOST_NAMED = 200


@dataclass(frozen=True, slots=True)
class SearchForm:
    """A search as it was typed, its instants, and what is to be put right."""

    kind: str = ""
    site: str = ""
    since_text: str = ""
    until_text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    mistakes: tuple[Mistake, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportForm:
    """An export as it was typed, and what is to be put right."""

    cases_text: str = ""
    cases: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    since_text: str = ""
    until_text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    payloads: bool = False
    paper: bool = False
    mistakes: tuple[Mistake, ...] = ()


def read_search(query: Mapping[str, str], zone: tzinfo | None) -> SearchForm:
    """Return a search; what no page of ours asks for counts as not asked."""
    texts = {name: query.get(name, "")[:40] for name in ("kind", "site", "since", "until", "before")}
    since, until, mistakes = _span(texts, zone)
    return SearchForm(
        kind=texts["kind"] if _KIND.fullmatch(texts["kind"]) else "",
        site=texts["site"],
        since_text=texts["since"],
        until_text=texts["until"],
        since=since,
        until=until,
        before=place(texts["before"]),
        mistakes=mistakes,
    )


def read_export(fields: Fields, zone: tzinfo | None) -> ExportForm:
    """Return what an export is to hold.

    Raises:
        RefusedError: for a field that the page does not have.
    """
    check_known(fields, {"cases", "sites", "since", "until", "payloads", "paper"})
    cases_text = (only_value(fields, "cases") or "")[:20_000]
    cases = tuple(cases_text.split())
    texts = {name: (only_value(fields, name) or "")[:40] for name in ("since", "until")}
    since, until, mistakes = _span(texts, zone)
    if len(cases) > MOST_NAMED:
        words = _("Name at most {number} cases").format(number=MOST_NAMED)
        mistakes = (Mistake("cases", words), *mistakes)
    return ExportForm(
        cases_text=cases_text,
        cases=cases,
        sites=fields.get("sites", ()),
        since_text=texts["since"],
        until_text=texts["until"],
        since=since,
        until=until,
        payloads="payloads" in fields,
        paper="paper" in fields,
        mistakes=mistakes,
    )


def place(text: str) -> int | None:
    """Return a place in the log or in a chain; None for anything else."""
    return int(text) if _PLACE.fullmatch(text) else None


def _span(
    texts: Mapping[str, str], zone: tzinfo | None
) -> tuple[datetime | None, datetime | None, tuple[Mistake, ...]]:
    mistakes, found = [], dict[str, datetime | None]()
    for name in ("since", "until"):
        try:
            found[name] = _instant(texts[name], zone)
        except (ValueError, OverflowError):
            found[name] = None
            mistakes.append(Mistake(name, _("Enter a day and a time, such as 2026-03-01T08:00")))
    since, until = found["since"], found["until"]
    if since is not None and until is not None and until <= since:
        mistakes.append(Mistake("until", _("The end must be after the beginning")))
    return since, until, tuple(mistakes)


def _instant(text: str, zone: tzinfo | None) -> datetime | None:
    if not text.strip():
        return None
    wall = datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    # Years that no zone's arithmetic holds are refused with it.
    return (wall.astimezone() if zone is None else wall.replace(tzinfo=zone)).astimezone(UTC)
