"""What a case itself says to what its panel cites: its facts as members spell them, the citations that were refused, whose its rules are.

A sample that cites the case falsely does not count, so neither an opinion nor a certificate holds what it cited. The exchange that
is kept with a model's opinion does: it is read again here as strictly as it was then, and told only where it comes to the very
counts that the opinion has.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from arbiter.documents.canonical import decode
from arbiter.documents.opinions import opinion_from
from arbiter.model import Evidence, FactSet, MemberId, Opinion
from arbiter.panels.grounding import CitationFault, fact_text, fault_of, fault_of_citation
from arbiter.panels.member import Answer, Asked, Sample
from arbiter.panels.panel import address
from arbiter.panels.vllm.again import answer_recorded
from arbiter.panels.vllm.prompt import PROMPTS
from arbiter.question import FactSpec
from arbiter.workflow.dossier import Dossier

MOST_REFUSED: Final = 20
"""So many refused citations of one member are told; a model can make thousands up."""


class Falsehood(StrEnum):
    """In what way a citation is not true of the case."""

    NOT_HELD = "not-held"
    TOO_OLD = "too-old"
    OTHER_VALUE = "other-value"


_FALSEHOODS: Final = {
    CitationFault.NOT_HELD: Falsehood.NOT_HELD,
    CitationFault.TOO_OLD: Falsehood.TOO_OLD,
    CitationFault.OTHER_VALUE: Falsehood.OTHER_VALUE,
}


@dataclass(frozen=True, slots=True)
class CitableFact:
    """A fact that the question knows: `value` as evidence spells it, None where the case lacks it; `codes` are (code, title)."""

    name: str
    title: str
    value: str | None
    codes: tuple[tuple[str, str], ...]
    too_old: bool


@dataclass(frozen=True, slots=True)
class RefusedCitation:
    """A citation that is not true of the case, the option it was given for, and how many of the member's samples made it."""

    fact: str
    value: str
    finding: str
    option: str | None
    falsehood: Falsehood
    samples: int


@dataclass(frozen=True, slots=True)
class Draws:
    """How the samples of a member ended that gave no vote; together with its votes they are all that were drawn.

    `refused` are those that do not count whatever they say, `unreadable` those that are no answer, `uncounted` those that voted
    where too few did for a vote to count. `citations` are the false ones among the refused, the most frequent first, at most
    `MOST_REFUSED`; `further` counts the rest.
    """

    member: MemberId
    abstained: int
    refused: int
    unreadable: int
    uncounted: int
    citations: tuple[RefusedCitation, ...]
    further: int


@dataclass(frozen=True, slots=True)
class Grounds:
    """What stands beside a certificate: the question's facts, how members' samples ended, and (rule, owner) of the policy."""

    facts: tuple[CitableFact, ...]
    draws: tuple[Draws, ...]
    owners: tuple[tuple[str, str], ...]


def grounds_of(dossier: Dossier, now: datetime) -> Grounds:
    """Return what a case says to what its panel cites.

    Raises:
        VerificationError: when a kept exchange is none that was ever written.
    """
    protocol, taken = dossier.shelved.protocol, dossier.taken_facts()
    # Until when and with which seed a member was to answer plays no part in how an answer is read.
    asked = address(protocol, taken.facts, taken.hash, taken.taken_at, now, 0)
    old = next(iter(asked.values())).too_old() if asked else frozenset()
    return Grounds(
        facts=tuple(_citable(spec, taken.facts, old) for spec in protocol.question.facts),
        draws=_draws(dossier, asked),
        owners=tuple((rule.id, rule.owner) for rule in protocol.rules),
    )


def _citable(spec: FactSpec, facts: FactSet, old: frozenset[str]) -> CitableFact:
    fact = facts.get(spec.name)
    value = None if fact is None else fact_text(fact.value)
    return CitableFact(spec.name, spec.title, value, spec.codes, spec.name in old)


def _draws(dossier: Dossier, asked: dict[MemberId, Asked]) -> tuple[Draws, ...]:
    since = dossier.latest("facts").seq
    exchanges = {document.seq: document for document in dossier.documents if document.name == "exchange"}
    found = []
    for document in dossier.documents:
        if document.name != "opinion" or document.seq < since or document.seq not in exchanges:
            continue
        opinion = opinion_from(decode(document.content))
        seat = dossier.shelved.protocol.seat(opinion.member)
        prompt = None if seat is None or seat.model is None else PROMPTS.get(seat.model.prompt)
        if prompt is None:
            continue
        answer = answer_recorded(exchanges[document.seq].content, asked[opinion.member], prompt.read)
        drawn = None if answer is None else drawn_of(opinion, answer, asked[opinion.member])
        found += [] if drawn is None else [drawn]
    return tuple(found)


def drawn_of(opinion: Opinion, answer: Answer, asked: Asked) -> Draws | None:
    """Return how a member's samples ended, or None where they do not come to what its opinion counts."""
    faults = [fault_of(sample, asked) for sample in answer.samples]
    sound = [sample for sample, fault in zip(answer.samples, faults, strict=True) if fault is None]
    abstained = sum(sample.option is None for sample in sound)
    votes = Counter(sample.option for sample in sound if sample.option is not None)
    drawn = len(answer.samples) + answer.unreadable
    # Where an opinion did not come to be valid, its sound samples do not vote either.
    if opinion.samples != drawn or (opinion.votes and dict(opinion.votes) != dict(votes)):
        return None
    lost = [sample for sample, fault in zip(answer.samples, faults, strict=True) if fault is not None]
    told = Counter(citation for sample in lost for citation in set(_false(sample, asked)))
    ranked = sorted(told.items(), key=lambda item: (-item[1], item[0]))
    citations = tuple(
        RefusedCitation(fact, value, finding, option or None, falsehood, samples)
        for (fact, value, finding, option, falsehood), samples in ranked[:MOST_REFUSED]
    )
    return Draws(
        member=opinion.member,
        abstained=abstained,
        refused=len(lost),
        unreadable=answer.unreadable,
        uncounted=0 if opinion.votes else votes.total(),
        citations=citations,
        further=len(ranked) - len(citations),
    )


def _false(sample: Sample, asked: Asked) -> list[tuple[str, str, str, str, Falsehood]]:
    """Return the false citations of a sample that was refused for them; of one refused for its form nothing is told."""
    refused = fault_of(sample, asked)
    if refused not in {fault.value for fault in CitationFault}:
        return []
    return [
        _told(cited, sample, fault) for cited in sample.evidence if (fault := fault_of_citation(cited, asked))
    ]


def _told(cited: Evidence, sample: Sample, fault: CitationFault) -> tuple[str, str, str, str, Falsehood]:
    return cited.fact, cited.value, cited.finding, sample.option or "", _FALSEHOODS[fault]
