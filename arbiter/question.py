"""What a protocol says, as frozen values: the question, its facts, the seats, the rules.

A protocol bundle is read and checked by `arbiter.protocols.loader`; past that door only these values travel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from arbiter.model import FactSet, MemberId, ReasonCode, RiskClass, RuleEffect

QUESTION = "question"
"""The `asks` of a seat that answers the protocol's question rather than a facet."""

VLLM = "vllm"
"""The `backend` of a seat that a language model fills."""

ABSTAIN = "abstain"
"""What a model says instead of an option. No question with such an option may be put to one."""


DUPLICATE_WINDOW = timedelta(hours=1)
"""Where a protocol does not say otherwise."""


class FactKind(StrEnum):
    """The type of a fact's value."""

    NUMBER = "number"
    CODE = "code"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class UnitConversion:
    """Accepts `unit` (UCUM) and turns it into the fact's own unit: value * factor + offset."""

    unit: str
    factor: Decimal
    offset: Decimal


@dataclass(frozen=True, slots=True)
class Reference:
    """The range in which an adult's value is usual, ends included, in the fact's unit; at least one end is given.

    INVARIANT: it is for people's eyes alone. No member, rule, exclusion or verdict reads it. `source` says whose range it is.
    """

    low: Decimal | None
    high: Decimal | None
    source: str


@dataclass(frozen=True, slots=True)
class FactSpec:
    """What a fact must look like.

    `unit` is a UCUM code for numbers and None otherwise; `low` and `high` bound what is physically plausible,
    inclusive, in `unit`; `decimals` is the greatest number of decimal places; `codes` are (code, title) pairs.
    `greatest_age` is counted back from the case's intake; None for facts that do not age. `reference` is shown to people.
    """

    name: str
    title: str
    kind: FactKind
    unit: str | None
    conversions: tuple[UnitConversion, ...]
    low: Decimal | None
    high: Decimal | None
    decimals: int
    codes: tuple[tuple[str, str], ...]
    greatest_age: timedelta | None
    reference: Reference | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One answer to the question or to a facet."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A condition (CEL over facts) under which no member is asked; one that cannot be evaluated also escalates."""

    id: str
    when: str
    rationale: str


@dataclass(frozen=True, slots=True)
class Timers:
    """How long each wait may last, for one risk class."""

    panel: timedelta
    facts: timedelta
    review: timedelta
    release: timedelta


@dataclass(frozen=True, slots=True)
class Question:
    """The closed question a protocol answers.

    Within `duplicate_window` the same facts about the same subject, asked at the same site with the same urgency, are
    the same case.
    """

    text: str
    options: tuple[Option, ...]
    facts: tuple[FactSpec, ...]
    timers: tuple[tuple[RiskClass, Timers], ...]
    exclusions: tuple[Exclusion, ...]
    duplicate_window: timedelta = DUPLICATE_WINDOW

    def spec(self, name: str) -> FactSpec | None:
        """Return the specification of the fact of that name, or None."""
        return next((spec for spec in self.facts if spec.name == name), None)

    def option_ids(self) -> tuple[str, ...]:
        """Return the options' ids in the question's order."""
        return tuple(option.id for option in self.options)

    def fresh(self, facts: FactSet, taken_at: datetime) -> FactSet:
        """Return the facts without those that were too old at `taken_at`: to policy they are absent."""
        old = too_old(self.facts, facts, taken_at)
        return FactSet(facts.version, tuple(fact for fact in facts if fact.name not in old))


def too_old(specs: Iterable[FactSpec], facts: FactSet, taken_at: datetime) -> frozenset[str]:
    """Return the names of facts older at `taken_at` than the question allows."""
    ages = {spec.name: spec.greatest_age for spec in specs}
    return frozenset(
        fact.name
        for fact in facts
        if (greatest := ages.get(fact.name)) is not None and taken_at - fact.observed_at > greatest
    )


