"""A protocol as an integrator reads it at `/v1/protocols`. Numbers are texts in plain digits, durations seconds."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from arbiter.api.schemas.outgoing import Out
from arbiter.api.texts import RiskText


class OptionOut(Out):
    """One possible answer."""

    id: str
    title: str


class UnitOut(Out):
    """A unit that is accepted: multiplied by `factor`, then `offset` added, it is the fact's own."""

    unit: str
    factor: str
    offset: str


class ReferenceOut(Out):
    """The range in which an adult's value is usual, in the fact's unit, and whose range it is; decides nothing."""

    low: str | None
    high: str | None
    source: str


class FactSpecOut(Out):
    """What a fact must look like. Bounds are inclusive, in `unit`; ages count back from intake."""

    name: str
    title: str
    kind: Literal["number", "code", "flag"]
    unit: str | None
    also_accepts: tuple[UnitOut, ...]
    low: str | None
    high: str | None
    decimals: int | None
    codes: tuple[OptionOut, ...]
    greatest_age_seconds: int | None
    reference: ReferenceOut | None


class TimersOut(Out):
    """How long each wait lasts at most, in seconds."""

    risk_class: RiskText
    panel_seconds: float
    facts_seconds: float
    review_seconds: float
    release_seconds: float


class ExclusionOut(Out):
    """A condition under which no member is asked and a clinician decides."""

    id: str
    when: str
    rationale: str


class FacetOut(Out):
    """A sub-question."""

    id: str
    text: str
    options: tuple[OptionOut, ...]


class ModelOut(Out):
    """A language model in a seat: what answers, and how it is sampled. Its server is the deployment's affair."""

    name: str
    revision: str
    weights_sha256: str | None
    adapter: str | None
    dtype: str
    quantisation: str | None
    prompt: str
    samples: int
    temperature: str
    top_p: str
    max_tokens: int


class SeatOut(Out):
    """A member of the panel; `asks` is `question` or a facet's id, `family` names what errs together.

    `model` is null where the member is a published score.
    """

    member: str
    title: str
    role: str | None
    asks: str
    backend: str
    model: ModelOut | None
    family: str
    weight: str
    required: bool
    veto: tuple[str, ...]


class RuleOut(Out):
    """A row of the policy's decision table; `when` is CEL."""

    id: str
    when: str
    effect: str
    options: tuple[str, ...]
    rationale: str
    owner: str


class GuaranteeOut(Out):
    """How often the panel may be wrong where it decides alone: greatest rates by option, each exceeded by chance `delta`."""

    delta: str
    error_rates: dict[str, str]


class AdjudicationOut(Out):
    """How opinions are weighed."""

    strategy: str
    automatic: bool
    threshold: str | None
    least_valid: int
    least_families: int
    least_effective: str
    greatest_between: str
    greatest_within: str
    asks_for_facts: bool
    guarantee: GuaranteeOut | None


class ProtocolSummaryOut(Out):
    """A protocol in force."""

    id: str
    version: str
    title: str
    question: str
    content_hash: str


class ProtocolsOut(Out):
    """Every protocol in force."""

    protocols: tuple[ProtocolSummaryOut, ...]


class ProtocolOut(ProtocolSummaryOut):
    """All that an integrator needs to ask a protocol's question."""

    options: tuple[OptionOut, ...]
    facts: tuple[FactSpecOut, ...]
    timers: tuple[TimersOut, ...]
    exclusions: tuple[ExclusionOut, ...]
    duplicate_window_seconds: int
    facets: tuple[FacetOut, ...]
    seats: tuple[SeatOut, ...]
    adjudication: AdjudicationOut
    rules: tuple[RuleOut, ...]
    duty_group: str
    policy_hash: str


def decimal_text(value: Decimal | None) -> str | None:
    """Return a bound as plain digits, or None."""
    return None if value is None else format(value, "f")
