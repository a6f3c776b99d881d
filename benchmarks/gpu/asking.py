"""Panels put before a server: so many cases in flight for a while, each asking all its members at once.

A case is as long as its slowest opinion. Members' instructions differ and are the same in every case; what a case holds is
the same for all its members. Where salts are a case's own, as Arbiter has it, no case finds another's prefix in the cache;
where all share one, the instructions of a member are found there.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from benchmarks.gpu.server import Connection, Server
from benchmarks.gpu.shapes import WORDS

_POLL_SECONDS: Final = 0.25

_TEXT: Final = {"type": "string", "maxLength": 200}
SCHEMA: Final = {
    "type": "object",
    "properties": {
        "evidence": {
            "type": "array",
            "maxItems": 4,
            "items": {
                "type": "object",
                "properties": {"fact": _TEXT, "value": _TEXT, "finding": _TEXT},
                "required": ["fact", "value", "finding"],
                "additionalProperties": False,
            },
        },
        "rationale": _TEXT,
        "option": {"type": "string", "enum": ["urgent-review", "continue-monitoring", "abstain"]},
        "confidence": {"type": "integer", "minimum": 0, "maximum": 100},
    },
    "required": ["evidence", "rationale", "option", "confidence"],
    "additionalProperties": False,
}
"""The kind of schema that Arbiter binds an answer to."""


@dataclass(frozen=True, slots=True)
class Panel:
    """What is asked and how: members, samples each, cases in flight, whose salt, bound to a schema or not."""

    members: int = 5
    samples: int = 4
    at_once: int = 8
    shared_salt: bool = False
    schema: bool = False


@dataclass(frozen=True, slots=True)
class Sizes:
    """Words of the instructions and of the case, tokens of an answer."""

    instructions: int
    case: int
    answer: int


@dataclass(slots=True)
class Point:
    """What came of one panel on one server. Times are seconds; rates are a second."""

    shape: str
    adapters: int
    panel: Panel
    seconds: float = 0.0
    cases: int = 0
    case_rate: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    member_p50: float = 0.0
    member_p99: float = 0.0
    prompt_tokens: float = 0.0
    answer_tokens: float = 0.0
    token_rate: float = 0.0
    cache_tokens: float = 0.0
    cache_peak: float = 0.0
    running_peak: float = 0.0
    waiting_peak: float = 0.0
    preemptions: float = 0.0
    prefix_hits: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def case_tokens(self) -> float:
        """Tokens of cache that a case needs where it shares nothing with others; a member's samples share its prompt."""
        return self.panel.members * (self.prompt_tokens + self.panel.samples * self.answer_tokens)

    @property
    def cases_that_fit(self) -> float:
        """How many such cases the cache holds at once."""
        return self.cache_tokens / self.case_tokens if self.case_tokens else float("nan")

    def to_document(self) -> dict[str, Any]:
        """Return the point as JSON has it."""
        return asdict(self) | {"case_tokens": self.case_tokens, "cases_that_fit": self.cases_that_fit}


@dataclass(slots=True)
class _Peaks:
    cache: float = 0.0
    running: float = 0.0
    waiting: float = 0.0


