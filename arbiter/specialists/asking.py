"""Made-up patients put to the specialists as the house would put them: the same request, the same reading, the same judgement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from arbiter.documents.facts import facts_hash
from arbiter.model import Fact, FactSet, FactStatus, FactValue, RiskClass
from arbiter.panels.grounding import fault_of
from arbiter.panels.member import Asked, Sample
from arbiter.panels.vllm.brief import BRIEF_V1
from arbiter.panels.vllm.reading import read_reply
from arbiter.panels.vllm.request import request_bytes, request_id
from arbiter.panels.vllm.strict import UnreadableError
from arbiter.question import QUESTION, FactKind, ModelSpec, Protocol
from arbiter.specialists.rules import Rule

TAKEN_AT: Final = datetime(2026, 3, 1, 8, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one answer: read at all, grounded, the rule's own option and evidence, and the option itself."""

    readable: bool
    grounded: bool
    right: bool
    exact: bool
    option: str | None


UNREADABLE: Final = Told(readable=False, grounded=False, right=False, exact=False, option=None)


def asked_of(protocol: Protocol, facts: Mapping[str, str], seed: int) -> Asked:
    """Return what a seat of the protocol is asked about these facts, all of them fresh."""
    facts_held = FactSet(1, tuple(_fact(protocol, name, facts[name]) for name in sorted(facts)))
    return Asked(
        asks=QUESTION,
        text=protocol.question.text,
        options=protocol.question.options,
        specs=protocol.question.facts,
        facts=facts_held,
        facts_hash=facts_hash(facts_held),
        taken_at=TAKEN_AT,
        deadline=TAKEN_AT + timedelta(minutes=10),
        seed=seed,
        risk_class=RiskClass.ROUTINE,
    )


def _fact(protocol: Protocol, name: str, text: str) -> Fact:
    spec = protocol.question.spec(name)
    if spec is None:
        raise ValueError(f"expected a fact of {protocol.id}, {name} came")
    value: FactValue = text
    if spec.kind is FactKind.NUMBER:
        value = Decimal(text)
    elif spec.kind is FactKind.FLAG:
        value = text == "true"
    return Fact(name, value, spec.unit, TAKEN_AT, FactStatus.FINAL, "made-up")


def request_of(model: ModelSpec, asked: Asked, *, constrained: bool, content: str | None = None) -> bytes:
    """Return the house's own request; `content` puts another text in the case's place."""
    request = request_bytes(model, BRIEF_V1, asked)
    if constrained and content is None:
        return request
    document = json.loads(request)
    if not constrained:
        del document["response_format"]
    if content is not None:
        document["messages"] = [{"role": "user", "content": content}]
    return json.dumps(document).encode("ascii")


def told(reply: bytes, model: ModelSpec, asked: Asked, rule: Rule, facts: Mapping[str, str]) -> list[Told]:
    """Judge every choice of a reply."""
    answer = read_reply(reply, asked, model.name, model.samples, request_id(asked), BRIEF_V1.read)
    judged = [_judged(sample, asked, rule, facts) for sample in answer.samples]
    return judged + [UNREADABLE] * answer.unreadable


def judged_text(text: str, asked: Asked, rule: Rule, facts: Mapping[str, str]) -> Told:
    """Judge an answer's text that came without a server around it."""
    try:
        return _judged(BRIEF_V1.read(text, asked), asked, rule, facts)
    except UnreadableError:
        return UNREADABLE


def _judged(sample: Sample, asked: Asked, rule: Rule, facts: Mapping[str, str]) -> Told:
    wanted = rule.judge(facts)
    grounded = fault_of(sample, asked) is None
    right = sample.option == wanted.option
    cited = tuple(item.fact for item in sample.evidence)
    return Told(
        readable=True,
        grounded=grounded,
        right=right,
        exact=grounded and right and cited == wanted.cited,
        option=sample.option,
    )
