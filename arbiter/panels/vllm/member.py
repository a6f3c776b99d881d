"""A language model in a seat: asked over HTTP, its choices read strictly, what failed told apart and kept.

Guarantees: a server that refuses, breaks off or answers with an error is `down`, one that does not finish in time is
`timed-out`, a reply that cannot be read is `invalid`; in each case what was sent and what came goes with the answer.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from arbiter.documents.canonical import encode
from arbiter.documents.scalars import decimal_text
from arbiter.fleet.state import UNKNOWN_VERSION
from arbiter.model import MemberIdentity, MemberStatus
from arbiter.panels.member import Answer, Asked, Failed, NoAnswerError
from arbiter.panels.vllm.asking import Told
from arbiter.panels.vllm.exchange import Ending, Exchange
from arbiter.panels.vllm.pool import Pool
from arbiter.panels.vllm.prompt import Prompt
from arbiter.panels.vllm.reading import FalseReplyError, choices_of, read_choices
from arbiter.panels.vllm.replica import OK
from arbiter.panels.vllm.request import reply_limit, request_bytes, request_id
from arbiter.panels.vllm.tries import Request
from arbiter.question import VLLM, ModelSpec
from arbiter.telemetry.members import used_tokens

_IDENTITIES_KEPT: Final = 16
_SPARE_SECONDS: Final = 0.1
_SPARE_SHARE: Final = 0.1
_VERSION_PATIENCE_SECONDS: Final = 1.0


def identity_of(model: ModelSpec, prompt: Prompt, engine: str) -> MemberIdentity:
    """Return what exactly answers; `engine` is vLLM's version, `unknown` where the server did not tell.

    The digest (SHA-256, hex) covers everything else in the identity. The server is not part of it: the same model
    on another machine is the same member.
    """
    details = {
        "dtype": model.dtype,
        "engine": f"vllm {engine}",
        "max_tokens": str(model.max_tokens),
        "prompt": prompt.version,
        "prompt_sha256": prompt.sha256,
        "samples": str(model.samples),
        "temperature": decimal_text(model.temperature),
        "top_p": decimal_text(model.top_p),
    }
    if model.weights_sha256 is not None:
        details["weights_sha256"] = model.weights_sha256
    if model.adapter is not None:
        details["adapter"] = model.adapter
    if model.quantisation is not None:
        details["quantisation"] = model.quantisation
    whole = {"kind": VLLM, "name": model.name, "version": model.revision, "details": details}
    return MemberIdentity(
        kind=VLLM,
        name=model.name,
        version=model.revision,
        digest=hashlib.sha256(encode(whole)).hexdigest(),
        details=tuple(sorted(details.items())),
    )


@dataclass(frozen=True, slots=True)
class ModelMember:
    """A model on a server of this deployment."""

    model: ModelSpec
    prompt: Prompt
    pool: Pool
    identity: MemberIdentity = field(init=False)
    _identities: dict[str, MemberIdentity] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", identity_of(self.model, self.prompt, UNKNOWN_VERSION))

    async def answer(self, asked: Asked) -> Answer:
        """Return the model's samples.

        Raises:
            NoAnswerError: when no replica can be asked, the server is down or does not finish in time.
        """
        return await self.answer_to(
            asked, request_bytes(self.model, self.prompt, asked, by_priority=self.pool.by_priority)
        )

    async def answer_to(self, asked: Asked, content: bytes) -> Answer:
        """Return the model's samples to these very bytes, which were made for `asked` once; raises as `answer`."""
        left = (asked.deadline - self.pool.clock.now()).total_seconds()
        # A little before the deadline, so that a time-out is told by who knows what was sent, not found from outside.
        seconds = left - min(_SPARE_SECONDS, _SPARE_SHARE * left)
        ends_at = asyncio.get_running_loop().time() + seconds
        self._check_proven()
        told = await self.pool.ask(self._request(asked, content), seconds)
        if told.exchange is None:
            assert told.refused is not None
            raise NoAnswerError(told.refused.cause, told.refused.status)
        identity = self._identity(await _version(told, ends_at))
        kept = told.exchange.encode()
        failed = self._refuted(told) or _failure(told.exchange)
        if failed is not None:
            status, cause = failed
            raise NoAnswerError(cause, status, kept, identity, told.reroutes)
        samples = self._samples(told, told.exchange, asked)
        return replace(samples, exchange=kept, identity=identity, reroutes=told.reroutes)

    def _barred(self) -> dict[str, str]:
        """Return the replicas that must not be asked as things stand, each with the cause."""
        return self.pool.proofs.barred(self.pool.server, self.model)

    def _check_proven(self) -> None:
        """Raise NoAnswerError where no replica may be asked."""
        barred = self._barred()
        if len(barred) == len(self.pool.replicas):
            raise NoAnswerError(min(barred.values()))

    def _refuted(self, told: Told) -> tuple[Failed, str] | None:
        """Return why an answer does not count whose replica was found, while it answered, to serve something else."""
        if told.replica is None:
            return None
        cause = self.pool.proofs.refuted(self.pool.name, told.replica.name, self.model)
        return None if cause is None else (MemberStatus.DOWN, cause)

    def _identity(self, engine: str) -> MemberIdentity:
        """Return what answered; a server's version changes seldom."""
        known = self._identities.get(engine)
        if known is None:
            if len(self._identities) >= _IDENTITIES_KEPT:
                self._identities.clear()
            known = self._identities[engine] = identity_of(self.model, self.prompt, engine)
        return known

    def _request(self, asked: Asked, content: bytes) -> Request:
        return Request(
            model=self.model.name,
            content=content,
            limit=reply_limit(self.model),
            risk_class=asked.risk_class,
            id=request_id(asked),
            barred=self._barred,
        )

    def _samples(self, told: Told, exchange: Exchange, asked: Asked) -> Answer:
        """Read a reply, and say to the pool whether it was one: a replica where another model answers is not fit."""
        if exchange.ending is Ending.TOO_LARGE:
            return Answer((), self.model.samples)
        assert told.replica is not None
        try:
            reply = choices_of(exchange.reply, self.model.name, self.model.samples, request_id(asked))
        except FalseReplyError as error:
            self.pool.disbelieved(told.replica, self.model.name, error.fault)
            return Answer((), self.model.samples)
        self.pool.believed(told.replica, self.model.name)
        if reply.tokens is not None:
            used_tokens(*reply.tokens)
            self.pool.used(*reply.tokens)
        return read_choices(reply, asked, self.model.samples, self.prompt.read)