@dataclass(frozen=True, slots=True)
class Facet:
    """A typed sub-question, such as a sepsis risk; answered by some seats, used by policy and people."""

    id: str
    text: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A language model behind vLLM, as a protocol pins it: what answers, and how it is sampled.

    `server` names a server whose URL is the deployment's; `name` is what the server calls the model or adapter;
    `weights_sha256` (hex) is the hash its owner states; `adapter` names the LoRA adapter where there is one. `prompt` is
    the version of the prompt. Each answer draws `samples` at `temperature` and `top_p`, none longer than `max_tokens`.
    `quantisation` names the method (`--quantization`) where the weights are not computed with as `dtype` says.
    """

    server: str
    name: str
    revision: str
    weights_sha256: str | None
    adapter: str | None
    dtype: str
    prompt: str
    samples: int
    temperature: Decimal
    top_p: Decimal
    max_tokens: int
    quantisation: str | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """A member's place on the panel.

    `asks` is `QUESTION` or a facet's id; `backend` says what answers (`score` or `vllm`); `implementation` names it
    there. `family` names what errs together. `weight` is used by the weighted strategy. `model` is set for `vllm` alone.
    `role` is the specialty it stands for, in words for people.
    """

    member: MemberId
    title: str
    asks: str
    backend: str
    implementation: str
    family: str
    weight: Decimal
    required: bool
    veto: tuple[str, ...]
    model: ModelSpec | None = None
    role: str | None = None


class Strategy(StrEnum):
    """How votes become one option."""

    MAJORITY = "majority"
    WEIGHTED = "weighted"
    UNANIMOUS = "unanimous"
    POSTERIOR = "posterior"


@dataclass(frozen=True, slots=True)
class Guarantee:
    """How often a case that is decided for an option without a clinician may be wrong.

    `error_rates` names the options that may be so decided, each with the greatest share of errors among them; for an option
    that is not named a clinician always decides. `delta` is the chance, at most, that such a rate is exceeded all the same.
    """

    delta: Decimal
    error_rates: tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True, slots=True)
class Adjudication:
    """The protocol's settings for weighing opinions.

    Where no seat answers the question, `automatic` is false and the three `least_` numbers are 0: there are no opinions to
    weigh, and the panel advises the clinician who decides.

    `threshold` is the share of weight the leading option must exceed, None where the strategy is the posterior: what its
    probability must exceed is certified from labelled cases under `guarantee`, which no other strategy has.
    `greatest_between` and `greatest_within` bound normalised disagreement, 0 to 1; `family_correlation` is the
    prior error correlation of two members of one family, 0 to 1. `asks_for_facts` lets an abstention for missing
    facts ask the hospital system before a human; `facts_on` names the kinds of disagreement on which it does so too, for the facts
    that members say they lack.
    """

    strategy: Strategy
    automatic: bool
    threshold: Decimal | None
    least_valid: int
    least_families: int
    least_effective: Decimal
    greatest_between: Decimal
    greatest_within: Decimal
    family_correlation: Decimal
    asks_for_facts: bool
    guarantee: Guarantee | None = None
    facts_on: tuple[ReasonCode, ...] | None = None

    @property
    def lacks_error_rate(self) -> bool:
        """True for a protocol that is to decide alone and states nowhere how often it may then be wrong."""
        return self.automatic and self.guarantee is None


@dataclass(frozen=True, slots=True)
class RuleTest:
    """A rule's own test: facts, facets and risk class in short form, and whether the rule must hit."""

    title: str
    facts: tuple[tuple[str, str | bool | Decimal], ...]
    facets: tuple[tuple[str, str], ...]
    risk_class: RiskClass
    hits: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the decision table: a CEL condition, an effect, and who answers for it."""

    id: str
    when: str
    effect: RuleEffect
    options: tuple[str, ...]
    rationale: str
    owner: str
    tests: tuple[RuleTest, ...]


@dataclass(frozen=True, slots=True)
class Protocol:
    """A whole bundle. `content_hash` is the SHA-256 (hex) over its data files; `policy_hash` over its rules' source."""

    id: str
    version: str
    title: str
    question: Question
    facets: tuple[Facet, ...]
    seats: tuple[Seat, ...]
    adjudication: Adjudication
    rules: tuple[Rule, ...]
    duty_group: str
    content_hash: str
    policy_hash: str

    def seat(self, member: MemberId) -> Seat | None:
        """Return the seat of that member, or None."""
        return next((seat for seat in self.seats if seat.member == member), None)

    def options_for(self, asks: str) -> tuple[Option, ...]:
        """Return the options of the question or of the facet named.

        Raises:
            KeyError: when `asks` names neither.
        """
        if asks == QUESTION:
            return self.question.options
        for facet in self.facets:
            if facet.id == asks:
                return facet.options
        raise KeyError(asks)

    def timers(self, risk_class: RiskClass) -> Timers:
        """Return the waits allowed for a risk class (every class is present in a checked protocol)."""
        return dict(self.question.timers)[risk_class]
