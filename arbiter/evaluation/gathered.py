"""Writes gathered cases as an evaluation reads them: labelled cases, what the panel said of them then, and what was left out.

A case's facts are put as old as they were when it was taken in, and its opinions are bound to those: so `arbiter calibrate` finds
each heard and asks nobody. Whom nobody would know what to do with is left out and counted: a case of which a member was down, or that
another member answered, or whose facts would not be taken in again. Pure: the same gathered cases give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from arbiter.documents.canonical import encode
from arbiter.documents.taken import TakenFacts
from arbiter.errors import InvalidCaseError, Problem
from arbiter.evaluation.asking import taken_in
from arbiter.evaluation.cases import Case
from arbiter.evaluation.hearing import Came, Hearing, line_of, opinions_hash, panel_hash
from arbiter.evaluation.opinions_file import FILE
from arbiter.evaluation.thinning import is_kept
from arbiter.model import Fact, MemberId, MemberIdentity, MemberStatus, Opinion, VerdictKind
from arbiter.protocols.bundle import ExampleFact, LabelledCase
from arbiter.protocols.examples import example_line, read_examples
from arbiter.protocols.intake import OLDEST
from arbiter.question import Question
from arbiter.workflow.labels.choosing import CERTAIN
from arbiter.workflow.labels.gathering import Found, Gathered, LeftOut
from arbiter.workflow.shelf import Shelved

JOB: Final = "arbiter/label-gathering/v1"
"""What a manifest is of: another rule by which a label is chosen, a case kept or a line written is another version."""

CASES_FILE: Final = "cases.jsonl"
OPINIONS_FILE: Final = FILE
MANIFEST_FILE: Final = "manifest.json"

_OLDEST_MINUTES: Final = OLDEST // timedelta(minutes=1)
_JUDGED_BY: Final = "the log"
_ABSENT: Final = frozenset({MemberStatus.DOWN, MemberStatus.TIMED_OUT})
_ANSWERED: Final = frozenset({MemberStatus.VALID, MemberStatus.ABSTAINED})
_WORDS: Final[Mapping[VerdictKind, str]] = {
    VerdictKind.DECIDE: "decided",
    VerdictKind.ESCALATE: "escalated",
    VerdictKind.ASK_FACTS: "asks-facts",
}


class Unusable(StrEnum):
    """Why a labelled case is not among those written."""

    UNANSWERED = "unanswered"
    """A member was down or too late, or the case ended before all had answered: nobody knows what it would have said."""
    OTHER_MEMBER = "other-member"
    """What answered in a seat is not what sits there now."""
    UNFIT = "unfit"
    """Its facts would not be taken in again, or no line can hold them."""
    THINNED = "thinned"
    """Cases like it are labelled more often than others."""


@dataclass(frozen=True, slots=True)
class Written:
    """The files' bytes, and the ids of the cases in them as the log knows them."""

    cases: bytes
    opinions: bytes
    manifest: bytes
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    """A case with the lines that it becomes; `usable` once nothing speaks against it."""

    found: Found
    line: bytes
    hearing: Hearing


def write(gathered: Gathered) -> Written:
    """Return the three files."""
    left_out: Counter[str] = Counter()
    lines: list[_Line] = []
    sits = _sitting(gathered)
    bound = panel_hash(gathered.shelved)
    for found in gathered.found:
        made = _line(gathered.shelved, found, bound, sits)
        if isinstance(made, Unusable):
            left_out[made] += 1
        else:
            lines.append(made)
    least = min((made.found.label.probability for made in lines), default=CERTAIN)
    root = gathered.checkpoint.root
    kept = [made for made in lines if is_kept(made.found.case, root, made.found.label.probability, least)]
    left_out[Unusable.THINNED] = len(lines) - len(kept)
    cases = b"".join(made.line + b"\n" for made in kept)
    opinions = b"".join(line_of(made.hearing) for made in kept)
    manifest = _manifest(gathered, kept, left_out, least, cases, opinions)
    return Written(cases, opinions, encode(manifest) + b"\n", tuple(made.found.case for made in kept))


def case_name(case: str) -> str:
    """Return a case's id as labelled cases spell ids: `c_x` is `c-x`."""
    return case.replace("_", "-")


def _sitting(gathered: Gathered) -> Mapping[MemberId, MemberIdentity]:
    """Return what sits in each seat: the score there, or the model that answered last, whose server says what it is only then."""
    sits = {
        member: seated.identity
        for member, seated in gathered.shelved.members.items()
        if seated.identity.kind == "score"
    }
    newest: dict[MemberId, Opinion] = {}
    for found in gathered.found:
        for opinion in found.opinions:
            if opinion.status in _ANSWERED and opinion.member not in sits:
                before = newest.get(opinion.member)
                if before is None or opinion.answered_at > before.answered_at:
                    newest[opinion.member] = opinion
    return sits | {member: opinion.identity for member, opinion in newest.items()}


