"""What the panel's tests ask: the shipped protocol, a normal adult's facts, and a clock that tests may stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from arbiter.documents.facts import facts_hash
from arbiter.model import Evidence, Fact, FactSet, FactStatus, FactValue, MemberId, MemberIdentity, RiskClass
from arbiter.panels.member import Answer, Asked, Sample
from arbiter.panels.panel import address
from arbiter.protocols.loader import read_shipped
from arbiter.question import Protocol
from tests.panels.values import NORMAL

TAKEN_AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
NEWS2 = MemberId("news2")


@cache
def protocol() -> Protocol:
    """The shipped protocol."""
    return read_shipped("deterioration").protocol


def fact_set(ages: Mapping[str, timedelta] | None = None, /, **values: FactValue | None) -> FactSet:
    """A normal adult's facts, observed ten minutes ago unless `ages` says otherwise; None leaves a fact out."""
    merged: dict[str, FactValue | None] = {**NORMAL, **values}
    facts = [
        Fact(
            name=name,
            value=value,
            unit=_unit(name),
            observed_at=TAKEN_AT - (ages or {}).get(name, timedelta(minutes=10)),
            status=FactStatus.FINAL,
            source="test",
        )
        for name, value in sorted(merged.items())
        if value is not None
    ]
    return FactSet(1, tuple(facts))


def _unit(name: str) -> str | None:
    spec = protocol().question.spec(name)
    return spec.unit if spec else None


def asked(
    facts: FactSet | None = None,
    member: MemberId = NEWS2,
    deadline: datetime | None = None,
    risk_class: RiskClass = RiskClass.ROUTINE,
) -> Asked:
    """What the seat of `member` is asked."""
    facts = facts or fact_set()
    deadline = deadline or datetime.now(UTC) + timedelta(seconds=5)
    return address(protocol(), facts, facts_hash(facts), TAKEN_AT, deadline, seed=7, risk_class=risk_class)[
        member
    ]


class RealClock:
    """The time of day."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class StoppedClock:
    """Tells the instants it was given, the last one for ever."""

    instants: list[datetime] = field(default_factory=list)

    def now(self) -> datetime:
        return self.instants.pop(0) if len(self.instants) > 1 else self.instants[0]


IDENTITY = MemberIdentity("test", "stub", "1", "0" * 64)
CITED = Evidence("heart_rate", "70", "pulse is normal")


def vote(
    option: str | None = "continue-monitoring",
    evidence: tuple[Evidence, ...] = (CITED,),
    missing: tuple[str, ...] = (),
    rationale: str = "signs are normal",
) -> Sample:
    """One sample of a member that behaves, unless told otherwise."""
    return Sample(option, evidence, missing, rationale)


@dataclass
class Stub:
    """A member that answers with the samples it was given."""

    samples: tuple[Sample, ...]
    unreadable: int = 0
    identity: MemberIdentity = IDENTITY

    async def answer(self, asked: Asked) -> Answer:
        return Answer(self.samples, self.unreadable)
