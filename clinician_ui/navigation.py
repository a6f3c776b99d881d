"""Where the pages lead: one table of the places of the house, whom each is for, and which keys go there.

The header, the list of keyboard shortcuts, and what a log-in may lead to are all made from it. A place whose route is not in the
application is shown nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from starlette.routing import BaseRoute, Route

from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.workflow.watching.looking import may_look
from clinician_ui.texts import _, noted

HOME: Final = "/worklist"
FLEET: Final = "/fleet"
WATCH: Final = "/watch"
KEYS: Final = "/keys"

May: TypeAlias = Callable[[Principal], bool]


def _holds(permission: Permission) -> May:
    return lambda principal: permission in principal.permissions


@dataclass(frozen=True, slots=True)
class Entry:
    """A place: its address, what it is called, whom it is for, and the keys that lead there one after the other."""

    address: str
    title: str
    may: May
    keys: str


ENTRIES: Final = (
    Entry(HOME, noted("Work list"), _holds(Permission.REVIEW_WORK), "g w"),
    Entry("/mine", noted("My decisions"), _holds(Permission.REVIEW_WORK), "g m"),
    Entry("/duty", noted("Duty"), _holds(Permission.REVIEW_WORK), "g d"),
    Entry("/teaching", noted("Teaching"), _holds(Permission.REVIEW_WORK), "g t"),
    Entry("/oversight", noted("Oversight"), may_look, "g o"),
    Entry(WATCH, noted("Error rates"), may_look, "g e"),
    Entry(FLEET, noted("Fleet"), _holds(Permission.FLEET_WATCH), "g f"),
    Entry("/audit", noted("Audit"), _holds(Permission.AUDIT_READ), "g a"),
    Entry("/account", noted("Account"), _holds(Permission.REVIEW_WORK), "g p"),
)
_BESIDE: Final = (
    "/worklist/print",
    "/glass",
    KEYS,
    "/duty/handover",
    "/duty/handover/print",
    "/duty/rota",
    "/audit/entries",
    "/audit/exports",
    "/audit/receipt",
)
"""Pages that no place's table row stands for, to which a log-in may lead all the same."""

_LOCAL: Final = re.compile(
    "|".join((*(re.escape(each.address) for each in ENTRIES), *map(re.escape, _BESIDE)))
    + r"|/(?:cases|duty|audit/cases)/c_[a-z2-7]{1,64}|/cases/c_[a-z2-7]{1,64}/(?:done|read)",
    re.ASCII,
)


def is_ours(path: str) -> bool:
    """Return whether a path is the address of one of our pages: a place, a page beside it, or a case."""
    return _LOCAL.fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class Place:
    """An entry as one visitor sees it; `current` is how ARIA says that the page shown is it (`page`) or lies below it (`true`)."""

    address: str
    title: str
    keys: str
    current: str


class Navigation:
    """The places whose routes an application has."""

    def __init__(self) -> None:
        self._addresses: frozenset[str] = frozenset()

    def lead_to(self, routes: Iterable[BaseRoute]) -> None:
        """Take note of the pages there are; until then there are none."""
        self._addresses = frozenset(
            route.path for route in routes if isinstance(route, Route) and "GET" in (route.methods or ())
        )

    def places(self, principal: Principal, at: str = "") -> tuple[Place, ...]:
        """Return the places for somebody who looks at the page `at`, in the table's order."""
        return tuple(
            Place(entry.address, _(entry.title), entry.keys, _current(entry.address, at))
            for entry in ENTRIES
            if entry.address in self._addresses and entry.may(principal)
        )


def _current(address: str, at: str) -> str:
    if at == address:
        return "page"
    return "true" if at.startswith(f"{address}/") else ""
