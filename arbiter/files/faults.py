"""What is wrong with a file, all of it, each with its line and column, in words that say what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from arbiter.errors import Problem
from arbiter.files.reading import SHOWN_LIMIT, Path, Positions, YamlFile, quoted
from arbiter.files.values import PATTERNS, kind_of

PROBLEMS_LIMIT: Final = 200
"""As many problems are told at once; a file that is wrong throughout would else answer with megabytes."""

_Model = TypeVar("_Model", bound=BaseModel)

_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "enum": "one of {expected}",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than_equal": "a number of at most {le}",
}
_HOLDERS: Final = frozenset({list, dict})
_TYPES: Final = frozenset({"string_type", "bool_type", "int_type", "list_type", "dict_type", "model_type"})


def explain(error: ErrorDetails) -> tuple[str, str]:
    """Return (code, detail) for one of pydantic's complaints: what was expected, what came."""
    kind = error["type"]
    context = error.get("ctx", {})
    name = str(error["loc"][-1]) if error["loc"] else ""
    if kind == "missing":
        return "missing", f"expected the key {name!r}, it is not there"
    if kind == "extra_forbidden":
        return "unknown-key", f"expected only known keys, {quoted(name)} came"
    if kind == "string_pattern_mismatch":
        return "value", f"expected {PATTERNS[context['pattern']]}, {quoted(error['input'])} came"
    if kind in _EXPECTED:
        wanted = _EXPECTED[kind].format(**context)
        came = kind_of(error["input"]) if kind in _TYPES else _short(error["input"])
        return "type" if kind in _TYPES else "value", f"expected {wanted}, {came} came"
    return "value", error["msg"]


def _alternatives(model: type[BaseModel], path: tuple[int | str, ...]) -> str:
    """Return the known key that is nearest to the last of a path, else all that stand there; "" where that is not found."""
    known = _keys(model, path[:-1])
    if not known:
        return ""
    nearest = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f": did you mean {nearest[0]!r}?" if nearest else f": they are {', '.join(sorted(known))}"


def _keys(kind: object, path: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the keys of the model that a path leads to from a type: through fields, and what lists and mappings hold."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        named = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
        if not path:
            return tuple(named)
        return _keys(named.get(str(path[0])), path[1:])
    parts = get_args(kind)
    if get_origin(kind) is Annotated:
        return _keys(parts[0], path)
    if get_origin(kind) in _HOLDERS:
        return _keys(parts[-1], path[1:]) if path else ()
    return next((keys for part in parts if (keys := _keys(part, path))), ())


def _short(value: object) -> str:
    if isinstance(value, str):
        return quoted(value) if len(value) <= SHOWN_LIMIT else f"{len(value)} characters"
    if isinstance(value, list):
        return str(len(value)) if value else "none"
    return str(value)


@dataclass(slots=True)
class Finder:
    """Collects problems of one file, each with its place."""

    positions: Positions
    problems: list[Problem] = field(default_factory=list)

    def report(self, path: Path, code: str, detail: str) -> None:
        """Note a problem with the value at `path`."""
        self.problems.append(Problem(self.positions.at(path), code, detail))

    def unique(self, path: Path, key: str, names: Iterable[str]) -> None:
        """Note every name after the first that came before in the list at `path`."""
        seen: set[str] = set()
        for index, name in enumerate(names):
            if name in seen:
                self.report((*path, index, key), "duplicate", f"expected {name!r} once, it came again")
            seen.add(name)


def structured(model: type[_Model], read: YamlFile) -> _Model | None:
    """Return the file as its model, or None with the problems noted. What reading already noted is not said twice."""
    if read.value is None and read.problems:
        return None
    noted = {problem.pointer for problem in read.problems}
    try:
        return model.model_validate(read.value)
    except ValidationError as fault:
        for error in fault.errors(include_url=False):
            code, detail = explain(error)
            if code == "unknown-key":
                detail += _alternatives(model, error["loc"])
            path = tuple(step for step in error["loc"] if step != "[key]")
            on_key = code == "unknown-key" or "[key]" in error["loc"]
            place = read.positions.at_key(path) if on_key else read.positions.at(path)
            if place not in noted:
                read.problems.append(Problem(place, code, detail))
        return None
