"""A certificate as typed values: the part of `arbiter/certificate/v1` that the reviewer's page shows.

Members it does not show are passed over, members it needs must be there and of the right type: the format's version
says what to expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from arbiter.errors import VerificationError
from arbiter.lifecycle.states import DecidedBy
from arbiter.model import MemberStatus, RuleEffect


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
    status: MemberStatus | Literal["not-heard"]
    leading: str | None = None
    votes: dict[str, int] = {}
    samples: int = 0
    self_consistency: str | None = None
    evidence: tuple[Cited, ...] = ()
    missing: tuple[str, ...] = ()
    rationale: str = ""
    identity: Identity | None = None


class Measure(_Part):
    """A number that led to the verdict."""

    name: str
    value: str


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


class Decided(_Part):
    """What was decided, and whether the panel or a reviewer did."""

    title: str
    by: DecidedBy


class Limits(_Part):
    """The limits that the page compares with what was measured."""

    greatest_between: str
    greatest_within: str


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
    """What the page shows of a certificate; `policy` is absent where the policy was not asked, `decision` where nothing is decided."""

    format: Literal["arbiter/certificate/v1"]
    options: tuple[Titled, ...]
    opinions: tuple[SeatOpinion, ...]
    facets: dict[str, str]
    settings: Limits
    verdict: Verdict
    policy: Policy | None = None
    decision: Decided | None = None
    plain: str


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