def _line(
    shelved: Shelved, found: Found, bound: str, sits: Mapping[MemberId, MemberIdentity]
) -> _Line | Unusable:
    line = case_line(found, shelved.protocol.question)
    problems: list[Problem] = []
    read = read_examples(line, shelved.protocol.question, problems)
    if problems or len(read) != 1:
        return Unusable.UNFIT
    case = Case(read[0], hashlib.sha256(line).hexdigest())
    try:
        taken = taken_in(shelved, case)
    except InvalidCaseError:
        return Unusable.UNFIT
    excluded = bool(shelved.exclusion_reasons(taken))
    unusable = _unusable(shelved, found, sits, excluded=excluded)
    if unusable is not None:
        return unusable
    by_seat = {opinion.member: opinion for opinion in found.opinions}
    hearing = Hearing(
        case=case.id,
        case_hash=case.hash,
        panel_hash=bound,
        came=Came.EXCLUDED if excluded else Came.ASKED,
        opinions=tuple(
            _bound(by_seat[seat.member], found.taken, taken)
            for seat in shelved.protocol.seats
            if not excluded
        ),
        verdict=found.verdict,
        # Of no version of the code: who evaluates comes to a verdict of its own, from the same opinions.
        judged_by=_JUDGED_BY,
    )
    return _Line(found, line, hearing)


def _unusable(
    shelved: Shelved, found: Found, sits: Mapping[MemberId, MemberIdentity], *, excluded: bool
) -> Unusable | None:
    if excluded:
        return Unusable.UNFIT if found.opinions else None
    if {opinion.member for opinion in found.opinions} != {seat.member for seat in shelved.protocol.seats}:
        return Unusable.UNANSWERED
    if any(opinion.status in _ABSENT for opinion in found.opinions):
        return Unusable.UNANSWERED
    strange = (
        opinion.status in _ANSWERED and opinion.identity != sits.get(opinion.member)
        for opinion in found.opinions
    )
    return Unusable.OTHER_MEMBER if any(strange) else None


def _bound(opinion: Opinion, before: TakenFacts, now: TakenFacts) -> Opinion:
    """Return what was said of the facts as they were taken in, said of them as they are taken in here, as long after that."""
    later = now.taken_at - before.taken_at
    return replace(
        opinion,
        facts_hash=now.hash,
        asked_at=opinion.asked_at + later,
        answered_at=opinion.answered_at + later,
    )


def case_line(found: Found, question: Question) -> bytes:
    """Return a labelled case as a line without its end, in the shape of a bundle's `examples.jsonl`."""
    case = LabelledCase(
        id=case_name(found.case),
        title="A case of this installation",
        risk_class=found.risk_class,
        facts=tuple(
            ExampleFact(fact.name, fact.value, fact.unit, _minutes(fact, found.taken, question))
            for fact in found.taken.facts
        ),
        label=found.label.option,
        provenance=f"{found.label.kind.value}; {found.label.how}",
        expect=None,
        covers=(),
    )
    return example_line(case).encode()


def _minutes(fact: Fact, taken: TakenFacts, question: Question) -> int:
    """Return a fact's age in whole minutes, rounded so that it is too old if and only if it was."""
    spec = question.spec(fact.name)
    greatest = None if spec is None else spec.greatest_age
    # An observation may seem to come a little after intake.
    age = max(taken.taken_at - fact.observed_at, timedelta(0))
    floor, rest = divmod(age, timedelta(minutes=1))
    stale = greatest is not None and age > greatest
    return min(floor + (1 if stale and rest else 0), _OLDEST_MINUTES)


def _manifest(
    gathered: Gathered,
    kept: Sequence[_Line],
    unusable: Mapping[str, int],
    least: Decimal,
    cases: bytes,
    opinions: bytes,
) -> dict[str, Any]:
    protocol = gathered.shelved.protocol
    counted: dict[str, Counter[str]] = {}
    for made in kept:
        counted.setdefault(made.found.label.kind.value, Counter())[_WORDS[made.found.verdict.kind]] += 1
    return {
        "job": JOB,
        "protocol": {"id": protocol.id, "version": protocol.version, "content_hash": protocol.content_hash},
        "checkpoint": {
            "origin": gathered.checkpoint.origin,
            "size": gathered.checkpoint.size,
            "root": gathered.checkpoint.root.hex(),
        },
        "cases": len(kept),
        "labels": {kind: dict(counts) for kind, counts in counted.items()},
        "contradicted": sum(made.found.label.contradicted for made in kept),
        "least_probability": f"{least:.6f}",
        "left_out": {
            **{reason.value: gathered.left_out.get(reason, 0) for reason in LeftOut},
            **{reason.value: unusable.get(reason, 0) for reason in Unusable},
        },
        "files": {
            CASES_FILE: hashlib.sha256(cases).hexdigest(),
            OPINIONS_FILE: hashlib.sha256(opinions).hexdigest(),
        },
        "opinions_hash": opinions_hash(made.hearing for made in kept),
    }
