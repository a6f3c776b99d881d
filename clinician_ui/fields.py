"""What a browser's form sends, as fields: each with its values in order. What no page of ours can have sent is refused as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from arbiter.errors import RefusedError

CSRF_FIELD = "csrf_token"
"""The hidden field that every form carries."""

LARGEST_BODY_BYTES = 262_144
MOST_FIELDS = 250

Fields = Mapping[str, tuple[str, ...]]


async def read_fields(request: Request, largest: int = LARGEST_BODY_BYTES) -> Fields:
    """Return the fields of an urlencoded body, each with its values in order.

    Raises:
        RefusedError: for another content type, more than `largest` bytes (256 KiB) or 250 fields, or anything that is not UTF-8.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise RefusedError("expected an urlencoded form")
    body = await read_body(request, largest)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise RefusedError("expected a well-formed urlencoded form in UTF-8") from error
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        fields[name] = (*fields.get(name, ()), value)
    return fields


async def read_body(request: Request, largest: int) -> bytes:
    """Return a form's body; raise RefusedError for more than `largest` bytes, or one that breaks off."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > largest:
                raise RefusedError(f"expected a form of at most {largest} bytes")
    except ClientDisconnect as error:
        raise RefusedError("expected a whole form, got the beginning of one") from error
    return bytes(body)


def check_known(names: Iterable[str], known: set[str]) -> None:
    """Raise RefusedError for a field that no page of ours sends."""
    unknown = min(set(names) - known - {CSRF_FIELD}, default=None)
    if unknown is not None:
        raise RefusedError(f"the form's field {unknown[:40]!r} is not one that its page has")


def only_value(fields: Fields, name: str) -> str | None:
    """Return a field's single value, or None when it is absent; raise RefusedError when it came twice."""
    values = fields.get(name, ())
    if len(values) > 1:
        raise RefusedError(f"expected the field {name} once, got it {len(values)} times")
    return values[0] if values else None
