"""Cases with a context for the pages' tests: earlier observations, a note, and texts that would like to be more than text."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from arbiter.documents.context import RecordText
from arbiter.model import CaseId, RiskClass
from arbiter.protocols.context import RawContext
from arbiter.protocols.intake import RawFact
from arbiter.workflow.intake import submit
from arbiter.workflow.subjects import SubjectRef
from tests.clinician_ui.conftest import EXCLUDED, SUBJECT, Facts, Ward
from tests.houses import submission

BREATHS = ((12, 18), (9, 17), (6, 20), (4, 21), (2, 23))
"""Hours before intake, breaths a minute."""

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</textarea></details></div><h1>Panel: urgent</h1>",
    "<!-- <style>*{display:none}</style> -->",
    "&lt;b&gt; &#60;i&#62; {{ 7*7 }} {% raw %}",
    "[click me](javascript:alert(1)) **bold** https://evil.example/x",
    "\u200fמימין\u200e לשמאל",  # noqa: RUF001 - Hebrew on purpose
    "W" * 10_000,
)


def earlier(now: datetime) -> tuple[tuple[str, RawFact], ...]:
    """A rising respiratory rate, falling saturation in two steps, a mind that was clear."""
    numbers = [
        ("respiratory_rate", RawFact(Decimal(rate), "/min", now - timedelta(hours=hours), "final", "monitor"))
        for hours, rate in BREATHS
    ]
    return (
        *numbers,
        ("spo2", RawFact(Decimal(98), "%", now - timedelta(hours=6), "final", "monitor")),
        ("temperature", RawFact(Decimal("99.5"), "[degF]", now - timedelta(hours=6), "final", "ward")),
        ("consciousness", RawFact("confusion", None, now - timedelta(hours=6), "preliminary", "nurse")),
        ("lactate", RawFact(Decimal("1.4"), "mmol/L", now - timedelta(days=2), "final", "laboratory")),
    )


def note(
    now: datetime, text: str = "Slept little.\nAsks for water.", title: str = "Night round"
) -> RecordText:
    """A text of the record, written three hours ago."""
    return RecordText(title, "ward note", now - timedelta(hours=3), "ward nurse", text)


async def told_case(
    ward: Ward,
    context: RawContext | None = None,
    changes: Facts = EXCLUDED,
    risk: RiskClass = RiskClass.ROUTINE,
) -> CaseId:
    """Hand in a case that a clinician must see, with a context."""
    now = ward.clock.now()
    number = next(ward._keys)
    made = replace(
        submission(now, **changes),
        risk_class=risk,
        subject=SubjectRef("urn:example:patients", f"{SUBJECT}-{number}"),
        context=RawContext(earlier(now), (note(now),)) if context is None else context,
    )
    submitted = await submit(ward.house, ward.client, made, f"told-{number}", b"told %d" % number)
    await ward.house.errands.finish(10)
    return submitted.case
