"""Asks a model server what it is and whether it computes, with a limit on everything; what it does wrong is told in words.

The one question that shows that a model answers is a completion: `/health` may be green over a dead engine, and the list of
models is the HTTP server's own.
"""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
from dataclasses import dataclass
from typing import Annotated, Any, Final

import httpx
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

COMPLETIONS_PATH: Final = "/v1/completions"
CHAT_PATH: Final = "/v1/chat/completions"
MODELS_PATH: Final = "/v1/models"
VERSION_PATH: Final = "/version"
ONE_TOKEN_SECONDS: Final = 60.0
"""How long a completion of one token may take: the first of a server that has just started takes longest."""
ASK_SECONDS: Final = 5.0
OUT_OF_TIME: Final = "did not answer in time"

_REPLY_LIMIT: Final = 1024 * 1024
_SHOWN: Final = 200
_SCHEMA: Final = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}},
    "required": ["ready"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Silence:
    """Why nothing that can be read came, in fixed words."""

    cause: str


class _Said(BaseModel):
    """What a server says; what it says beyond that is nobody's business."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class Card(_Said):
    """A model as `/v1/models` lists it: an adapter's `parent` is its base, `root` the folder or repository it came from."""

    id: str
    root: Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")] | None = None
    parent: str | None = None
    max_model_len: int | None = None


class _Cards(_Said):
    data: list[Card]


class _Version(_Said):
    version: str


class _Choice(_Said):
    finish_reason: str | None = None


class _Completion(_Said):
    model: str
    choices: list[_Choice]


def client(url: str, token: str | None) -> httpx.AsyncClient:
    """Return a client that takes nothing from its surroundings, follows nobody and keeps no cookie."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "arbiter"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return httpx.AsyncClient(
        base_url=url,
        headers=headers,
        timeout=None,  # noqa: S113 - each question is bounded as a whole
        trust_env=False,
        follow_redirects=False,
        verify=False if url.startswith("http:") else trusted(),
    )


@functools.cache
def trusted() -> ssl.SSLContext:
    """Return the machine's own trust store, where a hospital's authority stands; it is read once."""
    return ssl.create_default_context()


async def completes(http: httpx.AsyncClient, name: str, seconds: float = ONE_TOKEN_SECONDS) -> Silence | None:
    """Return None when a plain prompt is completed by the model of that name, else why not."""
    asked = {"model": name, "prompt": "ready", "max_tokens": 1, "temperature": 0, "seed": 0}
    return _completed(await _ask(http, "POST", COMPLETIONS_PATH, asked, seconds))


async def answers(http: httpx.AsyncClient, name: str, seconds: float = ONE_TOKEN_SECONDS) -> str | Silence:
    """Return the name of the model that gave one token of an answer, bound to a schema as every case's answer is."""
    asked = {
        "model": name,
        "messages": [{"role": "user", "content": "Say whether you are ready."}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "ready", "strict": True, "schema": _SCHEMA},
        },
        "max_tokens": 1,
        "temperature": 0,
        "seed": 0,
        "stream": False,
    }
    came = await _ask(http, "POST", CHAT_PATH, asked, seconds)
    silence = _completed(came)
    return silence if silence is not None else _Completion.model_validate_json(_body(came)).model


async def cards(http: httpx.AsyncClient, seconds: float) -> tuple[Card, ...] | Silence:
    """Return the models that a server lists."""
    came = await _ask(http, "GET", MODELS_PATH, None, seconds)
    if isinstance(came, Silence):
        return came
    try:
        return tuple(_Cards.model_validate_json(came).data)
    except ValidationError:
        return Silence("lists no models that can be read")


async def version(http: httpx.AsyncClient, seconds: float) -> str | Silence:
    """Return the version of vLLM that a server says it is."""
    came = await _ask(http, "GET", VERSION_PATH, None, seconds)
    if isinstance(came, Silence):
        return came
    try:
        return _Version.model_validate_json(came).version
    except ValidationError:
        return Silence("tells no version that can be read")


def shown(words: str) -> str:
    """Return what a server said as it may be shown: printable and short."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in words[: _SHOWN + 1])
    return plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "…"


def _body(came: bytes | Silence) -> bytes:
    return b"" if isinstance(came, Silence) else came


def _completed(came: bytes | Silence) -> Silence | None:
    if isinstance(came, Silence):
        return came
    try:
        completion = _Completion.model_validate_json(came)
    except ValidationError:
        return Silence("answered something that is no completion")
    # An engine that is alive says why it stopped; which token came matters to nobody.
    ended = [choice.finish_reason in {"length", "stop"} for choice in completion.choices]
    return None if ended == [True] else Silence("answered with a completion that did not end")


async def _ask(
    http: httpx.AsyncClient, method: str, path: str, asked: dict[str, Any] | None, seconds: float
) -> bytes | Silence:
    try:
        async with asyncio.timeout(seconds):
            return await _read(http, method, path, asked)
    except TimeoutError:
        return Silence(OUT_OF_TIME)
    except httpx.ConnectError:
        return Silence("cannot be reached")
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError):
        return Silence("broke off")


async def _read(
    http: httpx.AsyncClient, method: str, path: str, asked: dict[str, Any] | None
) -> bytes | Silence:
    content = None if asked is None else json.dumps(asked, separators=(",", ":")).encode("ascii")
    headers = {} if content is None else {"Content-Type": "application/json"}
    body = bytearray()
    async with http.stream(method, path, content=content, headers=headers) as reply:
        if reply.status_code != httpx.codes.OK:
            return Silence(f"answered with status {reply.status_code}")
        # Raw: a compressed body is one that nobody asked for, and may unfold without end.
        async for chunk in reply.aiter_raw():
            body += chunk
            if len(body) > _REPLY_LIMIT:
                return Silence(f"answered with more than {_REPLY_LIMIT} bytes")
    return bytes(body)
