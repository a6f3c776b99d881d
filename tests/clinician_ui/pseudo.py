"""A language that nobody speaks: every text of the catalogue in brackets, a third longer, and without one plain letter.

What a page shows in plain letters has then not come from the catalogue; and what does not fit will not fit in German either.
"""

from __future__ import annotations

import re
from functools import cache
from gettext import GNUTranslations
from html.parser import HTMLParser
from io import BytesIO
from string import ascii_letters
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from clinician_ui.texts import DOMAIN, LANGUAGES, Language

TEMPLATE: Final = LANGUAGES / f"{DOMAIN}.pot"
LONGER_BY: Final = 0.35
_PLACES: Final = re.compile(r"(\{[^{}]*\}|%\(\w+\)[sd]|<[^<>]*>|&\w+;)")
_ACCENTED: Final = str.maketrans(ascii_letters, "åƀçđéƒğĥîĵķļɱñöƥɋřšŧüṽŵẋýžÅƁÇĐÉƑĞĤÎĴĶĻṀÑÖƤɊŘŠŦÜṼŴẊÝŽ")
OPEN, CLOSE = "⟦", "⟧"


def pseudo(text: str) -> str:
    """Return a text in the language: its places and marks are as they were."""
    parts = _PLACES.split(text)
    said = "".join(part if at % 2 else part.translate(_ACCENTED) for at, part in enumerate(parts))
    length = sum(len(part) for at, part in enumerate(parts) if not at % 2)
    more = "ëëë ëëëëë " * (round(length * LONGER_BY) // 10 + 1)
    return f"{OPEN}{said} {more[: max(1, round(length * LONGER_BY))].strip()}{CLOSE}"


@cache
def pseudo_language() -> Language:
    """Return the language, made of the committed template as a translator's catalogue would be."""
    with TEMPLATE.open("rb") as file:
        template = read_po(file)
    spoken = Catalog(locale="en", domain=DOMAIN)
    for message in template:
        if not message.id:
            continue
        said = pseudo(message.id) if isinstance(message.id, str) else tuple(map(pseudo, message.id))
        spoken.add(message.id, said, flags=message.flags)
    compiled = BytesIO()
    write_mo(compiled, spoken)
    compiled.seek(0)
    return Language("en-XA", leftwards=False, texts=GNUTranslations(compiled))


class _Shown(HTMLParser):
    """Gathers what people see or hear of a page: its texts, and the attributes that are read out or shown.

    What somebody said is on record as they said it, in whatever language: it is marked on the pages, and left out here.
    """

    _SHOWN: Final = frozenset(
        {"aria-label", "alt", "placeholder", "title", "aria-description", "aria-roledescription"}
    )
    _UNSEEN: Final = frozenset({"script", "style", "textarea"})
    _RECORDED: Final = "arbiter-said"

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.found += [value for name, value in given.items() if name in self._SHOWN]
        if tag == "input" and given.get("type") in {"submit", "button", "reset"}:
            self.found.append(given.get("value", ""))
        if tag in self._UNSEEN or self._RECORDED in given.get("class", "").split():
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if not self._within and data.strip():
            self.found.append(" ".join(data.split()))


def shown(page: str) -> list[str]:
    """Return every text that a page shows or has read out, as it stands."""
    parser = _Shown()
    parser.feed(page)
    return parser.found


def plain(page: str, data: re.Pattern[str]) -> list[str]:
    """Return the texts of a page that have plain letters once what matches `data` is taken out."""
    return [text for text in shown(page) if re.search("[A-Za-z]", data.sub(" ", text))]
