"""The words of the house as frozen values: facts, opinions, outcomes, verdicts.

What a protocol says (question, seats, rules) is in `arbiter.question`. Everything here is standard library,
immutable, and free of I/O; JSON forms are in `arbiter.documents`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NewType, TypeAlias

CaseId = NewType("CaseId", str)
MemberId = NewType("MemberId", str)
ActorId = NewType("ActorId", str)

FactValue: TypeAlias = Decimal | str | bool


class RerouteCause(StrEnum):
    """Why a member was asked at another replica of its server, in fixed words."""

    NOT_CONNECTED = "not-connected"
    BROKEN = "broken"
    SERVER_ERROR = "server-error"
    TOO_MANY_REQUESTS = "too-many-requests"
    SLOW = "slow"


class RiskClass(StrEnum):
    """How soon harm may come; sets deadlines and the place in every queue."""

    ROUTINE = "routine"
    URGENT = "urgent"
    EMERGENCY = "emergency"


class FactStatus(StrEnum):
    """The observation's status at its source (FHIR R4 `Observation.status`, those that carry a value)."""

    FINAL = "final"
    PRELIMINARY = "preliminary"
    AMENDED = "amended"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class Fact:
    """One typed observation, already in the question's own unit.

    `value` is a `Decimal` for numbers, a code for categories, a `bool` for flags; `observed_at` is aware UTC.
    """

    name: str
    value: FactValue
    unit: str | None
    observed_at: datetime
    status: FactStatus
    source: str


@dataclass(frozen=True, slots=True)
class FactSet:
    """The facts of one version of a case: at most one fact a name, sorted by name. Versions count from 1."""

    version: int
    facts: tuple[Fact, ...]

    def __post_init__(self) -> None:
        names = [fact.name for fact in self.facts]
        if names != sorted(set(names)):
            raise ValueError("facts must be sorted by name and unique")

    def __iter__(self) -> Iterator[Fact]:
        return iter(self.facts)

    def get(self, name: str) -> Fact | None:
        """Return the fact of that name, or None."""
        return next((fact for fact in self.facts if fact.name == name), None)


class MemberStatus(StrEnum):
    """What became of asking one member. The states are never merged into one another."""

    VALID = "valid"
    ABSTAINED = "abstained"
    INVALID = "invalid"
    TIMED_OUT = "timed-out"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A cited fact: its name, the value the member says it saw (as text), and what it made of it."""

    fact: str
    value: str
    finding: str
    points: int | None = None


@dataclass(frozen=True, slots=True)
class MemberIdentity:
    """What exactly answered. A changed identity is another member without a record.

    `digest` is a SHA-256 in hex over whatever defines the member's behaviour (a score's tables, a model's
    weights); `details` are further name and value pairs, sorted by name.
    """

    kind: str
    name: str
    version: str
    digest: str
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Opinion:
    """One member's answer to the question or to a facet, bound to the hash of the facts it saw.

    `votes` counts valid samples by option id (sorted by option); their sum is S_j of the method. `missing`
    names facts the member lacked or found too old. `rationale` is text made by the member.
    """

    member: MemberId
    asks: str
    status: MemberStatus
    facts_hash: str
    votes: tuple[tuple[str, int], ...]
    samples: int
    evidence: tuple[Evidence, ...]
    missing: tuple[str, ...]
    rationale: str
    identity: MemberIdentity
    asked_at: datetime
    answered_at: datetime

    @property
    def valid_samples(self) -> int:
        """The number of samples that voted for an option."""
        return sum(count for _, count in self.votes)

    def leading_option(self) -> str | None:
        """Return the option with most samples, or None when nothing was voted or the lead is shared."""
        if not self.votes:
            return None
        best = max(count for _, count in self.votes)
        leaders = [option for option, count in self.votes if count == best]
        return leaders[0] if len(leaders) == 1 else None


class RuleEffect(StrEnum):
    """What a rule that holds does to the outcome."""

    PERMIT = "permit"
    DENY = "deny"
    REQUIRE = "require"
    FORBID = "forbid"
    SHOW_PANEL_FIRST = "show-panel-first"
    SECOND_READER = "second-reader"


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule whose condition held."""

    rule: str
    effect: RuleEffect
    options: tuple[str, ...]
    rationale: str


