"""The request for a chat completion, the same bytes for the same case, seat and seed; and how long its reply may be."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from arbiter.model import RiskClass
from arbiter.panels.member import Asked
from arbiter.panels.vllm.prompt import Prompt
from arbiter.question import ModelSpec

_ENVELOPE_BYTES: Final = 64 * 1024
_BYTES_A_TOKEN: Final = 48
_GREATEST_REPLY: Final = 8 * 1024 * 1024


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_PRIORITIES: Final = {RiskClass.EMERGENCY: 0, RiskClass.URGENT: 1, RiskClass.ROUTINE: 2}
"""vLLM takes the least number first."""


def request_bytes(model: ModelSpec, prompt: Prompt, asked: Asked, *, by_priority: bool = False) -> bytes:
    """Return the body of an ask's request, the same wherever and however often it is sent.

    `by_priority` is true for a server that schedules by priority: vLLM documents that it refuses a priority otherwise.
    """
    document: dict[str, Any] = {
        "n": model.samples,
        "seed": asked.seed,
        "temperature": float(model.temperature),
        "top_p": float(model.top_p),
        # Off, and said so: what a request leaves out, vLLM takes from a file beside the model.
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "max_tokens": model.max_tokens,
        "cache_salt": _hidden("cache-salt", asked),
        "request_id": request_id(asked),
        "stream": False,
    }
    if by_priority:
        document["priority"] = _PRIORITIES[asked.risk_class]
    put = asked.drafted(("request", prompt), lambda: _put(prompt, asked))
    return f'{{"model":{_json(model.name)},{put},{_json(document)[1:]}'.encode("ascii")


def _put(prompt: Prompt, asked: Asked) -> str:
    """Return the members of a request that say what is asked: the same text for every seat that is asked alike."""
    schema = {"name": "answer", "strict": True, "schema": prompt.schema(asked)}
    wanted = {"type": "json_schema", "json_schema": schema}
    return f'"messages":{_json(prompt.messages(asked))},"response_format":{_json(wanted)}'


def _json(value: object) -> str:
    # Keys stay in their order: a schema's members are decoded in the order in which they stand.
    return _ENCODER.encode(value)


def reply_limit(model: ModelSpec) -> int:
    """Return the greatest number of bytes that a reply to such a request may have."""
    return min(_ENVELOPE_BYTES + model.samples * model.max_tokens * _BYTES_A_TOKEN, _GREATEST_REPLY)


def request_id(asked: Asked) -> str:
    """Return what the request is called: vLLM names its reply after it, so that no reply is taken for another's."""
    return _hidden("request-id", asked)[:32]


def _hidden(use: str, asked: Asked) -> str:
    """Return a name of the case and seat for one use that tells neither.

    As a cache's salt it keeps a case's prefix from every other case: how long a reply takes would tell what it holds.
    """
    text = f"arbiter/{use}/v1/{asked.facts_hash}/{asked.seed}"
    return hashlib.sha256(text.encode()).hexdigest()
