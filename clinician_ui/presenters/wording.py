"""Words that several parts of the revealed panel share: identifiers, cited values, and the marks on false citations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from arbiter.workflow.review import CitableFact, Falsehood
from clinician_ui.presenters.case import CasePage, FactRow
from clinician_ui.texts import _, noted

_FLAGS: Final = {"true": noted("Yes"), "false": noted("No")}
_NUMBER: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")

FALSEHOODS: Final[Mapping[Falsehood, str]] = {
    Falsehood.NOT_HELD: noted("The case does not hold this fact"),
    Falsehood.TOO_OLD: noted("Too old when the case came in"),
    Falsehood.OTHER_VALUE: noted("Not the value in the case"),
}


def words_of(identifier: str) -> str:
    """Return an identifier as words, such as `White cell count` for `white_cell_count`."""
    text = identifier.replace("_", " ").replace("-", " ").strip()
    return text[:1].upper() + text[1:]


def same_value(cited: str, held: str) -> bool:
    """Return whether a cited value is the case's: numbers by value (`37` and `37.0`), everything else by letter."""
    if _NUMBER.fullmatch(cited) and _NUMBER.fullmatch(held):
        return Decimal(cited) == Decimal(held)
    return cited == held


class FactWords:
    """What people call the facts of a case, and how values of theirs read."""

    def __init__(self, facts: tuple[CitableFact, ...], page: CasePage) -> None:
        self._facts = {fact.name: fact for fact in facts}
        self._rows = {row.name: row for row in page.facts}

    def order(self) -> tuple[str, ...]:
        """Return the names of the question's facts in its order."""
        return tuple(self._facts)

    def title(self, name: str) -> str:
        """Return what people call a fact; its name as words where the question lacks it."""
        fact = self._facts.get(name)
        return words_of(name) if fact is None else fact.title

    def row(self, name: str) -> FactRow | None:
        """Return the fact as the case holds it, None where it does not."""
        return self._rows.get(name)

    def falsehood(self, name: str, cited: str) -> Falsehood | None:
        """Return in what way a citation is not true of the case, None where it is true."""
        fact = self._facts.get(name)
        if fact is None or fact.value is None:
            return Falsehood.NOT_HELD
        if fact.too_old:
            return Falsehood.TOO_OLD
        return None if same_value(cited, fact.value) else Falsehood.OTHER_VALUE

    def spelt(self, name: str, cited: str) -> str:
        """Return a cited value as people read it: as in the table of facts where it is the case's own."""
        fact, row = self._facts.get(name), self._rows.get(name)
        if fact is not None and row is not None and fact.value is not None and same_value(cited, fact.value):
            return row.with_unit
        codes = {} if fact is None else dict(fact.codes)
        return codes.get(cited, _(_FLAGS[cited]) if cited in _FLAGS else cited)
