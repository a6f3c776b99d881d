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
from pathlib import Path
from typing import Final

import httpx

from arbiter.panels.vllm.wire import IDLE_SECONDS
from arbiter.question import ModelSpec, Protocol
from arbiter.specialists.asking import Told, asked_of, judged_text, request_of, told
from arbiter.specialists.puts import BEYOND, CHANGES, SEED, Put, changed, usual
from arbiter.specialists.rules import RULES, SPECIALISTS
from arbiter.specialists.seated import read_seated
from arbiter.specialists.voting import Vote, count_votes

AT_ONCE: Final = 48
PATIENCE_SECONDS: Final = 600.0


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


def client(url: str) -> httpx.AsyncClient:
    """Return who asks the server at this URL; no connection is used again that the server may just be closing."""
    limits = httpx.Limits(keepalive_expiry=IDLE_SECONDS)
    return httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS, limits=limits, trust_env=False)


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


async def vote(ward: Ward, cases: int) -> Vote:
    """Let the three and the generalist answer, and hold them against the latent truth."""
    puts = usual(cases, SEED + 1)
    came = {name: await ward.ask(name, puts, constrained=True) for name in RULES}
    return count_votes(puts, came)


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


def vote_of_reference(protocol: Protocol, answers: Path, cases: int) -> Vote:
    """Count the votes in the lines that `arbiter.specialists.reference` wrote, judged as if a server had given them."""
    puts = usual(cases, SEED + 1)
    came: dict[str, dict[int, Told]] = {name: {} for name in RULES}
    with answers.open(encoding="utf-8") as lines:
        for line in lines:
            told_ = json.loads(line)
            at, facts = told_["at"], dict(puts[told_["at"]].patient.facts)
            asked = asked_of(protocol, facts, at)
            came[told_["member"]][at] = judged_text(told_["text"], asked, RULES[told_["member"]], facts)
    return count_votes(puts, {name: [of[at] for at in range(cases)] for name, of in came.items()})


async def main(arguments: Sequence[str]) -> None:
    """Measure at the URL; further arguments: cases, cases of each change, cases of the vote, the reference's answers."""
    url = arguments[0]
    cases, small, voting = (int(text) for text in (arguments[1:4] or ("500", "200", "3000")))
    protocol = read_seated().protocol
    async with client(url) as http:
        ward = Ward(http, protocol)
        lines = await measure(ward, cases, small)
        if len(arguments) > 4:
            votes = vote_of_reference(protocol, Path(arguments[4]), voting)
        else:
            votes = await vote(ward, voting)
    sys.stdout.write(markdown(lines, votes) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
