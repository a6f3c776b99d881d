"""The structure of a bundle's files as strict pydantic models, and what their complaints say in our words.

Guarantees: unknown keys, wrong types and values out of bounds are refused; numbers are exact decimals; nothing is
coerced from one type into another. What needs two places of a bundle to be judged is in `arbiter.protocols.checks`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import ErrorDetails, PydanticCustomError

from arbiter.model import RiskClass, RuleEffect
from arbiter.protocols.positions import SHOWN_LIMIT, quoted
from arbiter.question import FactKind, Strategy

_DURATION = re.compile(
    r"P(?:(?P<days>[0-9]{1,4})D)?(?:T(?:(?P<hours>[0-9]{1,4})H)?(?:(?P<minutes>[0-9]{1,5})M)?(?:(?P<seconds>[0-9]{1,6})S)?)?"
)
LONGEST: Final = timedelta(days=366)

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
SHA256_PATTERN: Final = r"^[0-9a-f]{64}$"

_PATTERNS: Final[Mapping[str, str]] = {
    ID_PATTERN: "lower-case words joined by hyphens",
    FACT_PATTERN: "lower-case words joined by underscores",
    VERSION_PATTERN: "a semantic version such as 1.0.0",
    UNIT_PATTERN: "a UCUM unit",
    CODE_PATTERN: "a short code",
    SERVED_PATTERN: "a name without spaces of at most 128 characters",
    SHA256_PATTERN: "64 lower-case hexadecimal digits",
}


def _duration(value: object) -> timedelta:
    """Read whole seconds or an ISO 8601 duration of days, hours, minutes and seconds (months have no fixed length)."""
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = timedelta(seconds=min(max(value, -1), 10**9))
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value)) and any(match.groups()):
        seconds = timedelta(**{unit: int(count) for unit, count in match.groupdict().items() if count})
    else:
        raise PydanticCustomError("duration", "expected a duration such as PT30S or a number of seconds")
    if not timedelta(0) < seconds <= LONGEST:
        raise PydanticCustomError("duration", "expected a duration above zero and up to 366 days")
    return seconds


def _number(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise PydanticCustomError("number", "expected a number, {kind} came", {"kind": kind_of(value)})


def _fact_value(value: object) -> Decimal | str | bool:
    if isinstance(value, bool | str | Decimal):
        return value
    return _number(value)


Id = Annotated[str, StringConstraints(pattern=ID_PATTERN, max_length=64)]
FactName = Annotated[str, StringConstraints(pattern=FACT_PATTERN, max_length=64)]
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]
Unit = Annotated[str, StringConstraints(pattern=UNIT_PATTERN)]
Code = Annotated[str, StringConstraints(pattern=CODE_PATTERN)]
ServedName = Annotated[str, StringConstraints(pattern=SERVED_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=SHA256_PATTERN)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4_000, strip_whitespace=True)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Number = Annotated[Decimal, BeforeValidator(_number)]
Share = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=1)]
FactValueIn = Annotated[Any, BeforeValidator(_fact_value)]
# An enum's member is named by its text; strictness would ask for the Python object.
Risk = Annotated[RiskClass, Field(strict=False)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ConversionPart(_Part):
    """A further unit that intake accepts, and how its value becomes the fact's own."""

    unit: Unit
    factor: Number
    offset: Number = Decimal(0)


class CodePart(_Part):
    """One code a coded fact may take."""

    code: Code
    title: Title


class FactPart(_Part):
    """One fact of the question; which keys are needed depends on `kind`."""

    name: FactName
    title: Title
    kind: Annotated[FactKind, Field(strict=False)]
    unit: Unit | None = None
    conversions: list[ConversionPart] | None = None
    low: Number | None = None
    high: Number | None = None
    decimals: Annotated[int, Field(ge=0, le=6)] | None = None
    codes: list[CodePart] | None = None
    greatest_age: Duration | None = None


class OptionPart(_Part):
    """One option of the question or a facet."""

    id: Id
    title: Title


class ExclusionPart(_Part):
    """A condition under which no member is asked."""

    id: Id
    when: Text
    rationale: Text


class TimersPart(_Part):
    """The waits of one risk class."""

    panel: Duration
    facts: Duration
    review: Duration
    release: Duration


class QuestionPart(_Part):
    """The closed question."""

    text: Text
    options: Annotated[list[OptionPart], Field(min_length=2, max_length=12)]
    facts: Annotated[list[FactPart], Field(min_length=1, max_length=128)]
    timers: dict[Risk, TimersPart]
    exclusions: Annotated[list[ExclusionPart], Field(max_length=64)] = []


