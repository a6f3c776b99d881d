"""What the demonstration's invented hospital knows beside an example's facts: how the values came to be what they are, and a note.

All of it is as invented as the patients. It is for the clinician's eyes: no member, rule or certificate is given any of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from arbiter.documents.scalars import decimal_text
from arbiter.protocols.intake import RawFact
from arbiter.question import FactSpec, Question

BEFORE: Final = (timedelta(hours=8), timedelta(hours=4), timedelta(hours=2), timedelta(hours=1))
"""How long before the present observation the earlier ones were made."""
_NOTE: Final = (
    "Observations taken as planned through the shift; the values are in the chart.\n"
    "An invented note about an invented patient."
)


def record_of(question: Question, facts: Mapping[str, RawFact]) -> dict[str, Any]:
    """Return the member `context` of a case with these facts: empty where no fact has a reference range to come from."""
    history = [
        earlier for name, raw in facts.items() for earlier in _way_there(name, raw, question.spec(name))
    ]
    if not history:
        return {}
    last = max(raw.observed_at for raw in facts.values())
    note = {
        "title": "Shift note",
        "kind": "ward note",
        "written_at": (last - timedelta(minutes=30)).isoformat(),
        "author": "ward nurse",
        "text": _NOTE,
    }
    return {"history": sorted(history, key=lambda each: str(each["observed_at"])), "documents": [note]}


def _way_there(name: str, raw: RawFact, spec: FactSpec | None) -> list[dict[str, Any]]:
    """Return observations that go evenly from what is usual to the present value."""
    value = raw.value
    if spec is None or spec.reference is None or not isinstance(value, Decimal) or raw.unit != spec.unit:
        return []
    bounds = [bound for bound in (spec.reference.low, spec.reference.high) if bound is not None]
    usual = sum(bounds, Decimal(0)) / len(bounds)
    step = Decimal(1).scaleb(-spec.decimals)
    return [
        {
            "name": name,
            "value": float(decimal_text((usual + (value - usual) * place / len(BEFORE)).quantize(step))),
            "unit": raw.unit,
            "observed_at": (raw.observed_at - before).isoformat(),
            "status": raw.status,
            "source": raw.source,
        }
        for place, before in enumerate(BEFORE)
    ]