@dataclass(frozen=True, slots=True)
class UnservedMember:
    """A model whose server this deployment does not know: an old protocol's, kept so that its cases can be read."""

    identity: MemberIdentity

    async def answer(self, asked: Asked) -> Answer:
        """Give no answer.

        Raises:
            NoAnswerError: always.
        """
        del asked
        raise NoAnswerError("its model server is not one of this deployment's")


def model_member(
    model: ModelSpec, prompt: Prompt, servers: Mapping[str, Pool]
) -> ModelMember | UnservedMember:
    """Return the member for a model, one that is always down where its server is not known."""
    pool = servers.get(model.server)
    if pool is None:
        return UnservedMember(identity_of(model, prompt, UNKNOWN_VERSION))
    return ModelMember(model, prompt, pool)


async def _version(told: Told, ends_at: float) -> str:
    """Return the version if it is there in time: an answer never waits long for it, and never fails for want of it."""
    if told.replica is None:
        return UNKNOWN_VERSION
    looking = told.replica.look_up_version()
    if not looking.done():
        left = ends_at - asyncio.get_running_loop().time()
        await asyncio.wait({looking}, timeout=max(0.0, min(left, _VERSION_PATIENCE_SECONDS)))
    return told.replica.version


def _failure(exchange: Exchange) -> tuple[Failed, str] | None:
    """Return the state and the words for a server that gave no reply to read, or None when there is one."""
    match exchange.ending:
        case Ending.OUT_OF_TIME:
            return MemberStatus.TIMED_OUT, "the model server did not finish in time"
        case Ending.NOT_CONNECTED:
            return MemberStatus.DOWN, "the model server cannot be reached"
        case Ending.BROKEN | Ending.GIVEN_UP:
            return MemberStatus.DOWN, "the model server broke off"
        case Ending.COMPLETE | Ending.TOO_LARGE:
            if exchange.status != OK:
                return MemberStatus.DOWN, f"the model server answered with status {exchange.status}"
            return None
        case _:
            assert_never(exchange.ending)
