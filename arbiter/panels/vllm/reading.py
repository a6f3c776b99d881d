"""Reads a model server's reply and believes none of it: bytes in, samples and a count of what could not be read out.

Guarantees: a reply counts only as a whole (UTF-8, JSON without a key twice, the model that was asked, no more choices than
were asked for); a choice counts only when it ended by itself and its text is exactly one answer of the schema, with
nothing before or after it. Nothing is repaired, and a choice that is missing counts as one that cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from arbiter.model import Evidence
from arbiter.panels.grounding import VALUE_LIMIT
from arbiter.panels.member import Answer, Asked, Sample
from arbiter.panels.vllm.answer_schema import (
    CONSULT_LIMIT,
    CONSULTED_LIMIT,
    EVIDENCE_LIMIT,
    FINDING_LIMIT,
    GREATEST_CONFIDENCE,
    MISSING_LIMIT,
    RATIONALE_LIMIT,
)
from arbiter.panels.vllm.breaker import Fault
from arbiter.panels.vllm.strict import (
    UnreadableError,
    bounded_list,
    bounded_text,
    one_of,
    parsed,
    parsed_answer,
)
from arbiter.question import ABSTAIN

CONTENT_LIMIT: Final = 64 * 1024
"""As many characters may an answer have; the schema's own limits add up to less, each character escaped."""

ID_PREFIX: Final = "chatcmpl-"
"""What vLLM puts before the name that a request came with, to name its reply."""

_MOST_TOKENS: Final = 10_000_000

_MEMBERS: Final = frozenset({"option", "confidence", "evidence", "missing", "consult", "rationale"})


class FalseReplyError(UnreadableError):
    """A whole reply is not what it must be; `fault` is what that says against the replica."""

    def __init__(self, reason: str, fault: Fault = Fault.UNREADABLE) -> None:
        super().__init__(reason)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that is whole, of the model that was asked and to the request that was sent; no answer in it is judged yet.

    `tokens` are those read and written, None where the server does not say; nothing rests on them.
    """

    choices: tuple[dict[str, Any], ...]
    tokens: tuple[int, int] | None


def read_reply(
    body: bytes, asked: Asked, model: str, choices: int, request_id: str, read: Callable[[str, Asked], Sample]
) -> Answer:
    """Return the samples in a reply's body, grounded in nothing yet.

    `model` is the name that was asked, `choices` how many answers were asked for, `request_id` what the request was called,
    `read` how the prompt's answers are read.
    """
    try:
        return read_choices(choices_of(body, model, choices, request_id), asked, choices, read)
    except UnreadableError:
        return Answer((), choices)


def read_choices(reply: Reply, asked: Asked, choices: int, read: Callable[[str, Asked], Sample]) -> Answer:
    """Return the samples in a reply; those that cannot be read, and those that are missing, are counted."""
    samples = []
    for choice in reply.choices:
        try:
            samples.append(read(_content(choice), asked))
        except UnreadableError:
            continue
    return Answer(tuple(samples), choices - len(samples))


def choices_of(body: bytes, model: str, choices: int, request_id: str) -> Reply:
    """Return what is in a reply's body.

    Raises:
        FalseReplyError: when it is no reply of that model to that request, or has more choices than were asked for.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise FalseReplyError("expected UTF-8") from None
    try:
        reply = parsed(text)
    except UnreadableError:
        raise FalseReplyError("expected JSON") from None
    if not isinstance(reply, dict) or reply.get("model") != model:
        raise FalseReplyError("expected a reply of the model that was asked", Fault.OTHER_MODEL)
    if reply.get("id") != f"{ID_PREFIX}{request_id}":
        raise FalseReplyError("expected a reply to the request that was sent", Fault.OTHER_REQUEST)
    found = reply.get("choices")
    if not isinstance(found, list) or not all(isinstance(choice, dict) for choice in found):
        raise FalseReplyError("expected a list of choices")
    indexes = [choice.get("index") for choice in found]
    if any(type(index) is not int or not 0 <= index < choices for index in indexes):
        raise FalseReplyError("expected each choice's place among those asked for")
    if len(set(indexes)) != len(indexes):
        raise FalseReplyError("expected each choice once")
    return Reply(tuple(sorted(found, key=lambda choice: int(choice["index"]))), _tokens(reply))


def _tokens(reply: dict[str, Any]) -> tuple[int, int] | None:
    usage = reply.get("usage")
    if not isinstance(usage, dict):
        return None
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(read) is not int or type(written) is not int:
        return None
    return (read, written) if 0 <= read <= _MOST_TOKENS and 0 <= written <= _MOST_TOKENS else None


def read_answer(text: str, asked: Asked) -> Sample:
    """Return one answer as a sample.

    Raises:
        UnreadableError: when the text is not exactly one JSON object as the schema has it, bounds and all.
    """
    answer = parsed_answer(text, CONTENT_LIMIT, _MEMBERS)
    options = {option.id for option in asked.options} | {ABSTAIN}
    facts = {spec.name for spec in asked.specs}
    option = one_of(answer["option"], options)
    _check_confidence(answer["confidence"])
    missing = bounded_list(answer["missing"], MISSING_LIMIT, lambda name: one_of(name, facts))
    bounded_list(answer["consult"], CONSULT_LIMIT, lambda whom: bounded_text(whom, CONSULTED_LIMIT))
    return Sample(
        option=None if option == ABSTAIN else option,
        evidence=bounded_list(answer["evidence"], EVIDENCE_LIMIT, lambda cited: _evidence(cited, facts)),
        missing=missing,
        rationale=bounded_text(answer["rationale"], RATIONALE_LIMIT),
    )


def _content(choice: dict[str, Any]) -> str:
    """Return a choice's text if the model ended it and said nothing besides."""
    message = choice.get("message")
    if choice.get("finish_reason") != "stop" or not isinstance(message, dict):
        raise UnreadableError("expected a message that ended by itself")
    if message.get("role") != "assistant" or message.get("tool_calls") or message.get("refusal"):
        raise UnreadableError("expected the assistant's words and nothing else")
    content = message.get("content")
    if not isinstance(content, str):
        raise UnreadableError("expected text")
    return content


def _check_confidence(value: object) -> None:
    """A whole number from 0 to 100; `70.0` is one, as JSON Schema has it, and `true` is not."""
    whole = type(value) is int or (type(value) is float and value.is_integer())
    if not whole or not isinstance(value, int | float) or not 0 <= value <= GREATEST_CONFIDENCE:
        raise UnreadableError("expected a whole number from 0 to 100")


def _evidence(value: object, facts: set[str]) -> Evidence:
    if not isinstance(value, dict) or value.keys() != {"fact", "value", "finding"}:
        raise UnreadableError("expected exactly the members of a citation")
    return Evidence(
        fact=one_of(value["fact"], facts),
        value=bounded_text(value["value"], VALUE_LIMIT),
        finding=bounded_text(value["finding"], FINDING_LIMIT),
    )
