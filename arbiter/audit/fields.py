"""Reads what `parse_canonical` returned: each field as what it must be, or a refusal that names it and its place."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TypeVar

from arbiter.audit.canonical import Json
from arbiter.audit.note import decode_base64
from arbiter.errors import VerificationError

Kind = TypeVar("Kind", str, int, bool, list[Json])

_KINDS = {str: "a string", int: "a whole number", bool: "true or false", list: "a list"}


def exact_fields(
    value: object, names: AbstractSet[str], place: str, *, optional: AbstractSet[str] = frozenset()
) -> dict[str, Json]:
    """Return an object that has exactly these fields, and `optional` ones besides; raises `VerificationError`."""
    if not isinstance(value, dict) or value.keys() - optional != names:
        raise VerificationError(f"{place}: expected exactly the fields {', '.join(sorted(names))}")
    return value


def field_of(fields: Mapping[str, Json], name: str, kind: type[Kind], place: str) -> Kind:
    """Return a field of that very kind: a boolean is no number. Raises `VerificationError`."""
    value = fields[name]
    if type(value) is not kind:
        raise VerificationError(f"{place}: expected {name} to be {_KINDS[kind]}")
    return value


def texts_of(fields: Mapping[str, Json], name: str, place: str) -> tuple[str, ...]:
    """Return a field that is a list of strings; raises `VerificationError`."""
    values = field_of(fields, name, list, place)
    texts = tuple(value for value in values if isinstance(value, str))
    if len(texts) != len(values):
        raise VerificationError(f"{place}: expected {name} to be a list of strings")
    return texts


def hashes_of(fields: Mapping[str, Json], name: str, place: str, most: int) -> tuple[bytes, ...]:
    """Return a field that is a list of at most so many hashes in base64; raises `VerificationError`."""
    texts = texts_of(fields, name, place)
    if len(texts) > most:
        raise VerificationError(f"{place}: expected at most {most} hashes, came {len(texts)}")
    return tuple(decode_base64(text) for text in texts)
