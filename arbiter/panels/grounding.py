"""Judges what a member returned: a sample counts only when it names an offered option and cites the case truthfully.

Guarantees: a cited value that the case does not hold, a fact or option nobody offered, or text beyond its limit makes
the whole sample invalid; nothing is repaired. The reasons given here are fixed words, never a member's or a patient's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Final

from arbiter.documents.scalars import decimal_text
from arbiter.model import Evidence, Fact, FactValue
from arbiter.panels.member import Asked, Sample

RATIONALE_LIMIT: Final = 4_000
FINDING_LIMIT: Final = 500
VALUE_LIMIT: Final = 64
LIST_LIMIT: Final = 64

# Plain notation only: an exponent could name a number with a billion digits in four characters.
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def fact_text(value: FactValue) -> str:
    """Return a fact's value as the text in which evidence cites it, `37.5`, `true`, `alert`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return decimal_text(value)
    return value


def fault_of(sample: Sample, asked: Asked) -> str | None:
    """Return why the sample does not count, in fixed words, or None when it does.

    An abstention needs no citation but may not cite falsely; a vote must cite at least one fact.
    """
    return _malformed(sample) or _misplaced(sample, asked) or _ungrounded(sample, asked)


class CitationFault(StrEnum):
    """Why a citation is not true of the case, in fixed words."""

    NOT_HELD = "ungrounded: cites a fact that the case does not hold"
    TOO_OLD = "ungrounded: cites a fact that is too old"
    OTHER_VALUE = "ungrounded: a cited value is not the case's"


def fault_of_citation(cited: Evidence, asked: Asked) -> CitationFault | None:
    """Return why a citation is not true of the case that was put to the member, or None when it is."""
    fact = asked.facts.get(cited.fact)
    if fact is None:
        return CitationFault.NOT_HELD
    if cited.fact in asked.too_old():
        return CitationFault.TOO_OLD
    return None if _agrees(cited.value, fact) else CitationFault.OTHER_VALUE


def _malformed(sample: object) -> str | None:
    """Check types and limits first: a member from outside may hand over anything."""
    if not isinstance(sample, Sample):
        return "not a sample"
    checks = (
        (sample.option is None or _is_text(sample.option, VALUE_LIMIT), "option is not a short text"),
        (_is_list_of(_is_evidence, sample.evidence), "citations are not plain texts within their limits"),
        (_is_list_of(_is_name, sample.missing), "missing facts are not plain names within their limits"),
        (_is_text(sample.rationale, RATIONALE_LIMIT), "rationale is not plain text within its limit"),
    )
    return next((cause for holds, cause in checks if not holds), None)


def _is_list_of(test: Callable[[object], bool], items: object) -> bool:
    return isinstance(items, tuple) and len(items) <= LIST_LIMIT and all(test(item) for item in items)


def _is_evidence(item: object) -> bool:
    return (
        isinstance(item, Evidence)
        and _is_name(item.fact)
        and _is_text(item.value, VALUE_LIMIT)
        and _is_text(item.finding, FINDING_LIMIT)
        and (item.points is None or type(item.points) is int)
    )


def _is_name(item: object) -> bool:
    return _is_text(item, VALUE_LIMIT)


def _is_text(text: object, limit: int) -> bool:
    if not isinstance(text, str) or len(text) > limit:
        return False
    # Plain texts are nearly all that come, and are told at once.
    return (text.isascii() and text.isprintable()) or _CONTROL.search(text) is None


def _misplaced(sample: Sample, asked: Asked) -> str | None:
    if sample.option is not None and sample.option not in {option.id for option in asked.options}:
        return "names an option that was not offered"
    known = {spec.name for spec in asked.specs}
    if not known.issuperset(sample.missing):
        return "misses a fact that the question does not have"
    if len(set(sample.missing)) != len(sample.missing):
        return "misses a fact twice"
    return None


def _ungrounded(sample: Sample, asked: Asked) -> str | None:
    if sample.option is not None and not sample.evidence:
        return "ungrounded: votes and cites nothing"
    return next(
        (fault.value for item in sample.evidence if (fault := fault_of_citation(item, asked)) is not None),
        None,
    )


def _agrees(cited: str, fact: Fact) -> bool:
    """Numbers agree by value (`37` and `37.0`), everything else by letter."""
    if isinstance(fact.value, Decimal):
        return _NUMBER.fullmatch(cited) is not None and Decimal(cited) == fact.value
    return cited == fact_text(fact.value)
