"""Pydantic's errors in our own words, told without the input.

Its messages may quote what was sent; here each kind of error has a code and a sentence, into which at most a limit of
our own schemas is put.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from arbiter.api.strict_json import pointer_to
from arbiter.errors import Problem

OWN_PREFIX = "arbiter-"
"""What the kinds of our own validators' errors begin with, inside pydantic."""


def problems_of(error: ValidationError) -> tuple[Problem, ...]:
    """Return pydantic's errors as problems with pointers into the body, and without any input."""
    problems = []
    for item in error.errors(include_url=False, include_context=True, include_input=True):
        pointer = ""
        for step in item["loc"]:
            if step == "[key]":
                continue
            pointer = pointer_to(pointer, step)
        code, detail = told(item)
        problems.append(Problem(pointer, code, detail))
    return tuple(problems)


_WANTED_TYPE = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}

# Kind of pydantic's error -> our code and sentence; {} takes the one context value named, a limit of our own schemas.
_SENTENCES = {
    "missing": ("missing", "expected a value here, none came", None),
    "extra_forbidden": ("unknown-member", "expected no member of this name", None),
    "literal_error": ("not-listed", "expected {}", "expected"),
    "enum": ("not-listed", "expected {}", "expected"),
    "too_long": ("too-long", "expected at most {}", "max_length"),
    "too_short": ("too-short", "expected at least {}", "min_length"),
    "string_too_long": ("too-long", "expected at most {} characters", "max_length"),
    "string_too_short": ("too-short", "expected at least {} characters", "min_length"),
    "string_pattern_mismatch": ("pattern", "expected text of the form {}", "pattern"),
    "greater_than_equal": ("too-small", "expected at least {}", "ge"),
    "less_than_equal": ("too-large", "expected at most {}", "le"),
}


def told(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return a code and a sentence for one of pydantic's errors; its own message may quote the input."""
    kind: str = item["type"]
    if kind in _WANTED_TYPE:
        return "type", f"expected {_WANTED_TYPE[kind]}, came {kind_of(item.get('input'))}"
    if kind in _SENTENCES:
        code, sentence, limit = _SENTENCES[kind]
        return code, sentence.format(item["ctx"][limit] if limit else "")
    if kind.startswith(OWN_PREFIX):
        # Raised by our own validators, whose messages are constants.
        return kind.removeprefix(OWN_PREFIX), str(item["msg"])
    return "unfit", "expected another value"


def kind_of(value: object) -> str:
    """Name the JSON type of a value, for messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
        case dict():
            return "an object"
        case list():
            return "an array"
        case _:
            return "a number"
