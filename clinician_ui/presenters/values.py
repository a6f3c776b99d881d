"""Values and units as people at a bedside read them."""

from __future__ import annotations

from typing import Final

from clinician_ui.presenters.times import NO_BREAK
from clinician_ui.texts import _, noted

_UNITS: Final = {
    "/min": noted("per minute"),
    "Cel": "°C",
    "[degF]": "°F",
    "mm[Hg]": "mmHg",
    "10*9/L": "\N{MULTIPLICATION SIGN} 10⁹/L",
    "umol/L": "µmol/L",
    "mL/min/{1.73_m2}": "mL/min/1.73 m²",
    "{drink}/wk": noted("drinks a week"),
    "a": noted("years"),
    "d": noted("days"),
    "kg/m2": "kg/m²",
    "h": noted("hours"),
    "min": noted("minutes"),
    "{score}": "",
    "1": "",
}
_FLAGS: Final = {"yes": noted("Yes"), "no": noted("No")}


def unit_words(unit: str | None) -> str:
    """Return a UCUM unit as it is read; one that nobody has words for is its own name, and a bare number has none."""
    shown = "" if unit is None else _UNITS.get(unit, unit)
    # The empty text is gettext's own header.
    return _(shown) if shown else ""


def plain_value(value: str) -> str:
    """Return a value as it is read: a flag as Yes or No, anything else as it is."""
    return _(_FLAGS[value]) if value in _FLAGS else value


def value_words(value: str, unit: str | None) -> str:
    """Return a value and its unit together."""
    shown = unit_words(unit)
    return f"{plain_value(value)}{NO_BREAK}{shown}" if shown else plain_value(value)
