"""What may count as a label: how it came about, by whom or from what, and on which day.

A panel is measured against these labels, so none may come from the panel itself. Whoever saw what the panel said leans towards it
(automation bias: Goddard, Roudsari and Wyatt 2012, J Am Med Inform Assoc 19:121), and such a decision taken for the truth would
certify the panel by its own echo.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from arbiter.calibration import is_synthetic
from arbiter.errors import Problem
from arbiter.protocols.fhir.times import day_of, earliest_of, instant_of, latest_of

KINDS: Final = ("outcome", "independent reader", "blind opinion")
"""What happened to the patient; who read the case apart from the panel; a clinician's own word before the panel was shown."""

SOURCE_LIMIT: Final = 140
"""Kind, source and day together must fit a case's provenance of 200 characters."""

_INVENTED = re.compile(r"synthetic(?=[ -]|$)[a-z -]{0,31}", re.ASCII)
_DAY_LENGTH: Final = len("2026-03-01")


@dataclass(frozen=True, slots=True)
class Label:
    """The option that is right, and where that comes from; `given` is a day, or an instant with its offset."""

    option: str
    kind: str
    source: str
    given: str

    @property
    def provenance(self) -> str:
        """What the case says of its label: the kind, and behind a semicolon what concerns this case."""
        return f"{self.kind}; {self.source}; {self.given[:_DAY_LENGTH]}"


def unfit_kind(kind: str, *, synthetic: bool) -> str | None:
    """Return why a kind of label is refused, or None; `synthetic` lets invented labels pass. The kind itself is never repeated."""
    if kind in KINDS:
        return None
    if is_synthetic(kind):
        if not synthetic:
            return "expected a label of a patient, an invented one came; --synthetic takes it, and it stays synthetic"
        if _INVENTED.fullmatch(kind) is None:
            return "expected synthetic alone, or with a few words in small letters, 40 characters in all"
        return None
    return (
        f"expected one of {', '.join(KINDS)}: a decision taken after seeing the panel is no label, "
        "for it leans to what the panel said and would measure the panel by itself"
    )


def misdated(given: str, taken_at: datetime, now: datetime, tolerance: timedelta) -> Problem | None:
    """Return what is wrong with a label's day for a case taken in at `taken_at`, or None; its pointer is the label's date."""
    # A day has no offset, so it counts as wrong only where it would be wrong everywhere on Earth.
    earliest, latest = earliest_of(given), latest_of(given)
    dated = day_of(given) is not None or instant_of(given) is not None
    if earliest is None or latest is None or not dated:
        detail = "expected a day such as 2026-03-01, or an instant with its offset"
        return Problem("/label/date", "instant", detail)
    if latest < taken_at:
        detail = "expected a day not before the case was taken in: what was known by then is no answer to it"
        return Problem("/label/date", "too-early", detail)
    if earliest > now + tolerance:
        return Problem("/label/date", "future", "expected a day that has come")
    return None
