"""Columns of rows as PostgreSQL's arrays, in its binary form.

psycopg looks at every element of a list to find out its type, at 10 us a list. What a hot statement unnests is of a type
that its writer knows, and packed as such: at 2 us, and always of the same type, so that one statement stays one prepared
statement whatever it is given, also nothing.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEAD = struct.Struct(">iiIii")
_LENGTH = struct.Struct(">i")
_INTEGER = struct.Struct(">ii")
_LONG = struct.Struct(">iq")
_NULL = _LENGTH.pack(-1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Texts(tuple[str | None, ...]):
    """A `text[]`."""

    __slots__ = ()


class Integers(tuple[int | None, ...]):
    """An `int[]`."""

    __slots__ = ()


class Instants(tuple[datetime | None, ...]):
    """A `timestamptz[]`; every instant knows its offset."""

    __slots__ = ()


class Blobs(tuple[bytes | None, ...]):
    """A `bytea[]`."""

    __slots__ = ()


class _Packer(Dumper):
    """Packs one kind of array; each packs an element with its length before it."""

    format = Format.BINARY
    element: ClassVar[int]

    def dump(self, obj: Any) -> bytes:
        if not obj:
            return struct.pack(">iiI", 0, 0, self.element)
        head = _HEAD.pack(1, None in obj, self.element, len(obj), 1)
        return head + b"".join([_NULL if value is None else self.pack(value) for value in obj])

    @staticmethod
    def pack(value: Any) -> bytes:
        raise NotImplementedError


class _PacksTexts(_Packer):
    oid, element = 1009, 25

    @staticmethod
    def pack(value: str) -> bytes:
        spelt = value.encode()
        return _LENGTH.pack(len(spelt)) + spelt


class _PacksIntegers(_Packer):
    oid, element = 1007, 23

    @staticmethod
    def pack(value: int) -> bytes:
        return _INTEGER.pack(4, value)


class _PacksInstants(_Packer):
    oid, element = 1185, 1184

    @staticmethod
    def pack(value: datetime) -> bytes:
        return _LONG.pack(8, (value - _EPOCH) // _MICROSECOND)


class _PacksBlobs(_Packer):
    oid, element = 1001, 17

    @staticmethod
    def pack(value: bytes) -> bytes:
        return _LENGTH.pack(len(value)) + value


for _kind, _packer in (
    (Texts, _PacksTexts),
    (Integers, _PacksIntegers),
    (Instants, _PacksInstants),
    (Blobs, _PacksBlobs),
):
    psycopg.adapters.register_dumper(_kind, _packer)