class FacetPart(_Part):
    """A typed sub-question."""

    id: Id
    text: Text
    options: Annotated[list[OptionPart], Field(min_length=2, max_length=12)]


class DType(StrEnum):
    """The type a model computes in. `auto` is none of them: it does not say what answered."""

    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


class ModelPart(_Part):
    """A language model behind vLLM."""

    server: Id
    name: ServedName
    revision: ServedName
    weights_sha256: Sha256 | None = None
    adapter: ServedName | None = None
    dtype: Annotated[DType, Field(strict=False)]
    prompt: Id
    samples: Annotated[int, Field(ge=1, le=64)]
    temperature: Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=2)]
    top_p: Annotated[Decimal, BeforeValidator(_number), Field(gt=0, le=1)]
    max_tokens: Annotated[int, Field(ge=64, le=8192)]


class SeatPart(_Part):
    """A member's place. A score has an `implementation`, a language model a `model`; neither has the other's."""

    member: Id
    title: Title
    asks: Id
    backend: Id
    implementation: Title | None = None
    model: ModelPart | None = None
    family: Id
    weight: Annotated[Decimal, BeforeValidator(_number), Field(gt=0, le=1000)]
    required: bool = False
    veto: list[Id] = []


class AdjudicationPart(_Part):
    """How opinions are weighed."""

    strategy: Annotated[Strategy, Field(strict=False)]
    automatic: bool
    threshold: Share
    least_valid: Annotated[int, Field(ge=1, le=64)]
    least_families: Annotated[int, Field(ge=1, le=64)]
    least_effective: Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=64)]
    greatest_between: Share
    greatest_within: Share
    family_correlation: Share
    asks_for_facts: bool


class ProtocolFile(_Part):
    """`protocol.yaml`."""

    id: Id
    version: Version
    title: Title
    duty_group: Id
    question: QuestionPart
    facets: Annotated[list[FacetPart], Field(max_length=32)] = []
    panel: Annotated[list[SeatPart], Field(min_length=1, max_length=32)]
    adjudication: AdjudicationPart


class RuleTestPart(_Part):
    """One test of a rule."""

    title: Title
    facts: dict[FactName, FactValueIn] = {}
    facets: dict[Id, Id] = {}
    risk_class: Risk = RiskClass.ROUTINE
    hits: bool


class RulePart(_Part):
    """One row of the decision table."""

    id: Id
    when: Text
    effect: Annotated[RuleEffect, Field(strict=False)]
    options: list[Id] = []
    rationale: Text
    owner: Title
    tests: Annotated[list[RuleTestPart], Field(min_length=1, max_length=64)]


class PolicyFile(_Part):
    """`policy.yaml`."""

    rules: Annotated[list[RulePart], Field(min_length=1, max_length=256)]


class ExampleFactPart(_Part):
    """One fact of an example; its age keeps the example from going stale."""

    value: FactValueIn
    unit: Unit | None = None
    age_minutes: Annotated[int, Field(ge=0, le=60 * 24 * 366)]


class ExamplePart(_Part):
    """One line of `examples.jsonl`."""

    id: Id
    title: Title
    risk_class: Risk
    facts: dict[FactName, ExampleFactPart]
    label: Id
    provenance: Title
    expect: Title | None = None
    covers: list[Title] = []


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


_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "enum": "one of {expected}",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than_equal": "a number of at most {le}",
}
_TYPES: Final = frozenset({"string_type", "bool_type", "int_type", "list_type", "dict_type", "model_type"})


def explain(error: ErrorDetails) -> tuple[str, str]:
    """Return (code, detail) for one of pydantic's complaints: what was expected, what came."""
    kind = error["type"]
    context = error.get("ctx", {})
    name = str(error["loc"][-1]) if error["loc"] else ""
    if kind == "missing":
        return "missing", f"expected the key {name!r}, it is not there"
    if kind == "extra_forbidden":
        return "unknown-key", f"expected only known keys, {quoted(name)} came"
    if kind == "string_pattern_mismatch":
        return "value", f"expected {_PATTERNS[context['pattern']]}, {quoted(error['input'])} came"
    if kind in _EXPECTED:
        wanted = _EXPECTED[kind].format(**context)
        came = kind_of(error["input"]) if kind in _TYPES else _short(error["input"])
        return "type" if kind in _TYPES else "value", f"expected {wanted}, {came} came"
    return "value", error["msg"]


def _short(value: object) -> str:
    if isinstance(value, str):
        return quoted(value) if len(value) <= SHOWN_LIMIT else f"{len(value)} characters"
    if isinstance(value, list):
        return str(len(value)) if value else "none"
    return str(value)
