"""The JSON form of a protocol: every frozen value of it, for whoever decides again without the loader and its libraries.

Numbers and durations are tagged objects, `{"decimal": "0.5"}` and `{"microseconds": 60000000}`; an absent value is an
absent member. The form follows the classes of `arbiter.question`, so that nothing of a protocol can be left behind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from arbiter.documents.canonical import refusal
from arbiter.documents.scalars import decimal_text
from arbiter.errors import RefusedError
from arbiter.question import Protocol

_MICROSECOND = timedelta(microseconds=1)

ALWAYS_HASHED: Final = ("protocol.yaml", "policy.yaml")
HASHED_WHERE_PRESENT: Final = ("fhir.yaml",)


def protocol_document(protocol: Protocol) -> dict[str, Any]:
    """Return the JSON form of a protocol."""
    document: dict[str, Any] = _plain(protocol)
    return document


def protocol_from(document: Mapping[str, Any]) -> Protocol:
    """Return the protocol that `protocol_document` wrote.

    Raises:
        RefusedError: when the document is not exactly such a form.
    """
    try:
        protocol = _made(Protocol, dict(document), "")
    except (TypeError, ValueError, InvalidOperation) as error:
        raise refusal("", "not-a-protocol", "expected a protocol's values") from error
    if not isinstance(protocol, Protocol) or protocol_document(protocol) != document:
        raise refusal("", "not-a-protocol", "expected a protocol's document, spelt as it is written")
    return protocol


def content_hash(files: Mapping[str, bytes]) -> str:
    """Return a bundle's content hash: SHA-256 (hex) over the sorted list of [file name, SHA-256] as canonical JSON."""
    names = (*ALWAYS_HASHED, *(name for name in HASHED_WHERE_PRESENT if name in files))
    listed = sorted([name, hashlib.sha256(files[name]).hexdigest()] for name in names)
    return hashlib.sha256(json.dumps(listed, separators=(",", ":")).encode("ascii")).hexdigest()


def _plain(value: object) -> Any:
    match value:
        case StrEnum():
            return value.value
        case bool() | str() | int():
            return value
        case Decimal():
            return {"decimal": decimal_text(value)}
        case timedelta():
            return {"microseconds": value // _MICROSECOND}
        case tuple():
            return [_plain(item) for item in value]
    if is_dataclass(value):
        members = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: _plain(member) for name, member in members if member is not None}
    raise TypeError(f"a protocol holds no {type(value).__name__}")


def _made(kind: Any, value: Any, pointer: str) -> Any:
    """Return the value of that kind; kinds are those of the annotations in `arbiter.question`."""
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        made = _one_of(get_args(kind), value, pointer)
    elif origin is tuple:
        made = _tuple(get_args(kind), value, pointer)
    elif kind is Decimal:
        made = Decimal(_tagged(value, "decimal", str, pointer))
    elif kind is timedelta:
        made = timedelta(microseconds=_tagged(value, "microseconds", int, pointer))
    elif is_dataclass(kind) and isinstance(kind, type):
        made = _object(kind, value, pointer)
    else:
        made = _scalar(kind, value, pointer)
    return made


def _scalar(kind: Any, value: Any, pointer: str) -> Any:
    plain: type[Any] = kind if isinstance(kind, type) else kind.__supertype__
    if issubclass(plain, StrEnum):
        return plain(value)
    if type(value) is not plain:
        raise _misfit(pointer)
    return value


def _object(kind: type[Any], value: Any, pointer: str) -> Any:
    if not isinstance(value, dict):
        raise _misfit(pointer)
    hints = get_type_hints(kind)
    if unknown := sorted(value.keys() - hints.keys()):
        raise _misfit(f"{pointer}/{unknown[0]}")
    for name, hint in hints.items():
        if name not in value and NoneType not in get_args(hint):
            raise _misfit(f"{pointer}/{name}")
    return kind(
        **{
            name: _made(hint, value[name], f"{pointer}/{name}") if name in value else None
            for name, hint in hints.items()
        }
    )


def _tuple(kinds: tuple[Any, ...], value: Any, pointer: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _misfit(pointer)
    items: Iterable[Any] = [kinds[0]] * len(value) if kinds[1:] == (Ellipsis,) else kinds
    return tuple(
        _made(kind, item, f"{pointer}/{index}")
        for index, (kind, item) in enumerate(zip(items, value, strict=True))
    )


def _one_of(kinds: tuple[Any, ...], value: Any, pointer: str) -> Any:
    """Return the value of the one kind that its form fits; None is spelt by absence and never comes here."""
    tagged = {"decimal": Decimal, "microseconds": timedelta}
    tag = next(iter(value), "") if isinstance(value, dict) and len(value) == 1 else ""
    for kind in kinds:
        fits = is_dataclass(kind) and tag not in tagged if isinstance(value, dict) else type(value) is kind
        fits = fits or (get_origin(kind) is tuple and isinstance(value, list))
        if fits or (tag in tagged and kind is tagged[tag]):
            return _made(kind, value, pointer)
    raise _misfit(pointer)


def _tagged(value: Any, tag: str, kind: type[Any], pointer: str) -> Any:
    if not isinstance(value, dict) or value.keys() != {tag} or type(value[tag]) is not kind:
        raise _misfit(pointer)
    return value[tag]


def _misfit(pointer: str) -> RefusedError:
    return refusal(pointer, "not-a-protocol", "expected a protocol's value")
