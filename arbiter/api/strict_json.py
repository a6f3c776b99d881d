"""Request bytes become plain Python values, or a refusal that names the place and never the value.

RFC 8259 leaves room that a clinical record must not have: a name given twice, numbers that are no numbers, text that is
no Unicode. All of it is refused here, before any schema looks. Numbers become `int` or `Decimal`, never `float`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from arbiter.errors import Problem, RefusedError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | Decimal | bool | None"
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]

BODY_LIMIT_BYTES = 256 * 1024
BODY_TIMEOUT_SECONDS = 30.0
DISCARD_LIMIT_BYTES = 4 * 1024 * 1024
DEPTH_LIMIT = 12
NUMBER_LIMIT_CHARACTERS = 32
EXPONENT_LIMIT = 30
PROBLEM_LIMIT = 50
_PLAIN_NAME = re.compile(r"(?!.*[0-9]{4})[a-z][A-Za-z0-9_-]{0,63}")


class MalformedJsonError(RefusedError):
    """The body is not the JSON that this door reads."""


class UnsupportedMediaError(RefusedError):
    """The body is declared as something else than UTF-8 JSON."""


class BodyTooLargeError(RefusedError):
    """The body is larger than `BODY_LIMIT_BYTES`."""


class BodyTooSlowError(RefusedError):
    """The body did not arrive within `BODY_TIMEOUT_SECONDS`."""


class ClientGoneError(RefusedError):
    """The client hung up before the body was complete."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands where a number could not be taken, until the walk reaches it and knows the place."""

    code: str
    detail: str


class _Pairs(list[tuple[str, Any]]):
    """An object's members in order, duplicates included."""


_NOT_FINITE = _Refused("number-not-finite", "NaN and infinities are not numbers in JSON")
_TOO_LONG = _Refused("number-too-long", f"a number has at most {NUMBER_LIMIT_CHARACTERS} characters")
_TOO_EXTREME = _Refused("number-out-of-range", f"a number's exponent lies within +-{EXPONENT_LIMIT}")


def _integer(token: str) -> int | _Refused:
    return int(token) if len(token) <= NUMBER_LIMIT_CHARACTERS else _TOO_LONG


def _fraction(token: str) -> Decimal | _Refused:
    if len(token) > NUMBER_LIMIT_CHARACTERS:
        return _TOO_LONG
    try:
        value = Decimal(token)
    except InvalidOperation:
        return _TOO_EXTREME
    exponent = int(value.as_tuple().exponent)  # finite: NaN and infinities never come here
    if abs(exponent) > EXPONENT_LIMIT or abs(value.adjusted()) > EXPONENT_LIMIT:
        return _TOO_EXTREME
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=lambda _: _NOT_FINITE,
)


def pointer_to(parent: str, step: str | int) -> str:
    """Return the JSON pointer (RFC 6901) one step below `parent`.

    A name that is no plain identifier is shown as `?`: a caller may have put a patient's words there.
    """
    if isinstance(step, int):
        return f"{parent}/{step}"
    if is_plain_name(step):
        return f"{parent}/{step}"
    return f"{parent}/?"


def is_plain_name(name: str) -> bool:
    """True for an identifier short and plain enough to be repeated in a message; one with a long number is somebody's."""
    return _PLAIN_NAME.fullmatch(name) is not None


_Place: TypeAlias = "tuple[_Place, str | int] | None"
"""A place as its parent and one step: cheap to pass down, spelt out as a pointer only when something is wrong there."""


def _pointer(place: _Place) -> str:
    return "" if place is None else pointer_to(_pointer(place[0]), place[1])


