"""A published score's table as data, and the two readings every score here shares.

Guarantees: a table holds the bands as the publication prints them, open and closed ends included; a value that
falls between two printed bands takes the one with more points, so that no patient is ever scored healthier than
the publication would; a missing input is named and never replaced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TypeAlias

from arbiter.model import FactValue

Facts: TypeAlias = Mapping[str, FactValue]


@dataclass(frozen=True, slots=True)
class Band:
    """One printed band of a number: its points and its ends (`at_least`/`at_most` include, `above`/`below` do not)."""

    points: int
    at_least: Decimal | None = None
    above: Decimal | None = None
    at_most: Decimal | None = None
    below: Decimal | None = None

    def holds(self, value: Decimal) -> bool:
        """Return whether the value lies in this band."""
        return not self.is_above(value) and not self.is_below(value)

    def is_above(self, value: Decimal) -> bool:
        """Return whether the whole band lies above the value."""
        if self.at_least is not None and value < self.at_least:
            return True
        return self.above is not None and value <= self.above

    def is_below(self, value: Decimal) -> bool:
        """Return whether the whole band lies below the value."""
        if self.at_most is not None and value > self.at_most:
            return True
        return self.below is not None and value >= self.below

    def text(self) -> str:
        """Return the band in words, without a patient's value: `21 to 24`, `25 or more`, `below 36`."""
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least} to {self.at_most}"
        if self.at_least is not None:
            return f"{self.at_least} or more"
        if self.at_most is not None:
            return f"{self.at_most} or less"
        ends = []
        if self.above is not None:
            ends.append(f"above {self.above}")
        if self.below is not None:
            ends.append(f"below {self.below}")
        return " and ".join(ends) or "any"


@dataclass(frozen=True, slots=True)
class Row:
    """One numeric parameter: the fact, the UCUM unit its table is printed in, and its bands from low to high."""

    fact: str
    title: str
    unit: str
    bands: tuple[Band, ...]

    def read(self, value: FactValue) -> Component:
        """Return the points for a value.

        Raises:
            TypeError: when the value is no finite number.
        """
        if isinstance(value, bool) or not isinstance(value, Decimal) or not value.is_finite():
            raise TypeError(f"{self.fact}: expected a finite number, {type(value).__name__} came")
        band = next((band for band in self.bands if band.holds(value)), None)
        if band is None:
            under = [band for band in self.bands if band.is_below(value)][-1:]
            over = [band for band in self.bands if band.is_above(value)][:1]
            band = max(under + over, key=lambda candidate: candidate.points)
        return Component(self.fact, value, band.points, f"{self.title} {band.text()} {self.unit}".rstrip())

    def definition(self) -> dict[str, object]:
        """Return the row as plain JSON values, for the score's digest."""
        return {
            "fact": self.fact,
            "unit": self.unit,
            "bands": [{"in": band.text(), "points": band.points} for band in self.bands],
        }


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One coded parameter: every code the table knows with its points."""

    fact: str
    title: str
    codes: tuple[tuple[str, int], ...]

    def read(self, value: FactValue) -> Component:
        """Return the points for a code.

        Raises:
            TypeError: when the table does not know the code.
        """
        points = dict(self.codes).get(value) if isinstance(value, str) else None
        if points is None:
            raise TypeError(f"{self.fact}: expected one of {', '.join(code for code, _ in self.codes)}")
        return Component(self.fact, value, points, f"{self.title}: {value}")

    def definition(self) -> dict[str, object]:
        """Return the row as plain JSON values, for the score's digest."""
        return {"fact": self.fact, "codes": [{"is": code, "points": points} for code, points in self.codes]}


@dataclass(frozen=True, slots=True)
class FlagRow:
    """One yes-or-no parameter and its points either way."""

    fact: str
    title: str
    yes: int
    no: int

    def read(self, value: FactValue) -> Component:
        """Return the points for a flag.

        Raises:
            TypeError: when the value is no flag.
        """
        if not isinstance(value, bool):
            raise TypeError(f"{self.fact}: expected a flag, {type(value).__name__} came")
        points = self.yes if value else self.no
        return Component(self.fact, value, points, f"{self.title}: {'yes' if value else 'no'}")

    def definition(self) -> dict[str, object]:
        """Return the row as plain JSON values, for the score's digest."""
        return {"fact": self.fact, "yes": self.yes, "no": self.no}


