"""Measures the specialists behind a running vLLM and prints the table: `python -m arbiter.specialists.evaluation URL`.

Every case is seeded and none was trained on. The requests are the house's own, judged by the house's own reading and
grounding; only where a line says so is the case written in another way or the schema left out.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx

from arbiter.question import ModelSpec, Protocol
from arbiter.specialists import patients
from arbiter.specialists.asking import Told, asked_of, request_of, told
from arbiter.specialists.dialogue import ENDS, SEPARATORS, UNTRAINED, case_text, other_text, with_notes
from arbiter.specialists.patients import Patient
from arbiter.specialists.rules import RULES, SPECIALISTS, URGENT
from arbiter.specialists.seated import read_seated

SEED: Final = 77_000_001
AT_ONCE: Final = 48
PATIENCE_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Put:
    """A patient as put to the models; `content` where the case is written as the house would not write it."""

    patient: Patient
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: what was put, to whom, under a schema or not, and what came, counted."""

    what: str
    member: str
    answers: int
    readable: int
    grounded: int
    right: int
    exact: int

    @classmethod
    def of(cls, what: str, member: str, came: Sequence[Told]) -> Line:
        """Count."""
        return cls(
            what,
            member,
            len(came),
            sum(one.readable for one in came),
            sum(one.grounded for one in came),
            sum(one.right for one in came),
            sum(one.exact for one in came),
        )


def usual(cases: int, seed: int = SEED) -> list[Put]:
    """Return patients as they are trained, none of them seen."""
    chance = Random(seed)
    return [Put(patients.usual(chance)) for _ in range(cases)]


def changed(what: str, cases: int, seed: int = SEED) -> list[Put]:
    """Return patients changed, or written, in the named way."""
    chance = Random(f"{seed}/{what}")
    return [_changed(what, chance, patients.usual(chance)) for _ in range(cases)]


CHANGES: Final = (*patients.CHANGES, "told twice", "separators", "notes")
BEYOND: Final = tuple(f"untrained separator: {name}" for name in UNTRAINED)


def _changed(what: str, chance: Random, patient: Patient) -> Put:
    if what in patients.CHANGES:
        return Put(patients.CHANGES[what](chance, patient))
    return Put(patient, _written(what, chance, list(patient.facts)))


def _written(what: str, chance: Random, facts: list[tuple[str, str]]) -> str:
    match what:
        case "told twice":
            facts.insert(chance.randint(0, len(facts)), chance.choice(facts))
            return case_text(facts)
        case "separators":
            return other_text(facts, chance.choice(SEPARATORS), chance.choice(ENDS))
        case "notes":
            return with_notes(chance, case_text(facts), chance.randint(1, 2))
        case _:
            return other_text(facts, *UNTRAINED[what.rpartition(" ")[2]])