@dataclass(frozen=True, slots=True)
class RuleFailure:
    """A rule that could not be evaluated; it always sends the case to a human."""

    rule: str
    cause: str


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """The hospital's word on a case: every hit kept, options intersected, nothing decided.

    `permitted` are the options left after all `require` and `forbid`, in the question's order.
    """

    permitted: tuple[str, ...]
    hits: tuple[RuleHit, ...]
    failures: tuple[RuleFailure, ...]
    policy_hash: str

    @property
    def permits_automatic(self) -> bool:
        """True when a rule permits, none denies and none failed."""
        effects = {hit.effect for hit in self.hits}
        return RuleEffect.PERMIT in effects and RuleEffect.DENY not in effects and not self.failures

    @property
    def shows_panel_first(self) -> bool:
        """True when a rule lets the reviewer see the panel before judging alone, and none asks for two who have not seen it."""
        effects = {hit.effect for hit in self.hits}
        return RuleEffect.SHOW_PANEL_FIRST in effects and not self.needs_second_reader

    @property
    def needs_second_reader(self) -> bool:
        """True when a rule asks for two reviewers, each blind to the other, where a clinician decides."""
        return any(hit.effect is RuleEffect.SECOND_READER for hit in self.hits)


class ReasonCode(StrEnum):
    """Why a case goes to a human, or what else a verdict rests on."""

    EXCLUDED = "excluded"
    EXCLUSION_UNKNOWN = "exclusion-unknown"
    NEVER_AUTOMATIC = "never-automatic"
    STOPPED = "stopped"
    HUMAN_REQUIRED = "human-required"
    NO_ERROR_RATE = "no-error-rate"
    NO_CALIBRATION = "no-calibration"
    UNRECORDED_MEMBER = "unrecorded-member"
    REQUIRED_MEMBER = "required-member"
    TOO_FEW_VALID = "too-few-valid"
    TOO_FEW_FAMILIES = "too-few-families"
    TOO_FEW_EFFECTIVE = "too-few-effective"
    MISSING_COULD_CHANGE = "missing-could-change"
    VETO = "veto"
    DISAGREEMENT_BETWEEN = "disagreement-between"
    DISAGREEMENT_WITHIN = "disagreement-within"
    NO_MAJORITY = "no-majority"
    NOT_CERTIFIED = "not-certified"
    NEAR_THRESHOLD = "near-threshold"
    POLICY_DENIES = "policy-denies"
    POLICY_SILENT = "policy-silent"
    POLICY_FAILED = "policy-failed"
    POLICY_EXCLUDES_OPTION = "policy-excludes-option"
    FACTS_MISSING = "facts-missing"
    DEADLINE = "deadline"
    CONTESTED = "contested"
    WITHDRAWN = "withdrawn"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason with the numbers or ids behind it; `detail` is made from templates and holds no fact value."""

    code: ReasonCode
    detail: str


class VerdictKind(StrEnum):
    """What adjudication says."""

    DECIDE = "decide"
    ESCALATE = "escalate"
    ASK_FACTS = "ask-facts"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of adjudication.

    `option` is set for `decide` alone; `leading` is what the panel leant to, if it leant at all; `wanted` names
    the facts asked for. `numbers` are the measures that led here, (name, 6-decimal string), in a fixed order.
    """

    kind: VerdictKind
    option: str | None
    leading: str | None
    reasons: tuple[Reason, ...]
    wanted: tuple[str, ...]
    numbers: tuple[tuple[str, str], ...]
