"""What of the work list somebody wants to see: read from an address, written into one, and offered with its counts. Pure.

A number beside a choice is how many cases the list would have with it, all else as it is now: whoever chooses sees no more than the
lists themselves would show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from arbiter.errors import NotFoundError, RefusedError
from arbiter.model import RiskClass
from arbiter.workflow.work_list import EVERYTHING, Counted, Narrowing, WorkList, fits
from clinician_ui.presenters.times import RISK_TAGS, Here
from clinician_ui.texts import _

_PROTOCOL = re.compile(r"[a-z][a-z0-9-]{0,63}", re.ASCII)
_PAGE = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_FIELDS = frozenset({"risk", "site", "protocol", "overdue", "unacknowledged", "mine", "page", "said"})
_LONGEST = 500
SAID = frozenset({"none", "taken"})
"""What a form may have led back with: nothing is left to take, or somebody else has the case."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: a narrowing of what waits, `mine` alone or not, a page from 1, and what a form led back with."""

    narrowing: Narrowing = EVERYTHING
    mine: bool = False
    page: int = 1
    said: str = ""

    @property
    def narrows(self) -> bool:
        """Whether anything is left out."""
        return self.mine or self.narrowing != EVERYTHING

    def address(self, path: str = "/worklist") -> str:
        """Return the address that asks for this."""
        query = self.query()
        return f"{path}?{query}" if query else path

    def query(self) -> str:
        """Return this as the query of an address, in one order; empty when nothing is asked for."""
        asked = self.narrowing
        values = {
            "risk": asked.risk_class.value if asked.risk_class else "",
            "site": asked.site or "",
            "protocol": asked.protocol or "",
            "overdue": "1" if asked.overdue else "",
            "unacknowledged": "1" if asked.unacknowledged else "",
            "mine": "1" if self.mine else "",
            "page": str(self.page) if self.page > 1 else "",
            "said": self.said,
        }
        return urlencode({name: value for name, value in values.items() if value})


def read_wish(query: str, sites: frozenset[str]) -> Wish:
    """Return what a query asks for; an empty field asks for nothing.

    Raises:
        RefusedError: for a query that no page of ours makes; NotFoundError: for a site that is not one of `sites`.
    """
    if len(query) > _LONGEST:
        raise RefusedError(f"expected a query of at most {_LONGEST} characters")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=len(_FIELDS))
    except ValueError as error:
        raise RefusedError("expected a well-formed query") from error
    fields = dict(pairs)
    if len(fields) != len(pairs) or not fields.keys() <= _FIELDS:
        raise RefusedError("expected each field of the list's query once, and no other")
    site = fields.get("site") or None
    if site is not None and site not in sites:
        raise NotFoundError("no such site among this reviewer's")
    return Wish(
        Narrowing(
            site=site,
            protocol=_shaped(fields.get("protocol", ""), _PROTOCOL) or None,
            risk_class=_risk_class(fields.get("risk", "")),
            overdue=_ticked(fields.get("overdue", "")),
            unacknowledged=_ticked(fields.get("unacknowledged", "")),
        ),
        mine=_ticked(fields.get("mine", "")),
        page=int(_shaped(fields.get("page", ""), _PAGE) or "1"),
        said=_said(fields.get("said", "")),
    )


def _shaped(value: str, shape: re.Pattern[str]) -> str:
    if value and not shape.fullmatch(value):
        raise RefusedError("a field of the list's query is not of its shape")
    return value


def _risk_class(value: str) -> RiskClass | None:
    if not value:
        return None
    try:
        return RiskClass(value)
    except ValueError:
        raise RefusedError("expected a risk class that there is") from None


def _ticked(value: str) -> bool:
    if value not in {"", "1"}:
        raise RefusedError("expected a tick to be 1")
    return value == "1"


def _said(value: str) -> str:
    if value and value not in SAID:
        raise RefusedError("expected a message that there is")
    return value


# --- what is offered -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a field: what is sent, what is read, how many cases it would show, and whether it is chosen."""

    value: str
    text: str
    cases: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """The fields of the list's filter. A field with nothing to choose between is empty."""

    risks: tuple[Choice, ...]
    sites: tuple[Choice, ...]
    protocols: tuple[Choice, ...]
    ticks: tuple[Choice, ...]
    narrows: bool


def filter_of(listed: WorkList, wish: Wish, here: Here, sites: Iterable[str]) -> Filter:
    """Return what can be asked for, with counts; `sites` are the reviewer's own."""
    asked, counted = listed.narrowing, listed.counts.waiting

    def choices(
        values: Iterable[tuple[str, str]], every: str, chosen: str, narrowed: Callable[[str], Narrowing]
    ) -> tuple[Choice, ...]:
        offered = [("", every), *values]
        return tuple(
            Choice(value, text, _count(counted, narrowed(value)), value == chosen) for value, text in offered
        )

    risks = [(each.value, _(RISK_TAGS[each].text)) for each in _GRAVEST_FIRST]
    named = sorted(((site, here.site(site)) for site in sites), key=lambda site: (site[1], site[0]))
    titles = sorted(listed.protocols.items(), key=lambda protocol: (protocol[1], protocol[0]))
    chosen = asked.risk_class.value if asked.risk_class else ""
    return Filter(
        risks=choices(
            risks, _("Every risk class"), chosen, lambda value: replace(asked, risk_class=_risk_class(value))
        ),
        sites=choices(
            named, _("Every site"), asked.site or "", lambda value: replace(asked, site=value or None)
        )
        if len(named) > 1
        else (),
        protocols=choices(
            titles,
            _("Every protocol"),
            asked.protocol or "",
            lambda value: replace(asked, protocol=value or None),
        )
        if len(titles) > 1 or asked.protocol
        else (),
        ticks=(
            Choice("overdue", _("Overdue"), _count(counted, replace(asked, overdue=True)), asked.overdue),
            Choice(
                "unacknowledged",
                _("Not acknowledged"),
                _count(counted, replace(asked, unacknowledged=True)),
                asked.unacknowledged,
            ),
            Choice("mine", _("Only yours"), listed.counts.mine, wish.mine),
        ),
        narrows=wish.narrows,
    )


_GRAVEST_FIRST = (RiskClass.EMERGENCY, RiskClass.URGENT, RiskClass.ROUTINE)


def _count(counted: Iterable[Counted], narrowing: Narrowing) -> int:
    return sum(each.cases for each in counted if fits(each, narrowing))