class _Walk:
    """Turns decoded pairs into dicts and gathers every problem with its place."""

    def __init__(self, depth_limit: int) -> None:
        self.problems: list[Problem] = []
        self.depth_limit = depth_limit

    def value(self, raw: Any, place: _Place, depth: int) -> Json:
        kind = type(raw)
        if kind is str:
            if not (raw.isascii() or _is_unicode(raw)):
                self.refuse(
                    place, "lone-surrogate", "text must be Unicode: a surrogate came without its pair"
                )
        elif kind is _Pairs or kind is list:
            if depth > self.depth_limit:
                self.refuse(place, "too-deep", f"expected at most {self.depth_limit} levels of nesting")
                return None
            if kind is _Pairs:
                return self.members(raw, place, depth + 1)
            return [self.value(item, (place, index), depth + 1) for index, item in enumerate(raw)]
        elif kind is _Refused:
            self.refuse(place, raw.code, raw.detail)
            return None
        plain: str | int | Decimal | bool | None = raw
        return plain

    def members(self, pairs: _Pairs, parent: _Place, depth: int) -> dict[str, Json]:
        made: dict[str, Json] = {}
        for name, raw in pairs:
            place = (parent, name)
            if not (name.isascii() or _is_unicode(name)):
                self.refuse(place, "lone-surrogate", "a member's name must be Unicode text")
            if name in made:
                self.refuse(place, "duplicate-member", "a member is given at most once in an object")
            made[name] = self.value(raw, place, depth)
        return made

    def refuse(self, place: _Place, code: str, detail: str) -> None:
        if len(self.problems) < PROBLEM_LIMIT:
            self.problems.append(Problem(_pointer(place), code, detail))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse(body: bytes, depth_limit: int = DEPTH_LIMIT) -> Json:
    """Return the value that `body` spells.

    Raises:
        MalformedJsonError: with one problem a place; syntax errors name line and column in the whole document.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _malformed("encoding", f"expected UTF-8, byte {error.start} is not part of it") from None
    if text.startswith("\ufeff"):
        raise _malformed("byte-order-mark", "expected UTF-8 without a byte order mark")
    try:
        # decode() alone treats any whitespace of JSON around the value as JSON does
        raw = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise _malformed("syntax", f"expected JSON, {_what(error.msg)} at {where}") from None
    except RecursionError:
        raise _malformed("too-deep", f"expected at most {depth_limit} levels of nesting") from None
    walk = _Walk(depth_limit)
    value = walk.value(raw, None, 1)
    if walk.problems:
        raise MalformedJsonError("the body is not acceptable JSON", tuple(walk.problems))
    return value


def _what(message: str) -> str:
    # The decoder's messages hold no input; only the tail that points at a place is cut.
    return message.removesuffix(" at").removesuffix(" starting").lower()


def _malformed(code: str, detail: str) -> MalformedJsonError:
    return MalformedJsonError("the body is not acceptable JSON", (Problem("", code, detail),))


def check_media_type(
    content_types: list[str],
    content_encodings: list[str],
    media: str = "application/json",
    parameters: tuple[str, ...] = ("charset=utf-8",),
) -> None:
    """Accept `media`, alone or with the parameters named, in no content coding; raise otherwise."""
    if len(content_types) != 1:
        raise _media(f"expected one Content-Type header: {media}")
    came, *given = content_types[0].lower().split(";")
    given = [part.replace(" ", "").replace('"', "") for part in given]
    if came.strip() != media:
        raise _media(f"expected Content-Type: {media}")
    if any(part not in parameters for part in given if part or len(given) > 1):
        raise _media(f"expected no parameter of {media} but {' and '.join(parameters)}")
    if any(coding.strip().lower() not in {"", "identity"} for coding in content_encodings):
        raise _media("expected a body without Content-Encoding", "header:Content-Encoding")


def _media(detail: str, pointer: str = "header:Content-Type") -> UnsupportedMediaError:
    return UnsupportedMediaError(
        "the body's type is not supported", (Problem(pointer, "media-type", detail),)
    )


async def read_body(
    receive: Receive,
    declared_bytes: str | None,
    *,
    unsent: bool = False,
    limit_bytes: int = BODY_LIMIT_BYTES,
) -> bytes:
    """Return a request's whole body, refusing it as soon as it proves too large or too slow.

    `declared_bytes` is the Content-Length header, believed only to refuse early; `unsent` says that the client waits
    for leave to send the body (Expect: 100-continue).

    Raises:
        BodyTooLargeError, BodyTooSlowError, ClientGoneError: the body is not kept.
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            if declared_bytes is not None and _exceeds(declared_bytes, limit_bytes):
                if not unsent:
                    await _discard(receive)
                raise _too_large(limit_bytes)
            return await _gather(receive, limit_bytes)
    except TimeoutError:
        detail = f"expected the whole body within {BODY_TIMEOUT_SECONDS:.0f} seconds"
        raise BodyTooSlowError("the body is too slow", (Problem("", "body-too-slow", detail),)) from None


async def _gather(receive: Receive, limit_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client hung up before the body was complete")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        more = message.get("more_body", False)
        if size > limit_bytes:
            if more:
                await _discard(receive)
            raise _too_large(limit_bytes)
        chunks.append(chunk)
        if not more:
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _discard(receive: Receive) -> None:
    """Read on for a while: closing on bytes unread resets the connection, and the refusal would never arrive."""
    left = DISCARD_LIMIT_BYTES
    while left > 0:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
        left -= len(message.get("body", b"")) or 1


def _exceeds(declared: str, limit_bytes: int) -> bool:
    return declared.isdecimal() and (len(declared) > len(str(limit_bytes)) or int(declared) > limit_bytes)


def _too_large(limit_bytes: int) -> BodyTooLargeError:
    detail = f"expected at most {limit_bytes} bytes"
    return BodyTooLargeError("the body is too large", (Problem("", "body-too-large", detail),))