class Asker:
    """Puts cases before one server."""

    def __init__(self, server: Server, sizes: Sizes) -> None:
        self._server = server
        self._sizes = sizes
        self._number = 0
        self._idle: list[Connection] = []

    async def measure(self, panel: Panel, seconds: float, patience_seconds: float) -> Point:
        """Keep cases in flight for so many seconds; those that are then under way are awaited, and count in the times."""
        await self._case(panel, _Taken())
        setting = self._server.setting
        point = Point(setting.shape.name, setting.adapters, panel)
        taken = _Taken()
        before = await self._server.metrics()
        peaks = _Peaks()
        watching = asyncio.create_task(self._watch(peaks))
        began = time.perf_counter()
        try:
            async with asyncio.timeout(patience_seconds):
                await asyncio.gather(
                    *(self._caller(panel, taken, began + seconds) for _ in range(panel.at_once))
                )
        except TimeoutError:
            taken.failed("out of time")
        finally:
            watching.cancel()
        point.seconds = time.perf_counter() - began
        _fill(point, taken, peaks, before, await self._server.metrics())
        return point

    def close(self) -> None:
        """Hang up everywhere."""
        for connection in self._idle:
            connection.close()

    async def _caller(self, panel: Panel, taken: _Taken, until: float) -> None:
        while time.perf_counter() < until:
            await self._case(panel, taken)

    async def _case(self, panel: Panel, taken: _Taken) -> None:
        self._number += 1
        number = self._number
        told = _text(number, self._sizes.case)
        began = time.perf_counter()
        members = [self._member(panel, taken, number, member, told) for member in range(panel.members)]
        if all(await asyncio.gather(*members)):
            taken.cases.append(time.perf_counter() - began)

    async def _member(self, panel: Panel, taken: _Taken, number: int, member: int, told: str) -> bool:
        names = self._server.names
        # Panels of different protocols seat different specialists: in time every adapter is in the batch.
        name = names[(number * panel.members + member) % len(names)]
        body = self._request(panel, name, number, told)
        connection = self._idle.pop() if self._idle else Connection(self._server.port)
        began = time.perf_counter()
        try:
            status, content = await connection.ask("POST", "/v1/chat/completions", body)
        except (OSError, EOFError) as error:
            taken.failed(type(error).__name__)
            return False
        self._idle.append(connection)
        if status != 200:
            taken.failed(f"status {status}")
            return False
        usage = json.loads(content)["usage"]
        taken.members.append(time.perf_counter() - began)
        taken.prompt_tokens += usage["prompt_tokens"]
        taken.answer_tokens += usage["completion_tokens"]
        return True

    def _request(self, panel: Panel, name: str, number: int, told: str) -> bytes:
        asked: dict[str, Any] = {
            "model": name,
            "messages": [
                {"role": "system", "content": _text(sum(name.encode()), self._sizes.instructions)},
                {"role": "user", "content": told},
            ],
            "n": panel.samples,
            "seed": number,
            "temperature": 0.7,
            "top_p": 0.95,
            "max_tokens": self._sizes.answer,
            "cache_salt": "shared" if panel.shared_salt else f"case-{number}",
        }
        if panel.schema:
            form = {"name": "answer", "strict": True, "schema": SCHEMA}
            asked["response_format"] = {"type": "json_schema", "json_schema": form}
        else:
            # Noise ends by chance: every answer is made as long as every other.
            asked |= {"ignore_eos": True, "min_tokens": self._sizes.answer}
        return json.dumps(asked).encode()

    async def _watch(self, peaks: _Peaks) -> None:
        while True:
            told = await self._server.metrics()
            peaks.cache = max(peaks.cache, told.get("kv_cache_usage_perc", 0.0))
            peaks.running = max(peaks.running, told.get("num_requests_running", 0.0))
            peaks.waiting = max(peaks.waiting, told.get("num_requests_waiting", 0.0))
            await asyncio.sleep(_POLL_SECONDS)


class _Taken:
    """What callers saw."""

    def __init__(self) -> None:
        self.cases: list[float] = []
        self.members: list[float] = []
        self.prompt_tokens = 0
        self.answer_tokens = 0
        self.failures: dict[str, int] = {}

    def failed(self, how: str) -> None:
        self.failures[how] = self.failures.get(how, 0) + 1


def _fill(
    point: Point, taken: _Taken, peaks: _Peaks, before: dict[str, float] | Any, after: dict[str, float] | Any
) -> None:
    def grew(name: str) -> float:
        return float(after.get(name, 0.0) - before.get(name, 0.0))

    asked = max(1, len(taken.members))
    point.cases = len(taken.cases)
    point.case_rate = len(taken.cases) / point.seconds
    point.p50, point.p99 = quantile(taken.cases, 0.5), quantile(taken.cases, 0.99)
    point.member_p50, point.member_p99 = quantile(taken.members, 0.5), quantile(taken.members, 0.99)
    point.prompt_tokens = taken.prompt_tokens / asked
    point.answer_tokens = taken.answer_tokens / (asked * point.panel.samples)
    point.token_rate = taken.answer_tokens / point.seconds
    point.cache_tokens = after.get("blocks", 0.0) * after.get("block_size", 0.0)
    point.cache_peak = peaks.cache
    point.running_peak, point.waiting_peak = peaks.running, peaks.waiting
    point.preemptions = grew("num_preemptions_total")
    queries = grew("prefix_cache_queries_total")
    point.prefix_hits = grew("prefix_cache_hits_total") / queries if queries else 0.0
    point.failures = taken.failures


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value at that share of the sorted values (nearest rank), not-a-number of none."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, round(share * (len(ranked) - 1)))] if ranked else float("nan")


def _text(seed: int, words: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))
