"""A published score in a seat: reads the fresh facts, cites each with its points, abstains by naming what it lacks."""

from __future__ import annotations

from dataclasses import dataclass, field

from arbiter.model import Evidence, MemberIdentity
from arbiter.panels.grounding import fact_text
from arbiter.panels.member import Answer, Asked, Sample
from arbiter.panels.scores.table import Component, Score


@dataclass(frozen=True, slots=True)
class ScoreMember:
    """A score as a panel member. It answers with one sample: the score is deterministic."""

    score: Score
    identity: MemberIdentity = field(init=False)

    def __post_init__(self) -> None:
        identity = MemberIdentity(
            kind="score",
            name=self.score.name,
            version=self.score.version,
            digest=self.score.digest(),
            details=(("source", self.score.source),),
        )
        object.__setattr__(self, "identity", identity)

    async def answer(self, asked: Asked) -> Answer:
        """Return the score's answer over the facts that are fresh enough at `asked.taken_at`.

        Raises:
            TypeError: when the case holds a kind of value or a code that the score's table does not know.
        """
        too_old = asked.too_old()
        fresh = {fact.name: fact.value for fact in asked.facts if fact.name not in too_old}
        result = self.score.assess(fresh, too_old)
        sample = Sample(
            option=result.option,
            evidence=tuple(_evidence(component) for component in result.components),
            missing=tuple(sorted(result.missing)),
            rationale=result.summary,
        )
        return Answer((sample,))


def _evidence(component: Component) -> Evidence:
    return Evidence(component.fact, fact_text(component.value), component.finding, component.points)
