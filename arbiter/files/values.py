"""What a value in such a file may be: text of a known form, an exact number, a duration.

Nothing is coerced from one type into another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

_DURATION = re.compile(
    r"P(?:(?P<days>[0-9]{1,4})D)?(?:T(?:(?P<hours>[0-9]{1,4})H)?(?:(?P<minutes>[0-9]{1,5})M)?(?:(?P<seconds>[0-9]{1,6})S)?)?"
)
LONGEST: Final = timedelta(days=366)
_SHOWN: Final = 40

ID_PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
FACT_PATTERN: Final = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
# Semantic Versioning 2.0.0 without build metadata, which does not order versions.
VERSION_PATTERN: Final = (
    r"^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})(-[0-9a-z][0-9a-z.-]{0,30})?$"
)
# UCUM case-sensitive codes are printable ASCII without spaces.
UNIT_PATTERN: Final = r"^[!-~]{1,32}$"
CODE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"
# What vLLM's --served-model-name, a revision of a repository and an adapter are called.
SERVED_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,127}$"
METHOD_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,63}$"
SHA256_PATTERN: Final = r"^[0-9a-f]{64}$"

# A title is printed at terminals, in lines for programs and on paper: no control characters, no turned direction.
TITLE_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"

PATTERNS: Final[Mapping[str, str]] = {
    ID_PATTERN: "lower-case words joined by hyphens",
    FACT_PATTERN: "lower-case words joined by underscores",
    VERSION_PATTERN: "a semantic version such as 1.0.0",
    UNIT_PATTERN: "a UCUM unit",
    CODE_PATTERN: "a short code",
    SERVED_PATTERN: "a name without spaces of at most 128 characters",
    METHOD_PATTERN: "the name of a method in lower case",
    SHA256_PATTERN: "64 lower-case hexadecimal digits",
    TITLE_PATTERN: "one line of printable text",
}


def _duration(value: object) -> timedelta:
    """Read whole seconds or an ISO 8601 duration of days, hours, minutes and seconds (months have no fixed length)."""
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = timedelta(seconds=min(max(value, -1), 10**9))
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value)) and any(match.groups()):
        seconds = timedelta(**{unit: int(count) for unit, count in match.groupdict().items() if count})
    else:
        raise PydanticCustomError(
            "duration",
            "expected a duration such as PT30S or a whole number of seconds, {came} came",
            {"came": repr(value[:_SHOWN]) if isinstance(value, str) else kind_of(value)},
        )
    if not timedelta(0) < seconds <= LONGEST:
        raise PydanticCustomError(
            "duration",
            "expected a duration above zero and up to 366 days, {came} came",
            {"came": str(value)[:_SHOWN]},
        )
    return seconds


def exact_number(value: object) -> Decimal:
    """Return a whole number or a decimal as it was written."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise PydanticCustomError("number", "expected a number, {kind} came", {"kind": kind_of(value)})


Id = Annotated[str, StringConstraints(pattern=ID_PATTERN, max_length=64)]
FactName = Annotated[str, StringConstraints(pattern=FACT_PATTERN, max_length=64)]
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]
Unit = Annotated[str, StringConstraints(pattern=UNIT_PATTERN)]
Code = Annotated[str, StringConstraints(pattern=CODE_PATTERN)]
ServedName = Annotated[str, StringConstraints(pattern=SERVED_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=SHA256_PATTERN)]
Title = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True, pattern=TITLE_PATTERN)
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4_000, strip_whitespace=True)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Number = Annotated[Decimal, BeforeValidator(exact_number)]
Share = Annotated[Decimal, BeforeValidator(exact_number), Field(ge=0, le=1)]


_KINDS: Final[Mapping[type, str]] = {
    type(None): "nothing",
    bool: "true or false",
    int: "a number",
    Decimal: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def kind_of(value: object) -> str:
    """Return what kind of plain value this is, in a reader's words."""
    return _KINDS.get(type(value), "something else")
