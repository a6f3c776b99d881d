"""A member that says what a specialist's rule says, for what must hold whatever weights are committed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from arbiter.model import Evidence, MemberId, MemberIdentity
from arbiter.panels.grounding import fact_text
from arbiter.panels.member import Answer, Asked, Member, Sample
from arbiter.specialists.rules import CONTINUE, RULES, URGENT, Rule
from arbiter.workflow.shelf import Shelved

OTHER: Final = {URGENT: CONTINUE, CONTINUE: URGENT}


@dataclass(frozen=True, slots=True)
class ByRule:
    """Gives the rule's answer in every draw, but the other option in `other` of them."""

    rule: Rule
    identity: MemberIdentity
    draws: int
    other: int = 0

    async def answer(self, asked: Asked) -> Answer:
        """Return the draws."""
        too_old = asked.too_old()
        facts = {fact.name: fact_text(fact.value) for fact in asked.facts if fact.name not in too_old}
        judged = self.rule.judge(facts)
        cited = tuple(Evidence(fact=name, value=facts[name], finding="") for name in judged.cited)
        said = Sample(option=judged.option, evidence=cited, missing=(), rationale="")
        otherwise = said if judged.option is None else replace(said, option=OTHER[judged.option])
        return Answer((*(said,) * (self.draws - self.other), *(otherwise,) * self.other))


def seated_by_rule(protocol: Shelved, **other: int) -> dict[MemberId, Member]:
    """Return the protocol's members with every model as its rule; `other` says how many draws of whom go the other way."""
    members: dict[MemberId, Member] = dict(protocol.members)
    for seat in protocol.protocol.seats:
        if seat.model is not None:
            members[seat.member] = ByRule(
                rule=RULES[seat.model.name],
                identity=members[seat.member].identity,
                draws=seat.model.samples,
                other=other.get(seat.member, 0),
            )
    return members
