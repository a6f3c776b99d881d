"""A document's bytes: canonical JSON on the way out, strict on the way in.

Equal documents have equal bytes, so that a hash over them means something. Every refusal names its place by an
RFC 6901 pointer and never a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from arbiter.errors import Problem, RefusedError

_GREATEST_INTEGER = 2**53 - 1
_GREATEST_DEPTH = 64
_SURROGATE = re.compile("[\ud800-\udfff]")

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
)


def refusal(pointer: str, code: str, detail: str) -> RefusedError:
    """Return the refusal of what stands at a pointer; `detail` says what was expected and holds no value."""
    return RefusedError(f"{pointer or '/'}: {detail}", (Problem(pointer, code, detail),))


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the canonical UTF-8 JSON of a document: sorted keys, no white space, no escapes beyond JSON's own.

    Raises:
        RefusedError: for a float, a null, an integer beyond 2**53 - 1, a lone surrogate, or any other type.
    """
    _check(document)
    return _CANONICAL.encode(document).encode("utf-8")


def decode(content: bytes) -> dict[str, Any]:
    """Return the object that these JSON bytes hold.

    Raises:
        RefusedError: for malformed JSON or UTF-8, a duplicate key, a float, NaN, infinity, null, an integer beyond
            2**53 - 1, a lone surrogate, nesting beyond 64 levels, or a top level that is no object.
    """
    try:
        document = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_unique_pairs,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except RecursionError as error:
        raise refusal("", "too-deep", "expected shallow JSON, got nesting beyond the limit") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError and the limit on digits
        raise refusal("", "malformed", "expected well-formed UTF-8 JSON") from error
    if not isinstance(document, dict):
        raise refusal("", "not-an-object", f"expected an object, got {kind_of(document)}")
    _check(document)
    return document


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise refusal("", "duplicate-key", "expected each key once in an object, got one twice")
    return document


def _refuse_number(_text: str) -> Any:
    raise refusal("", "not-an-integer", "expected integers or decimal strings, got another number")


def _check(document: object) -> None:
    """Check first whether all is well, and look for the place only where it is not: the former is the hot path."""
    if not _is_plain(document):
        _check_writable(document, "")


def _is_plain(document: object) -> bool:
    """Return True for what is surely writable, a level at a time: no recursion, no call per value."""
    names: set[Any] = set()
    level: list[Any] = [document]
    for _ in range(_GREATEST_DEPTH + 1):
        deeper: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is str:
                if not value.isascii() and _SURROGATE.search(value) is not None:
                    return False
            elif kind is dict:
                # Names are checked as values are: an object's are few, and most are seen again and again.
                deeper.extend(value.values())
                names.update(value)
            elif kind is list:
                deeper.extend(value)
            elif kind is not bool and (kind is not int or abs(value) > _GREATEST_INTEGER):
                return False
        if not deeper:
            return all(type(name) is str and name.isascii() for name in names)
        level = deeper
    return False


def _check_writable(value: object, pointer: str, depth: int = 0) -> None:
    if depth > _GREATEST_DEPTH:
        raise refusal(pointer, "too-deep", f"expected at most {_GREATEST_DEPTH} levels")
    match value:
        case bool():
            return
        case int():
            if abs(value) > _GREATEST_INTEGER:
                raise refusal(pointer, "too-large", "expected an integer within 53 bits")
        case str():
            _check_text(value, pointer)
        case Mapping():
            for key, member in value.items():
                _check_text(key, pointer)
                _check_writable(member, f"{pointer}/{key}", depth + 1)
        case list() | tuple():
            for index, member in enumerate(value):
                _check_writable(member, f"{pointer}/{index}", depth + 1)
        case _:
            raise refusal(
                pointer,
                "not-json",
                f"expected a string, integer, boolean, array or object, got {kind_of(value)}",
            )


def _check_text(value: object, pointer: str) -> None:
    if not isinstance(value, str):
        raise refusal(pointer, "not-a-string", f"expected string keys, got {kind_of(value)}")
    if not value.isascii() and _SURROGATE.search(value):
        raise refusal(pointer, "lone-surrogate", "expected Unicode scalar values")


def kind_of(value: object) -> str:
    """Return what a value is in JSON's words, for a refusal's detail."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
