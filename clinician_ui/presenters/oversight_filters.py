"""The filters of the oversight page: what an address asks for, and what has to be put right in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import urlencode

from arbiter.workflow.oversight.looking import FIRST_DAY, LAST_DAY, MOST_DAYS, Asked
from clinician_ui.forms import Mistake
from clinician_ui.presenters.oversight import Choice, Filters
from clinician_ui.texts import _

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an address asks for, None where something has to be put right first; and what was typed, as far as it may be shown."""

    asked: Asked | None
    mistakes: tuple[Mistake, ...]
    protocol: str
    site: str
    since: str
    until: str

    @property
    def query(self) -> str:
        """What asks for the same again, and holds nothing but what was understood."""
        if self.asked is None:
            return ""
        named = {
            "protocol": self.asked.protocol or "",
            "site": self.asked.site or "",
            "from": self.asked.since.isoformat(),
            "to": self.asked.until.isoformat(),
        }
        return urlencode({name: value for name, value in named.items() if value})


def wanted_in(query: Mapping[str, str], newest: Asked, protocols: Mapping[str, str]) -> Wanted:
    """Return what a query string asks for; days that are not given are those of `newest`. A site is checked where it is looked up."""
    given = {name: query.get(name, "").strip()[:_LONGEST] for name in ("protocol", "site", "from", "to")}
    mistakes = []
    until = _day(given["to"], newest.until)
    since = _day(given["from"], newest.since if until is None else min(newest.since, until))
    if since is None:
        mistakes.append(Mistake("from", _("The first day must be a date, such as 2026-03-01")))
    if until is None:
        mistakes.append(Mistake("to", _("The last day must be a date, such as 2026-03-31")))
    if since is not None and until is not None:
        if until < since:
            mistakes.append(Mistake("to", _("The last day must not be before the first")))
        elif (until - since).days >= MOST_DAYS:
            mistakes.append(Mistake("from", _("Choose at most {days} days").format(days=MOST_DAYS)))
    if given["protocol"] and given["protocol"] not in protocols:
        mistakes.append(Mistake("protocol", _("Choose a protocol from the list")))
    asked = None
    if not mistakes and since is not None and until is not None:
        asked = Asked(since, until, given["protocol"] or None, given["site"] or None)
    return Wanted(
        asked,
        tuple(mistakes),
        given["protocol"],
        given["site"],
        (since or newest.since).isoformat(),
        (until or newest.until).isoformat(),
    )


def filters_of(wanted: Wanted, protocols: Mapping[str, str], sites: Mapping[str, str]) -> Filters:
    """Return the filters as the page shows them again."""
    return Filters(
        protocols=(
            Choice("", _("All protocols"), not wanted.protocol),
            *(Choice(name, title, name == wanted.protocol) for name, title in sorted(protocols.items())),
        ),
        sites=(
            Choice("", _("All my sites"), not wanted.site),
            *(Choice(name, title, name == wanted.site) for name, title in sorted(sites.items())),
        ),
        since=wanted.since,
        until=wanted.until,
    )


def _day(text: str, otherwise: date) -> date | None:
    if not text:
        return otherwise
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None
    return day if day is not None and FIRST_DAY <= day <= LAST_DAY else None
