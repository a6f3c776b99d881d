"""What a request asks for beside its body, read strictly: keys, waiting, resuming, revalidating, filters."""

from __future__ import annotations

import base64
import hashlib
import re

from fastapi import Request

from arbiter.api.problems import BadRequestError
from arbiter.api.strict_json import PROBLEM_LIMIT, is_plain_name
from arbiter.errors import Problem

WAIT_LIMIT_SECONDS = 60
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,6})"?', re.IGNORECASE)
_EVENT_ID = re.compile(r"[0-9]{1,9}")


def idempotency_key(request: Request) -> str:
    """Return the Idempotency-Key, bare or quoted (draft-ietf-httpapi-idempotency-key-header).

    Raises:
        BadRequestError: for none, several, or one that is not 1 to 128 of A-Z, a-z, 0-9, `.`, `_`, `:` and `-`.
    """
    values = request.headers.getlist("idempotency-key")
    if len(values) != 1:
        raise _bad("Idempotency-Key", "missing" if not values else "repeated", "expected one Idempotency-Key")
    key = values[0].strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if _KEY.fullmatch(key) is None:
        raise _bad(
            "Idempotency-Key",
            "pattern",
            "expected 1 to 128 of A-Z, a-z, 0-9, . _ : and -, a letter or digit first",
        )
    return key


def wait_seconds(request: Request) -> int | None:
    """Return how long the caller would wait (RFC 7240 `wait`), at most a minute; None for no such preference.

    A preference that cannot be read is ignored, as the RFC asks.
    """
    for value in request.headers.getlist("prefer"):
        for preference in value.split(","):
            match = _WAIT.fullmatch(preference.partition(";")[0].strip())
            if match is not None:
                return min(int(match[1]), WAIT_LIMIT_SECONDS)
    return None


def last_event_id(request: Request) -> int | None:
    """Return the number of the last event seen, or None when following anew; raise BadRequestError for anything else."""
    value = request.headers.get("last-event-id")
    if value is None or value == "":
        return None
    if _EVENT_ID.fullmatch(value) is None:
        raise _bad("Last-Event-ID", "pattern", "expected the number of an event")
    return int(value)


def matches_etag(request: Request, etag: str) -> bool:
    """Return whether the caller already holds what `etag` names (RFC 9110 13.1.2, weak comparison)."""
    held = [tag.strip() for value in request.headers.getlist("if-none-match") for tag in value.split(",")]
    return "*" in held or etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in held}


def content_digests(content: bytes) -> dict[str, str]:
    """Return `ETag` and `Repr-Digest` (RFC 9530) of exactly these bytes."""
    digest = hashlib.sha256(content).digest()
    return {
        "ETag": f'"{digest.hex()}"',
        "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:",
    }


def check_query(request: Request, known: frozenset[str]) -> None:
    """Raise BadRequestError for a query parameter misspelt or repeated: ignored, a filter would show too much."""
    names = [name for name, _ in request.query_params.multi_items()]
    problems = []
    for name in sorted(set(names)):
        if name not in known:
            expected = f"expected parameters among {', '.join(sorted(known))}"
            shown = name if is_plain_name(name) else "?"
            problems.append(Problem(f"query:{shown}", "unknown-parameter", expected))
        elif names.count(name) > 1:
            problems.append(Problem(f"query:{name}", "repeated", "expected this parameter once"))
    if problems:
        raise BadRequestError("a parameter does not fit", tuple(problems[:PROBLEM_LIMIT]))


def _bad(header: str, code: str, detail: str) -> BadRequestError:
    return BadRequestError(f"the header {header} does not fit", (Problem(f"header:{header}", code, detail),))
