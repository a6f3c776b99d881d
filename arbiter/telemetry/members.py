"""A span and a duration for every member asked; for models by the conventions for generative models, without content."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry.trace import Span, SpanKind, StatusCode

from arbiter.model import MemberId, MemberIdentity, MemberStatus
from arbiter.telemetry.catalogue import (
    GEN_INPUT,
    GEN_MODEL,
    GEN_OPERATION,
    GEN_OUTPUT,
    GEN_PROVIDER,
    GEN_TOKEN_TYPE,
    MEMBER,
    MEMBER_CALL,
    MEMBER_KIND,
    MEMBER_STATUS,
    MODEL_CALL,
)
from arbiter.telemetry.meters import record
from arbiter.telemetry.metrics import MEMBER_SECONDS, TOKENS
from arbiter.telemetry.spans import Said, begin, say, within

CHAT: Final = "chat"
PROVIDER: Final = "vllm"
SCORE: Final = "score"

_FAILED: Final = frozenset({MemberStatus.DOWN, MemberStatus.TIMED_OUT, MemberStatus.INVALID})


class MemberCall:
    """One member's turn, from the asking to its opinion."""

    def __init__(self, member: MemberId, identity: MemberIdentity) -> None:
        self._began = time.perf_counter()
        self._said: Said = {MEMBER: member, MEMBER_KIND: identity.kind}
        self._model: Said = {}
        if identity.kind == SCORE:
            self._span: Span = begin(MEMBER_CALL, self._said)
        else:
            self._model = {GEN_OPERATION: CHAT, GEN_PROVIDER: PROVIDER, GEN_MODEL: identity.name}
            name = f"{CHAT} {identity.name}"
            self._span = begin(MODEL_CALL, {**self._said, **self._model}, name=name, role=SpanKind.CLIENT)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Make the call's span the present one, so that what the member sends carries it."""
        token = _PRESENT.set(self)
        try:
            with within(self._span):
                yield
        finally:
            _PRESENT.reset(token)

    def used(self, input_tokens: int, output_tokens: int) -> None:
        """Say how many tokens the call used."""
        say(self._span, {GEN_INPUT: input_tokens, GEN_OUTPUT: output_tokens})
        for token_type, tokens in (("input", input_tokens), ("output", output_tokens)):
            record(TOKENS, tokens, {**self._model, GEN_TOKEN_TYPE: token_type})

    def end(self, status: MemberStatus) -> None:
        """Say what became of the call."""
        say(self._span, {MEMBER_STATUS: status.value})
        if status in _FAILED:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
        record(MEMBER_SECONDS, time.perf_counter() - self._began, {**self._said, MEMBER_STATUS: status.value})

    def abandon(self) -> None:
        """End the span of a call whose opinion nobody waits for any more."""
        self._span.end()


_PRESENT: ContextVar[MemberCall | None] = ContextVar("present member call", default=None)


def used_tokens(input_tokens: int, output_tokens: int) -> None:
    """Say how many tokens the present member's call used; called by a member while it answers."""
    call = _PRESENT.get()
    if call is not None:
        call.used(input_tokens, output_tokens)
