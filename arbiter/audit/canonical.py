"""One byte form for each JSON value (RFC 8785), so that a hash over a document means one thing.

The profile is narrow on purpose. Objects, arrays, strings, booleans and integers of magnitude up to 2^53 - 1 are
carried. Floats are refused (numbers that matter travel as decimal strings) and so is null: a key that is absent says
the same with one spelling. Log entries narrow this further, to strings and integers (`arbiter.audit.entry`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from arbiter.errors import VerificationError

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json]"

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

# ASCII names sort the same by code points as by UTF-16 code units.
_PLAIN = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, sort_keys=True, separators=(",", ":")
)


def canonical_bytes(value: object) -> bytes:
    """Return the RFC 8785 form of `value`, built of mappings, lists, tuples, `str`, `int` and `bool`.

    Keys are ordered by UTF-16 code units (section 3.2.3). Raises `ValueError`, with an RFC 6901 pointer to the place,
    for anything else: floats, null, bytes, keys that are not strings, lone surrogates, integers beyond 2^53 - 1,
    nesting deeper than `MAX_DEPTH`.
    """
    return _ENCODER.encode(_ordered(value, "", 0)).encode("utf-8")


def plain_bytes(value: Mapping[str, object]) -> bytes:
    """Return the RFC 8785 form of a value that is known to be plain: strings, integers and ASCII names alone.

    For what is written by the thousand; nothing is checked, and `canonical_bytes` of the same value is the same.
    """
    return _PLAIN.encode(value).encode("utf-8")


def parse_canonical(data: bytes) -> Json:
    """Return the value whose canonical form is exactly `data`.

    Raises `VerificationError` for bytes that are not UTF-8 or not JSON, duplicate keys, floats, NaN, null, lone
    surrogates, and any spelling other than the canonical one.
    """
    try:
        value: Json = _DECODER.decode(data.decode("utf-8"))
        again = canonical_bytes(value)
    except UnicodeDecodeError as error:
        raise VerificationError(f"expected UTF-8, came an invalid byte at {error.start}") from error
    except RecursionError as error:
        raise VerificationError(f"expected nesting of at most {MAX_DEPTH}, came deeper") from error
    except ValueError as error:
        raise VerificationError(f"expected canonical JSON: {error}") from error
    if again != data:
        place = next((i for i, (a, b) in enumerate(zip(again, data, strict=False)) if a != b), len(again))
        raise VerificationError(f"expected canonical JSON, the spelling differs at byte {place}")
    return value


def _ordered(value: object, pointer: str, depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise ValueError(f"nesting deeper than {MAX_DEPTH} at {pointer or '/'}")
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        _require_scalar_values(value, pointer)
        return value
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise ValueError(f"integer beyond 2^53 - 1 at {pointer or '/'}")
        return value
    if isinstance(value, Mapping):
        return _ordered_object(value, pointer, depth)
    if isinstance(value, list | tuple):
        return [_ordered(item, f"{pointer}/{i}", depth + 1) for i, item in enumerate(value)]
    raise ValueError(f"{type(value).__name__} is not carried, at {pointer or '/'}")


def _ordered_object(value: Mapping[Any, object], pointer: str, depth: int) -> dict[str, Json]:
    if not all(isinstance(key, str) for key in value):
        raise ValueError(f"a key that is not a string, at {pointer or '/'}")
    for key in value:
        _require_scalar_values(key, pointer)
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return {key: _ordered(value[key], f"{pointer}/{_escaped(key)}", depth + 1) for key in keys}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _require_scalar_values(text: str, pointer: str) -> None:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(f"lone surrogate at {pointer or '/'}")


def _object_without_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key in an object")
    return value


def _refuse_number(text: str) -> Json:
    raise ValueError(f"a number that is not an integer, of {len(text)} characters")


def _integer(text: str) -> int:
    if len(text) > len(str(-MAX_INTEGER)):
        raise ValueError("integer beyond 2^53 - 1")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
    parse_int=_integer,
)
