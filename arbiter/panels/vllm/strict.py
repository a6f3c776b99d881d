"""The strict reading of untrusted JSON that every answer goes through: exact members, bounded texts and lists, each key once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

from arbiter.errors import ArbiterError

_T = TypeVar("_T")


class UnreadableError(ArbiterError):
    """A reply or an answer is not what it must be; the reason is in fixed words."""


def parsed(text: str) -> Any:
    """Return the JSON in a text; no key twice, no number that JSON does not know.

    Raises:
        UnreadableError: when it is anything else.
    """
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):  # the limit on an integer's digits is a ValueError too
        raise UnreadableError("expected JSON") from None


def parsed_answer(text: str, limit: int, members: frozenset[str]) -> dict[str, Any]:
    """Return the one JSON object that an answer's text is, with exactly these members.

    Raises:
        UnreadableError: when it is longer than the limit or anything else.
    """
    if len(text) > limit or not text.startswith("{") or not text.endswith("}"):
        raise UnreadableError("expected one bounded JSON object and nothing around it")
    answer = parsed(text)
    if not isinstance(answer, dict) or answer.keys() != members:
        raise UnreadableError("expected exactly the members of an answer")
    return answer


def one_of(value: object, allowed: set[str]) -> str:
    """Return a text that is among those allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise UnreadableError("expected one of those offered")
    return value


def bounded_text(value: object, limit: int) -> str:
    """Return a text of at most so many characters."""
    if not isinstance(value, str) or len(value) > limit:
        raise UnreadableError(f"expected text of at most {limit} characters")
    return value


def bounded_list(value: object, limit: int, read: Callable[[object], _T]) -> tuple[_T, ...]:
    """Return what `read` makes of each item of a list of at most so many."""
    if not isinstance(value, list) or len(value) > limit:
        raise UnreadableError(f"expected a list of at most {limit}")
    return tuple(read(item) for item in value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise UnreadableError("expected each key once")
    return members


def _refuse(_: str) -> Any:
    raise UnreadableError("expected numbers that JSON knows")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
