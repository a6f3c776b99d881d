"""What a member's call tells: who, what kind, what became of it, how long and how many tokens; never what was said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from arbiter.clock import SystemClock
from arbiter.model import FactSet, MemberId, MemberIdentity
from arbiter.panels.member import Answer, Asked, Sample
from arbiter.panels.panel import ask_panel
from arbiter.question import QUESTION, Option
from arbiter.telemetry.members import used_tokens
from arbiter.telemetry.metrics import MEMBER_SECONDS, TOKENS
from arbiter.telemetry.spans import outgoing_headers
from tests.telemetry.recording import Recording, recording

SECRET = "Mrs Jones looks grey"


IDENTITY = MemberIdentity("model", "medgemma-27b", "1", "0" * 64, (("prompt", SECRET),))


@dataclass
class Model:
    """A member that does as it is told."""

    does: Callable[[], Awaitable[Answer]]
    identity: MemberIdentity = IDENTITY

    async def answer(self, asked: Asked) -> Answer:
        return await self.does()


def _asked(seconds: float = 5.0) -> Asked:
    now = datetime.now(UTC)
    options = (Option("yes", "Yes"), Option("no", "No"))
    facts = FactSet(1, ())
    return Asked(QUESTION, SECRET, options, (), facts, "0" * 64, now, now + timedelta(seconds=seconds), 1)


async def _ask(
    recorded: Recording, does: Callable[[], Awaitable[Answer]], seconds: float = 5.0
) -> ReadableSpan:
    name = MemberId("second-opinion")
    async for _ in ask_panel({name: Model(does)}, {name: _asked(seconds)}, SystemClock()):
        pass
    assert SECRET not in recorded.text()
    return recorded.span("chat medgemma-27b")


async def test_a_model_is_told_as_the_conventions_ask() -> None:
    sent: dict[str, str] = {}

    async def answer() -> Answer:
        sent.update(outgoing_headers())
        used_tokens(812, 64)
        return Answer((Sample(None, (), (), SECRET),))

    with recording() as recorded:
        span = await _ask(recorded, answer)
        metrics = recorded.metrics()
    assert span.kind is SpanKind.CLIENT
    assert dict(span.attributes or {}) == {
        "arbiter.member.id": "second-opinion",
        "arbiter.member.kind": "model",
        "arbiter.member.status": "abstained",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "medgemma-27b",
        "gen_ai.usage.input_tokens": 812,
        "gen_ai.usage.output_tokens": 64,
    }
    assert sent == {"traceparent": f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"}
    told = {
        str((point.attributes or {})["gen_ai.token.type"]) for point in metrics[TOKENS.name].data.data_points
    }
    assert told == {"input", "output"}
    (point,) = metrics[MEMBER_SECONDS.name].data.data_points
    assert (point.attributes or {})["arbiter.member.status"] == "abstained"


async def test_one_that_fails_is_told_by_its_class() -> None:
    async def fail() -> Answer:
        raise ConnectionError(SECRET)

    with recording() as recorded:
        span = await _ask(recorded, fail)
    said = dict(span.attributes or {})
    assert (said["arbiter.member.status"], said["error.type"]) == ("down", "ConnectionError")
    assert span.status.status_code is StatusCode.ERROR


async def test_one_that_is_late_is_told_as_timed_out() -> None:
    async def sleep() -> Answer:
        await asyncio.sleep(60)
        raise AssertionError

    with recording() as recorded:
        span = await _ask(recorded, sleep, 0.05)
    assert (span.attributes or {})["arbiter.member.status"] == "timed-out"


async def test_an_answer_that_is_refused_is_not_quoted() -> None:
    async def answer() -> Answer:
        return Answer((Sample(SECRET, (), (), SECRET),))

    with recording() as recorded:
        span = await _ask(recorded, answer)
    assert (span.attributes or {})["arbiter.member.status"] == "invalid"


def test_tokens_used_outside_a_call_are_nobodys() -> None:
    with recording() as recorded:
        used_tokens(1, 2)
        assert not recorded.spans()
