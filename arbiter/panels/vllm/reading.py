"""Reads a model server's reply and believes none of it: bytes in, samples and a count of what could not be read out.

Guarantees: a reply counts only as a whole (UTF-8, JSON without a key twice, the model that was asked, no more choices than
were asked for); a choice counts only when it ended by itself and its text is exactly one answer of the schema, with
nothing before or after it. Nothing is repaired, and a choice that is missing counts as one that cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
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

_MOST_TOKENS: Final = 10_000_000

_MEMBERS: Final = frozenset({"option", "confidence", "evidence", "missing", "consult", "rationale"})


def read_reply(
    body: bytes, asked: Asked, model: str, choices: int, read: Callable[[str, Asked], Sample]
) -> Answer:
    """Return the samples in a reply's body, grounded in nothing yet.

    `model` is the name that was asked, `choices` how many answers were asked for, `read` how the prompt's answers are read.
    """
    try:
        found = _choices(body, model, choices)
    except UnreadableError:
        return Answer((), choices)
    samples = []
    for choice in found:
        try:
            samples.append(read(_content(choice), asked))
        except UnreadableError:
            continue
    return Answer(tuple(samples), choices - len(samples))


def tokens_used(body: bytes) -> tuple[int, int] | None:
    """Return how many tokens a reply says were read and written, or None where it does not say; nothing rests on it."""
    try:
        usage = json.loads(body)["usage"]
        read, written = usage["prompt_tokens"], usage["completion_tokens"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    plausible = all(type(count) is int and 0 <= count <= _MOST_TOKENS for count in (read, written))
    return (read, written) if plausible else None


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


def _choices(body: bytes, model: str, choices: int) -> list[dict[str, Any]]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableError("expected UTF-8") from None
    reply = parsed(text)
    if not isinstance(reply, dict) or reply.get("model") != model:
        raise UnreadableError("expected a reply of the model that was asked")
    found = reply.get("choices")
    if not isinstance(found, list) or not all(isinstance(choice, dict) for choice in found):
        raise UnreadableError("expected a list of choices")
    indexes = [choice.get("index") for choice in found]
    if any(type(index) is not int or not 0 <= index < choices for index in indexes):
        raise UnreadableError("expected each choice's place among those asked for")
    if len(set(indexes)) != len(indexes):
        raise UnreadableError("expected each choice once")
    return sorted(found, key=lambda choice: int(choice["index"]))


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
