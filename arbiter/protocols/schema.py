"""The structure of a bundle's files as strict pydantic models.

Unknown keys, wrong types and values out of bounds are refused; numbers are exact decimals. What needs two places of a
bundle to be judged is in `arbiter.protocols.checks`.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from arbiter.files.values import (
    METHOD_PATTERN,
    Code,
    Duration,
    FactName,
    Id,
    Number,
    ServedName,
    Sha256,
    Share,
    Text,
    Title,
    Unit,
    Version,
    exact_number,
)
from arbiter.model import RiskClass, RuleEffect
from arbiter.question import DUPLICATE_WINDOW, FactKind, Strategy


def _fact_value(value: object) -> Decimal | str | bool:
    if isinstance(value, bool | str | Decimal):
        return value
    return exact_number(value)


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


class ReferencePart(_Part):
    """The range in which an adult's value is usual, shown to people alone, and whose range it is."""

    low: Number | None = None
    high: Number | None = None
    source: Title


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
    reference: ReferencePart | None = None


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
    duplicate_window: Duration = DUPLICATE_WINDOW


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


# A method's name as `vllm serve --quantization` takes it: they come and go with vLLM's releases.
Quantisation = Annotated[str, StringConstraints(pattern=METHOD_PATTERN)]


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
    temperature: Annotated[Number, Field(ge=0, le=2)]
    top_p: Annotated[Number, Field(gt=0, le=1)]
    max_tokens: Annotated[int, Field(ge=64, le=8192)]
    quantisation: Quantisation | None = None


class SeatPart(_Part):
    """A member's place. A score has an `implementation`, a language model a `model`; neither has the other's."""

    member: Id
    title: Title
    role: Title | None = None
    asks: Id
    backend: Id
    implementation: Title | None = None
    model: ModelPart | None = None
    family: Id
    weight: Annotated[Number, Field(gt=0, le=1000)]
    required: bool = False
    veto: list[Id] = []


OpenShare = Annotated[Number, Field(gt=0, lt=1)]


class GuaranteePart(_Part):
    """How often the panel may be wrong where it decides alone, option by option."""

    delta: OpenShare
    error_rates: dict[Id, OpenShare]


Disagreed = Literal["disagreement-between", "disagreement-within"]


class AdjudicationPart(_Part):
    """How opinions are weighed. The posterior has a `guarantee` and no `threshold`, every other strategy a `threshold`."""

    strategy: Annotated[Strategy, Field(strict=False)]
    automatic: bool
    threshold: Share | None = None
    least_valid: Annotated[int, Field(ge=0, le=64)]
    least_families: Annotated[int, Field(ge=0, le=64)]
    least_effective: Annotated[Number, Field(ge=0, le=64)]
    greatest_between: Share
    greatest_within: Share
    family_correlation: Share
    asks_for_facts: bool
    facts_on: Annotated[list[Disagreed], Field(max_length=2)] = []
    guarantee: GuaranteePart | None = None


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
