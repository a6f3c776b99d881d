"""Takes a document apart member by member: unknown, missing and ill-typed members are refused, each by its pointer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from arbiter.documents.canonical import kind_of, refusal
from arbiter.documents.scalars import GREATEST_DIGITS
from arbiter.errors import RefusedError

_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?", re.ASCII)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", re.ASCII)


class Reader:
    """Takes members out of one object, and refuses what is left over at the end."""

    def __init__(self, document: object, pointer: str = "") -> None:
        if not isinstance(document, dict):
            raise refusal(pointer, "not-an-object", f"expected an object, got {kind_of(document)}")
        self._left: dict[str, Any] = dict(document)
        self._pointer = pointer

    def _take(self, name: str, kind: type[_T]) -> _T:
        if name not in self._left:
            raise refusal(f"{self._pointer}/{name}", "missing", "expected a value, got none")
        value = self._left.pop(name)
        if type(value) is not kind:
            expected = kind_of(kind())
            raise refusal(
                f"{self._pointer}/{name}", "wrong-type", f"expected {expected}, got {kind_of(value)}"
            )
        return value

    def text(self, name: str) -> str:
        """Take a string."""
        return self._take(name, str)

    def optional_text(self, name: str) -> str | None:
        """Take a string, or None where the member is absent."""
        return self._take(name, str) if name in self._left else None

    def flag(self, name: str) -> bool:
        """Take a boolean."""
        return self._take(name, bool)

    def count(self, name: str, least: int = 0) -> int:
        """Take an integer of at least `least`."""
        value = self._take(name, int)
        if value < least:
            raise refusal(
                f"{self._pointer}/{name}", "out-of-range", f"expected an integer of at least {least}"
            )
        return value

    def optional_integer(self, name: str) -> int | None:
        """Take an integer, or None where the member is absent."""
        return self._take(name, int) if name in self._left else None

    def one_of(self, name: str, kind: type[_E]) -> _E:
        """Take a string that is one of an enum's values."""
        try:
            return kind(self.text(name))
        except ValueError as error:
            allowed = ", ".join(kind)
            raise refusal(f"{self._pointer}/{name}", "unknown", f"expected one of {allowed}") from error

    def instant(self, name: str) -> datetime:
        """Take an instant, spelt as `instant_text` does."""
        value = self.text(name)
        if not _INSTANT.fullmatch(value):
            raise refusal(
                f"{self._pointer}/{name}", "not-an-instant", "expected UTC with microseconds and a Z"
            )
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            raise refusal(
                f"{self._pointer}/{name}", "not-an-instant", "expected a date that exists"
            ) from error

    def number(self, name: str) -> Decimal:
        """Take a number, spelt as `decimal_text` does."""
        return _number(f"{self._pointer}/{name}", self.text(name))

    def each(self, name: str, read: Callable[[Reader], _T]) -> tuple[_T, ...]:
        """Take an array of objects, each read whole by `read`."""
        items = self._take(name, list)
        return tuple(whole(item, f"{self._pointer}/{name}/{index}", read) for index, item in enumerate(items))

    def numbers(self, name: str) -> tuple[Decimal, ...]:
        """Take an array of numbers, each spelt as `decimal_text` does."""
        return self._numbers(f"{self._pointer}/{name}", self._take(name, list))

    def rows(self, name: str) -> tuple[tuple[Decimal, ...], ...]:
        """Take an array of arrays of numbers."""
        return tuple(
            self._numbers(f"{self._pointer}/{name}/{index}", row)
            for index, row in enumerate(self._take(name, list))
        )

    def _numbers(self, pointer: str, items: object) -> tuple[Decimal, ...]:
        if not isinstance(items, list):
            raise refusal(pointer, "wrong-type", f"expected an array, got {kind_of(items)}")
        return tuple(_number(f"{pointer}/{index}", item) for index, item in enumerate(items))

    def optional(self, name: str, read: Callable[[Reader], _T]) -> _T | None:
        """Take an object, read whole by `read`, or None where the member is absent."""
        return self.one(name, read) if name in self._left else None

    def one(self, name: str, read: Callable[[Reader], _T]) -> _T:
        """Take an object, read whole by `read`."""
        return whole(self._take(name, dict), f"{self._pointer}/{name}", read)

    def object(self, name: str) -> dict[str, Any]:
        """Take an object as it is."""
        return self._take(name, dict)

    def texts(self, name: str) -> tuple[str, ...]:
        """Take an array of strings."""
        items = self._take(name, list)
        for index, item in enumerate(items):
            if type(item) is not str:
                place = f"{self._pointer}/{name}/{index}"
                raise refusal(place, "wrong-type", f"expected a string, got {kind_of(item)}")
        return tuple(items)

    def optional_texts(self, name: str) -> tuple[str, ...]:
        """Take an array of strings, none where the member is absent."""
        return self.texts(name) if name in self._left else ()

    def pairs(self, name: str, kind: type[_T]) -> tuple[tuple[str, _T], ...]:
        """Take an object whose values are of one kind, as pairs sorted by name."""
        members = self._take(name, dict)
        for key, value in members.items():
            if type(value) is not kind:
                place = f"{self._pointer}/{name}/{key}"
                raise refusal(place, "wrong-type", f"expected {kind_of(kind())}, got {kind_of(value)}")
        return tuple(sorted(members.items()))

    def refuse(self, name: str, code: str, detail: str) -> RefusedError:
        """Return the refusal of a member that was taken and does not fit."""
        return refusal(f"{self._pointer}/{name}", code, detail)

    def finish(self) -> None:
        """Refuse the members that nobody took."""
        for name in sorted(self._left):
            raise refusal(f"{self._pointer}/{name}", "unknown", "expected no such member")


def _number(pointer: str, value: object) -> Decimal:
    if type(value) is not str:
        raise refusal(pointer, "wrong-type", f"expected a string, got {kind_of(value)}")
    if len(value) > 2 * GREATEST_DIGITS or not _DECIMAL.fullmatch(value) or value == "-0":
        raise refusal(pointer, "not-a-number", "expected a normalised decimal string")
    return Decimal(value)


def whole(document: object, pointer: str, read: Callable[[Reader], _T]) -> _T:
    """Return what `read` makes of a document of which it must take every member."""
    reader = Reader(document, pointer)
    value = read(reader)
    reader.finish()
    return value


def sorted_object(pairs: Sequence[tuple[str, _T]], pointer: str) -> dict[str, _T]:
    """Return pairs as the object that `Reader.pairs` reads; a name that comes twice is refused."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise refusal(pointer, "duplicate-key", "expected each name once")
    return dict(sorted(members.items()))
