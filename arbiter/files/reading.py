"""Reads YAML so that everything found wrong later can still be named by file, line and column.

Guarantees: one document of mappings, lists, text, whole numbers, decimals, `true` and `false`; nothing else of YAML
passes: no aliases, anchors, tags, duplicate or non-text keys, empty values, or nesting past a limit. `no`, `on` and
`1e5` are text here, never something else in disguise. Reading goes on after a fault, so that all are told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias

import yaml

from arbiter.errors import Problem

Path: TypeAlias = tuple[str | int, ...]
Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | Decimal | bool | None"

DEPTH_LIMIT: Final = 24
SHOWN_LIMIT: Final = 40

# Bounded, so that no digit string is too long to convert.
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,14})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,30}")


@dataclass(frozen=True, slots=True)
class Positions:
    """Where each value and key of one file stands; lines and columns count from 1."""

    file: str
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def at(self, path: Path) -> str:
        """Return `file:line:column` of the value at `path`, or of the nearest value around it."""
        while path and path not in self.values:
            path = path[:-1]
        line, column = self.values.get(path, (1, 1))
        return f"{self.file}:{line}:{column}"

    def at_key(self, path: Path) -> str:
        """Return `file:line:column` of the key that `path` ends in, or of the nearest value around it."""
        if path not in self.keys:
            return self.at(path)
        line, column = self.keys[path]
        return f"{self.file}:{line}:{column}"

    def locate(self, pointer: str) -> str:
        """Return `file:line:column` for an RFC 6901 JSON pointer."""
        return self.at(self.path(pointer))

    def path(self, pointer: str) -> Path:
        """Return the path that a JSON pointer names; a token is an index where the file has a list."""
        path: Path = ()
        for token in pointer.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            index: Path = (*path, int(name)) if name.isdecimal() and len(name) < 10 else ()
            path = index if index in self.values and index else (*path, name)
        return path


@dataclass(slots=True)
class YamlFile:
    """One YAML file as read: its plain value, where everything stands, and what was wrong with it."""

    positions: Positions
    value: Plain = None
    problems: list[Problem] = field(default_factory=list)

    def report(self, place: tuple[int, int], code: str, detail: str) -> None:
        """Add a problem at a line and column."""
        line, column = place
        self.problems.append(Problem(f"{self.positions.file}:{line}:{column}", code, detail))


def read_yaml(file: str, source: bytes) -> YamlFile:
    """Return the file's value and positions with every problem found; the value is None where reading broke off."""
    read = YamlFile(Positions(file))
    text = decode(file, source, read.problems)
    if text is None:
        return read
    try:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        _Reader(read, events).document()
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        read.report(place, "syntax", f"expected YAML: {fault.problem or 'cannot be read'}")
        read.value = None
    except yaml.reader.ReaderError as fault:
        read.report(
            _place(text, fault.position), "syntax", "expected printable text, a control character came"
        )
        read.value = None
    except _TooDeepError:
        read.value = None
    return read


def decode(file: str, source: bytes, problems: list[Problem]) -> str | None:
    """Return the text of a UTF-8 file, or None with the problem noted."""
    try:
        return source.decode("utf-8")
    except UnicodeDecodeError as fault:
        line, column = _place(source[: fault.start].decode("utf-8"), fault.start)
        problems.append(Problem(f"{file}:{line}:{column}", "syntax", "expected UTF-8, other bytes came"))
        return None


def quoted(text: object) -> str:
    """Return the text in quotes for a message, cut short when it is long."""
    shown = str(text)
    return repr(shown) if len(shown) <= SHOWN_LIMIT else f"{shown[:SHOWN_LIMIT]!r}..."


def _place(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class _TooDeepError(Exception):
    """Nesting past the limit; the rest of the file is not read."""


@dataclass(slots=True)
class _Reader:
    """Builds plain values from the parser's events, noting positions and faults as it goes."""

    read: YamlFile
    events: Iterator[yaml.Event]

    def document(self) -> None:
        """Read the stream: exactly one document."""
        documents = 0
        for event in self.events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            documents += 1
            if documents == 1:
                self.read.value = self.node(next(self.events), (), 0)
            else:
                self.read.report(_start(event), "syntax", "expected one document, another came")
                return
        if documents == 0:
            self.read.report((1, 1), "syntax", "expected a mapping, an empty file came")

    def node(self, event: yaml.Event, path: Path, depth: int) -> Plain:
        """Read the node that begins with `event`."""
        if depth > DEPTH_LIMIT:
            self.read.report(_start(event), "limit", f"expected at most {DEPTH_LIMIT} levels of nesting")
            raise _TooDeepError
        self.read.positions.values[path] = _start(event)
        self._refuse_references(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        return None

    def _refuse_references(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            self.read.report(
                _start(event), "alias", f"expected a value, the alias {quoted(event.anchor)} came"
            )
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.anchor is not None:
                self.read.report(_start(event), "alias", f"expected no anchor, {quoted(event.anchor)} came")
            if event.tag is not None:
                self.read.report(_start(event), "tag", f"expected no tag, {quoted(event.tag)} came")

    def _mapping(self, path: Path, depth: int) -> Plain:
        found: dict[str, Plain] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                self.read.report(_start(event), "type", "expected a text key, another kind came")
                self.node(event, (*path, ""), depth + 1)
                self.node(next(self.events), (*path, ""), depth + 1)
                continue
            self._refuse_references(event)
            key = event.value
            if key in found:
                self.read.report(
                    _start(event), "duplicate-key", f"expected {quoted(key)} once, it came again"
                )
                self.node(next(self.events), (*path, f"{key} again"), depth + 1)
                continue
            self.read.positions.keys[*path, key] = _start(event)
            found[key] = self.node(next(self.events), (*path, key), depth + 1)
        return found

    def _sequence(self, path: Path, depth: int) -> Plain:
        found: list[Plain] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            found.append(self.node(event, (*path, len(found)), depth + 1))
        return found

    def _scalar(self, event: yaml.ScalarEvent) -> Plain:
        text = event.value
        if event.style is not None:
            return text
        if text in {"", "~", "null"}:
            self.read.report(_start(event), "missing", "expected a value, nothing came")
            return None
        if text in {"true", "false"}:
            return text == "true"
        if _WHOLE.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return Decimal(text)
        return text


def _start(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
