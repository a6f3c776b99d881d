"""The keyboard shortcuts of the pages: one table, from which the page that lists them and the script that obeys them are made.

Each is one or two plain keys, so each can be switched off in the browser, and none is obeyed while a field has the focus
(WCAG 2.2, success criterion 2.1.4).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from clinician_ui.navigation import HOME, KEYS, Place
from clinician_ui.texts import _, noted

_HOME_ADDRESS: Final = "/"


@dataclass(frozen=True, slots=True)
class _Act:
    """What a key does on the page that is shown; `needs` is the place without which no page of this visitor's has it."""

    keys: str
    act: str
    title: str
    needs: str = ""


_ACTS: Final = (
    _Act("?", "list", noted("Show this list")),
    _Act("n", "next", noted("Take the next case"), HOME),
    _Act("j", "down", noted("Go to the next item of a list"), HOME),
    _Act("k", "up", noted("Go to the item before"), HOME),
    _Act("/", "filter", noted("Go to the filter of a list"), HOME),
)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A shortcut as it is listed: its keys one after the other, and what they do."""

    keys: tuple[str, ...]
    does: str


@dataclass(frozen=True, slots=True)
class KeysPage:
    """The shortcuts of one visitor: those that lead somewhere, and those that act on the page that is shown."""

    going: tuple[KeyRow, ...]
    acting: tuple[KeyRow, ...]


@dataclass(frozen=True, slots=True)
class KeysLink:
    """Where the list is, and the same shortcuts as JSON: `{"g w": {"go": "/worklist"}, "?": {"act": "list"}}`."""

    address: str
    wiring: str


def keys_page(places: Iterable[Place]) -> KeysPage:
    """Return the list of shortcuts for a visitor whose navigation has these places."""
    there = tuple(places)
    return KeysPage(
        going=(
            KeyRow(("g", "h"), _("Where your work begins")),
            *(KeyRow(tuple(place.keys.split()), place.title) for place in there),
        ),
        acting=tuple(KeyRow(tuple(each.keys.split()), _(each.title)) for each in _acts(there)),
    )


def keys_link(places: Iterable[Place]) -> KeysLink:
    """Return the link to the list, with the shortcuts for the script."""
    there = tuple(places)
    wiring = {
        "g h": {"go": _HOME_ADDRESS},
        **{place.keys: {"go": place.address} for place in there},
        **{each.keys: {"act": each.act} for each in _acts(there)},
    }
    return KeysLink(KEYS, json.dumps(wiring))


def _acts(there: tuple[Place, ...]) -> tuple[_Act, ...]:
    addresses = {place.address for place in there}
    return tuple(each for each in _ACTS if not each.needs or each.needs in addresses)
