"""Which fixed cases a canary asks: made-up ones, the examples that a protocol's bundle brings along.

Guarantees: the same bundle gives the same cases with the same ages of facts on any day, so that what a seat is asked differs
from night to night in its seed alone; a case that its protocol would keep from the panel is not among them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from arbiter.documents.canonical import encode
from arbiter.documents.protocols import protocol_document
from arbiter.documents.taken import TakenFacts
from arbiter.errors import InvalidCaseError
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.intake import take_facts
from arbiter.workflow.shelf import Shelved

CASES: Final = 20
"""As many are asked at most, spread evenly over the bundle's examples."""

TAKEN_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""The instant from which the ages of their facts count, whenever they are asked."""


@dataclass(frozen=True, slots=True)
class CanaryCase:
    """A made-up case by the id that its bundle gives it."""

    id: str
    taken: TakenFacts


@dataclass(frozen=True, slots=True)
class CanarySet:
    """What is asked: the cases, and a hash (SHA-256, hex) of them with the question and the facets as they are worded.

    Answers to another set are not compared with these.
    """

    cases: tuple[CanaryCase, ...]
    hash: str

    def hash_of(self, asks: str) -> str:
        """Return the hash (SHA-256, hex) of what a seat is asked: of the set, and whether its question or which facet."""
        return hashlib.sha256(f"{self.hash}/{asks}".encode()).hexdigest()


def canary_set(shelved: Shelved) -> CanarySet:
    """Return what the seats of a protocol are asked; no cases where its bundle has no examples that a panel would see."""
    fit = [
        CanaryCase(example.id, taken)
        for example in shelved.bundle.examples
        if (taken := _taken(shelved, example)) is not None
    ]
    few = min(len(fit), CASES)
    cases = tuple(fit[at * len(fit) // few] for at in range(few))
    whole = protocol_document(shelved.protocol)
    question = {name: whole["question"][name] for name in ("text", "options", "facts")}
    document = {
        "question": question,
        "facets": whole["facets"],
        "cases": [[case.id, case.taken.hash] for case in cases],
    }
    return CanarySet(cases, hashlib.sha256(encode(document)).hexdigest())


def _taken(shelved: Shelved, example: LabelledCase) -> TakenFacts | None:
    """Return the facts of an example that a panel would be asked about, else None."""
    try:
        facts = take_facts(shelved.protocol.question, example.raw_facts(TAKEN_AT), TAKEN_AT)
    except InvalidCaseError:
        return None
    taken = TakenFacts.of(facts, TAKEN_AT)
    return None if shelved.exclusion_reasons(taken) else taken