@dataclass(frozen=True, slots=True)
class SlopeRow:
    """One numeric parameter that adds the same whole number of points for every unit of it, as in a regression."""

    fact: str
    title: str
    unit: str
    per_unit: int

    def read(self, value: FactValue) -> Component:
        """Return the points for a value; a part of a point counts as a whole one.

        Raises:
            TypeError: when the value is no finite number.
        """
        if isinstance(value, bool) or not isinstance(value, Decimal) or not value.is_finite():
            raise TypeError(f"{self.fact}: expected a finite number, {type(value).__name__} came")
        points = int((value * self.per_unit).to_integral_value(rounding=ROUND_CEILING))
        return Component(
            self.fact, value, points, f"{self.title}, {self.per_unit} points for each {self.unit}"
        )

    def definition(self) -> dict[str, object]:
        """Return the row as plain JSON values, for the score's digest."""
        return {"fact": self.fact, "unit": self.unit, "per_unit": self.per_unit}


@dataclass(frozen=True, slots=True)
class Component:
    """What one fact contributed: the value read, its points, and the band it fell in, in words."""

    fact: str
    value: FactValue
    points: int
    finding: str


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """What a score says of a set of facts.

    `option` is None when the score abstains. It does so for want of facts: `total` is then None and `missing` names what
    it lacked or found too old. Or because the source that ties its bands to an action leaves the band of this `total` to
    a person's judgement: the total stands, nothing is missing, and `summary` says whose judgement it is.
    A score may answer although facts are missing where the answer is already certain (SIRS alone);
    `total` is then the least total, and `summary` says so.
    """

    total: int | None
    components: tuple[Component, ...]
    option: str | None
    missing: tuple[str, ...]
    summary: str


AnyRow: TypeAlias = Row | CodeRow | FlagRow | SlopeRow


@dataclass(frozen=True, slots=True)
class Score:
    """A published score as a seat uses it.

    `rows` are every row its `assess` may read, `needs` the facts without which it abstains; `wants` further facts
    it reads when they are there. `options` are all the options it may name. `thresholds` are the numbers that turn
    a total into an option. `assess` takes the fresh facts by name and the names of facts found too old.
    """

    name: str
    version: str
    title: str
    source: str
    rows: tuple[AnyRow, ...]
    needs: tuple[str, ...]
    wants: tuple[str, ...]
    thresholds: tuple[tuple[str, int], ...]
    options: tuple[str, ...]
    assess: Callable[[Facts, frozenset[str]], ScoreResult]

    def digest(self) -> str:
        """Return the SHA-256 (hex) over the canonical JSON of everything that defines the score's behaviour."""
        document = {
            "name": self.name,
            "version": self.version,
            "rows": [row.definition() for row in self.rows],
            "needs": list(self.needs),
            "wants": list(self.wants),
            "thresholds": [{"name": name, "points": points} for name, points in self.thresholds],
            "options": list(self.options),
        }
        # Keys and values are ASCII strings and small integers, for which this is the RFC 8785 form.
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def band(points: int, low: str | None = None, high: str | None = None) -> Band:
    """Return the band from `low` to `high`, both included; an end left out is open."""
    return Band(
        points,
        at_least=None if low is None else Decimal(low),
        at_most=None if high is None else Decimal(high),
    )


def above(points: int, end: str) -> Band:
    """Return the band of everything above `end`, which it does not include."""
    return Band(points, above=Decimal(end))


def below(points: int, end: str) -> Band:
    """Return the band of everything below `end`, which it does not include."""
    return Band(points, below=Decimal(end))


def once(parts: Iterable[Component]) -> tuple[Component, ...]:
    """Return the parts of one criterion with its points counted once, on the first part that has any.

    The further parts are shown and add nothing.
    """
    counted = False
    found: list[Component] = []
    for part in parts:
        found.append(Component(part.fact, part.value, 0, part.finding) if counted else part)
        counted = counted or part.points > 0
    return tuple(found)


def lacking(names: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
    """Return those of the names that the facts do not hold, in the order given."""
    return tuple(name for name in names if name not in facts)


def abstains(title: str, missing: tuple[str, ...]) -> ScoreResult:
    """Return the result of a score that will not guess."""
    return ScoreResult(None, (), None, missing, f"{title} abstains: missing or too old: {', '.join(missing)}")
