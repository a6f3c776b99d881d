"""The building blocks of the schemas: text without control characters, instants with an offset, exact numbers.

Each refusal carries a code and a constant sentence, so that no message can repeat what was sent.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from arbiter.api.complaints import OWN_PREFIX, kind_of

LINE_LIMIT = 200
PROSE_LIMIT = 2000
RECORD_LIMIT = 20_000

_IDENTIFIER = re.compile(r"[a-z](?:[a-z0-9_-]{0,62}[a-z0-9])?")
_SITE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_CASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
# Blank characters that prose may hold beside what Unicode calls printable.
_PROSE_BLANKS = str.maketrans("", "", "\n\t\u00a0\u202f")


def refusal(code: str, message: str) -> PydanticCustomError:
    """Return the error of a validator: `message` is a constant, never made from the input."""
    return PydanticCustomError(OWN_PREFIX + code, message)


def _text(value: object) -> str:
    if type(value) is not str:
        raise refusal("type", f"expected text, came {kind_of(value)}")
    return value


def _line(value: object) -> str:
    text = _text(value)
    if not text or len(text) > LINE_LIMIT:
        raise refusal("length", f"expected 1 to {LINE_LIMIT} characters")
    if not text.isprintable():
        raise refusal("control-character", "expected printable characters on one line")
    if text[0] == " " or text[-1] == " ":
        raise refusal("untrimmed", "expected no blank at either end")
    return text


def _prose(value: object) -> str:
    text = _text(value)
    if not text.strip() or len(text) > PROSE_LIMIT:
        raise refusal("length", f"expected 1 to {PROSE_LIMIT} characters")
    if not text.translate(_PROSE_BLANKS).isprintable():
        raise refusal("control-character", "expected printable characters and line breaks")
    return text


def _record(value: object) -> str:
    # Which characters a text of the record may hold is judged with the context, as at every door.
    text = _text(value)
    if not text.strip() or len(text) > RECORD_LIMIT:
        raise refusal("length", f"expected 1 to {RECORD_LIMIT} characters")
    return text


def _named(pattern: re.Pattern[str], what: str) -> Any:
    def validate(value: object) -> str:
        text = _text(value)
        if pattern.fullmatch(text) is None:
            raise refusal("pattern", f"expected {what}")
        return text

    return validate


def _instant(value: object) -> datetime:
    if type(value) is not str:
        raise refusal("type", f"expected an instant as text, came {kind_of(value)}")
    if _INSTANT.fullmatch(value) is None:
        raise refusal(
            "instant", "expected an instant with its offset, such as 2026-11-22T09:00:00+00:00 (RFC 3339)"
        )
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise refusal("instant", "expected an instant that the calendar has") from None


def _fact_value(value: object) -> Decimal | str | bool:
    match value:
        case bool():
            return value
        case int():
            return Decimal(value)
        case Decimal():
            return value
        case str():
            return _line(value)
        case _:
            raise refusal("type", f"expected a number, a code or true or false, came {kind_of(value)}")


def _number_out(value: Decimal | str | bool) -> float | str | bool:
    # Facts are range-checked and carry few decimals: the shortest float that reads back is the same number.
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)


Line = Annotated[
    str,
    PlainValidator(_line),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LINE_LIMIT}),
]
"""Text on one line: printable, trimmed, 1 to 200 characters."""

Prose = Annotated[
    str,
    PlainValidator(_prose),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": PROSE_LIMIT}),
]
"""A few sentences: printable characters, tabs and line breaks, 1 to 2000 characters."""

RecordProse = Annotated[
    str,
    PlainValidator(_record),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": RECORD_LIMIT}),
]
"""A text of the patient's record: plain, 1 to 20,000 characters."""

Identifier = Annotated[
    str,
    PlainValidator(_named(_IDENTIFIER, "an identifier: 1 to 64 of a-z, 0-9, - and _, a letter first")),
    WithJsonSchema({"type": "string", "pattern": f"^{_IDENTIFIER.pattern}$"}),
]
SiteId = Annotated[
    str,
    PlainValidator(_named(_SITE, "a site's id: 1 to 64 of a-z, 0-9 and inner hyphens")),
    WithJsonSchema({"type": "string", "pattern": f"^{_SITE.pattern}$"}),
]
CaseIdText = Annotated[
    str,
    PlainValidator(_named(_CASE_ID, "a case's id")),
    WithJsonSchema({"type": "string", "pattern": f"^{_CASE_ID.pattern}$"}),
]
Instant = Annotated[
    datetime, PlainValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""An instant with its offset (RFC 3339), at most microseconds; kept in UTC."""

FactValueText = Annotated[
    Decimal | str | bool,
    PlainValidator(_fact_value),
    PlainSerializer(_number_out, return_type=Any),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "minLength": 1, "maxLength": LINE_LIMIT},
                {"type": "boolean"},
            ]
        }
    ),
]
"""A number for a measurement, text for a code, true or false for a flag; none is taken for another."""

Limit = Annotated[int, Field(ge=1, le=200)]
RiskText: TypeAlias = Literal["routine", "urgent", "emergency"]
StatusText: TypeAlias = Literal["final", "preliminary", "amended", "corrected"]