@dataclass(slots=True)
class Ward:
    """A server with the specialists, and the protocol in whose terms they are asked."""

    http: httpx.AsyncClient
    protocol: Protocol

    async def ask(self, member: str, puts: Iterable[Put], *, constrained: bool) -> list[Told]:
        """Return what the member's one greedy answer to each came to, in order."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(at: int, put: Put) -> Told:
            async with limit:
                return await self._one(member, at, put, constrained=constrained)

        return list(await asyncio.gather(*(one(at, put) for at, put in enumerate(puts))))

    async def _one(self, member: str, at: int, put: Put, *, constrained: bool) -> Told:
        facts = dict(put.patient.facts)
        asked = asked_of(self.protocol, facts, at)
        model = greedy(member)
        request = request_of(model, asked, constrained=constrained, content=put.content)
        reply = await self.http.post(
            "/v1/chat/completions", content=request, headers={"Content-Type": "application/json"}
        )
        reply.raise_for_status()
        (judged,) = told(reply.content, model, asked, RULES[member], facts)
        return judged


def greedy(member: str) -> ModelSpec:
    """Return a member that gives its likeliest answer, once."""
    return ModelSpec(
        server="specialists",
        name=member,
        revision="measured",
        weights_sha256=None,
        adapter=member,
        dtype="bfloat16",
        prompt="brief-v1",
        samples=1,
        temperature=Decimal(0),
        top_p=Decimal(1),
        max_tokens=160,
    )


async def measure(ward: Ward, cases: int, small: int) -> list[Line]:
    """Return the lines about single answers."""
    lines = []
    for rule in SPECIALISTS:
        for what, constrained in (("no schema", False), ("schema", True)):
            came = await ward.ask(rule.name, usual(cases), constrained=constrained)
            lines.append(Line.of(f"usual cases, {what}", rule.name, came))
            _say(lines[-1])
    for what in (*CHANGES, *BEYOND):
        every: list[Told] = []
        for rule in SPECIALISTS:
            every += await ward.ask(rule.name, changed(what, small), constrained=True)
        lines.append(Line.of(what, "all three", every))
        _say(lines[-1])
    return lines


@dataclass(frozen=True, slots=True)
class Vote:
    """How often each was right about the truth, and how sure it is that the majority beats the best single one."""

    cases: int
    singles: dict[str, int]
    majority: int
    z: float


async def vote(ward: Ward, cases: int) -> Vote:
    """Let the three and the generalist answer, and hold them against the latent truth.

    An answer that cannot be read, is not grounded or abstains is no vote; a tie or no vote counts as wrong.
    """
    puts = usual(cases, SEED + 1)
    came = {name: await ward.ask(name, puts, constrained=True) for name in RULES}
    return count_votes(puts, came)


def count_votes(puts: Sequence[Put], came: dict[str, list[Told]]) -> Vote:
    """Count; z is McNemar's over the cases in which the majority and the best single differ."""
    truth = [put.patient.urgent for put in puts]
    right = {
        name: [_said(one) == wanted for one, wanted in zip(told_, truth, strict=True)]
        for name, told_ in came.items()
    }
    majority = []
    for at, wanted in enumerate(truth):
        votes = [said for rule in SPECIALISTS if (said := _said(came[rule.name][at])) is not None]
        lead = sum(1 if said else -1 for said in votes)
        majority.append(lead != 0 and (lead > 0) == wanted)
    best = max(SPECIALISTS, key=lambda rule: sum(right[rule.name])).name
    gained = sum(mine and not theirs for mine, theirs in zip(majority, right[best], strict=True))
    lost = sum(theirs and not mine for mine, theirs in zip(majority, right[best], strict=True))
    z = (gained - lost) / sqrt(gained + lost) if gained + lost else 0.0
    return Vote(len(puts), {name: sum(of) for name, of in right.items()}, sum(majority), z)


def _said(one: Told) -> bool | None:
    return one.option == URGENT if one.grounded and one.option is not None else None


def markdown(lines: Sequence[Line], votes: Vote) -> str:
    """Return the tables."""
    out = [
        "| cases | member | answers | schema-valid | all evidence grounded | option as the rule | evidence as the rule |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for line in lines:
        shares = (line.readable, line.grounded, line.right, line.exact)
        cells = " | ".join(_percent(count, line.answers) for count in shares)
        out.append(f"| {line.what} | {line.member} | {line.answers} | {cells} |")
    out += ["", f"| right about the latent truth, {votes.cases} cases | |", "|---|---:|"]
    out += [f"| {name} | {_percent(count, votes.cases)} |" for name, count in votes.singles.items()]
    out.append(
        f"| **majority of the three** (against the best of them: z = {votes.z:.1f}) | {_percent(votes.majority, votes.cases)} |"
    )
    return "\n".join(out)


def _percent(count: int, of: int) -> str:
    return f"{100 * count / of:.1f}%"


def _say(line: Line) -> None:
    sys.stderr.write(f"{line}\n")


async def main(arguments: Sequence[str]) -> None:
    """Measure at the URL; further arguments: cases, cases of each change, cases of the vote, a file for the counts."""
    url, cases, small, voting = (
        arguments[0],
        *(int(text) for text in (arguments[1:4] or ("500", "200", "3000"))),
    )
    protocol = read_seated().protocol
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as http:
        ward = Ward(http, protocol)
        lines = await measure(ward, cases, small)
        votes = await vote(ward, voting)
    sys.stdout.write(markdown(lines, votes) + "\n")
    if len(arguments) > 4:
        counts: dict[str, Any] = {
            "lines": [_fields(line) for line in lines],
            "singles": votes.singles,
            "majority": votes.majority,
            "cases": votes.cases,
            "z": votes.z,
        }
        Path(arguments[4]).write_text(json.dumps(counts, indent=1) + "\n", "utf-8")  # noqa: ASYNC240 - the end


def _fields(line: Line) -> dict[str, Any]:
    return {name: getattr(line, name) for name in Line.__slots__}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
