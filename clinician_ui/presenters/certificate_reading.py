"""A certificate as typed values: the part of `arbiter/certificate/v1` that the reviewer's page shows.

Members it does not show are passed over, members it needs must be there and of the right type: the format's version
says what to expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from arbiter.errors import VerificationError
from arbiter.lifecycle.states import DecidedBy
from arbiter.model import MemberStatus, RuleEffect
from arbiter.question import QUESTION

NOT_HEARD: Final = "not-heard"
"""The status of a seat whose member was not asked, or whose answer never came."""


UNGROUNDED: Final = "refused: ungrounded"
"""How the panel's fixed words begin for an answer that cites the case falsely."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Titled(_Part):
    """An option with what people call it."""

    id: str
    title: str


class Cited(_Part):
    """A fact that a member cites."""

    fact: str
    value: str
    finding: str
    points: int | None = None


class Identity(_Part):
    """What exactly answered."""

    kind: str
    name: str
    version: str
    details: dict[str, str] = {}


class SeatOpinion(_Part):
    """A seat and its answer; a seat that was not heard has a status and nothing more."""

    member: str
    title: str
    asks: str
    family: str
    required: bool
    veto: tuple[str, ...]
    status: MemberStatus | Literal["not-heard"]
    leading: str | None = None
    votes: dict[str, int] = {}
    samples: int = 0
    self_consistency: Decimal | None = None
    evidence: tuple[Cited, ...] = ()
    missing: tuple[str, ...] = ()
    rationale: str = ""
    identity: Identity | None = None

    @property
    def answered(self) -> bool:
        """True where the member gave a valid answer."""
        return self.status == MemberStatus.VALID

    @property
    def is_refused_as_ungrounded(self) -> bool:
        """True where its answer does not count because it cites the case falsely, or cites nothing."""
        return self.status == MemberStatus.INVALID and self.rationale.startswith(UNGROUNDED)


class Measure(_Part):
    """A number that led to the verdict."""

    name: str
    value: Decimal


class GivenReason(_Part):
    """Why a clinician is asked, in a sentence."""

    code: str
    sentence: str


class Verdict(_Part):
    """What adjudication said."""

    kind: str
    option: str | None = None
    leading: str | None = None
    reasons: tuple[GivenReason, ...]
    numbers: tuple[Measure, ...]

    def measures(self) -> dict[str, Decimal]:
        """Return the numbers by name."""
        return {measure.name: measure.value for measure in self.numbers}


class Decided(_Part):
    """What was decided, and whether the panel or a reviewer did."""

    title: str
    by: DecidedBy


class Limits(_Part):
    """The limits that the page compares with what was measured."""

    strategy: str
    greatest_between: Decimal
    greatest_within: Decimal
    least_valid: int
    least_families: int
    least_effective: Decimal


class Level(_Part):
    """A level that was tried for deciding alone: the probability to be exceeded, and what came of it with labelled cases."""

    threshold: Decimal
    cases: int
    errors: int
    bound: Decimal


class Stratum(_Part):
    """What is known of deciding for the option that leads; neither where too few labelled cases led to it."""

    option: str
    alpha: Decimal
    certified: Level | None = None
    failed: Level | None = None


class Calibration(_Part):
    """What the numbers were read from; `least_probability` is given where members are missing."""

    labels: int
    synthetic: bool
    delta: Decimal
    stratum: Stratum | None = None
    least_probability: Decimal | None = None


class Hit(_Part):
    """A rule that held."""

    rule: str
    effect: RuleEffect
    options: tuple[str, ...]
    rationale: str


class Failure(_Part):
    """A rule that could not be evaluated."""

    rule: str
    cause: str


class Policy(_Part):
    """The hospital's word on the case."""

    hits: tuple[Hit, ...]
    failures: tuple[Failure, ...]


class Certificate(_Part):
    """What the page shows of a certificate; `policy` is absent where the policy was not asked, `calibration` where none was read, `decision` where nothing is decided."""

    format: Literal["arbiter/certificate/v1"]
    options: tuple[Titled, ...]
    opinions: tuple[SeatOpinion, ...]
    facets: dict[str, str]
    settings: Limits
    verdict: Verdict
    policy: Policy | None = None
    calibration: Calibration | None = None
    decision: Decided | None = None
    plain: str

    def titles(self) -> dict[str, str]:
        """Return what people call the question's options, in their order."""
        return {option.id: option.title for option in self.options}

    def voting(self) -> tuple[SeatOpinion, ...]:
        """Return the seats that answer the question itself."""
        return tuple(seat for seat in self.opinions if seat.asks == QUESTION)


def read_certificate(document: Mapping[str, Any]) -> Certificate:
    """Return the certificate's shown parts.

    Raises:
        VerificationError: when one is missing or of another type; the message names the place, never a value.
    """
    try:
        return Certificate.model_validate(document)
    except ValidationError as error:
        place = "/".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise VerificationError(f"the certificate's /{place} is not what its format says") from None
