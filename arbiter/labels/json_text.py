"""A text of one or more JSON values: where each begins and ends, and where in the file any of their members stands.

The values are the elements of one array, or stand one after another: one a line, or each over as many lines as it likes. What they
hold is read strictly elsewhere (`arbiter.api.strict_json`); here nothing is judged but where values end.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from arbiter.errors import Problem
from arbiter.labels.reading import MOST_PROBLEMS

_BLANK = re.compile(r"[ \t\n\r]*")
# Numbers stay text: only where they end matters, and no digit string is too long for that.
_SPANS: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


@dataclass(frozen=True, slots=True)
class JsonText:
    """The text of a file, and where its lines end."""

    file: str
    text: str
    breaks: array[int]

    @classmethod
    def of(cls, file: str, text: str) -> JsonText:
        """Return the text of that file."""
        return cls(file, text, array("Q", (found.start() for found in re.finditer("\n", text))))

    def values(self, problems: list[Problem]) -> Iterator[tuple[int, int]]:
        """Yield where each value begins and ends; what is no JSON is noted, and the next line that begins a value read on."""
        at = self._after_blank(0)
        if self.text[at : at + 1] == "[":
            yield from self._elements(at, problems)
            return
        while at < len(self.text):
            end = self._end(at, problems)
            if end is None:
                # Among values that stand a line each, the others can still be told of.
                following = self.text.find("\n{", at)
                if following < 0 or len(problems) >= MOST_PROBLEMS:
                    return
                end = following
            else:
                yield at, end
            at = self._after_blank(end)

    def place(self, at: int) -> str:
        """Return `file:line:column` of an index into the text."""
        before = bisect_left(self.breaks, at)
        column = at - self.breaks[before - 1] if before else at + 1
        return f"{self.file}:{before + 1}:{column}"

    def find(self, at: int, pointer: str) -> int:
        """Return where the member that an RFC 6901 pointer names begins, in the value at `at`; else what is nearest around it."""
        for token in pointer.split("/")[1:]:
            below = self._below(at, token.replace("~1", "/").replace("~0", "~"))
            if below is None:
                return at
            at = below
        return at

    def _elements(self, at: int, problems: list[Problem]) -> Iterator[tuple[int, int]]:
        at = self._after_blank(at + 1)
        while self.text[at : at + 1] != "]":
            end = self._end(at, problems)
            if end is None:
                return
            yield at, end
            at = self._after_blank(end)
            match self.text[at : at + 1]:
                case ",":
                    at = self._after_blank(at + 1)
                    if self.text[at : at + 1] == "]":
                        problems.append(
                            Problem(self.place(at), "syntax", "expected a value behind the comma")
                        )
                        return
                case "]":
                    pass
                case _:
                    detail = "expected a comma or the array's end"
                    problems.append(Problem(self.place(at), "syntax", detail))
                    return
        rest = self._after_blank(at + 1)
        if rest < len(self.text):
            problems.append(Problem(self.place(rest), "syntax", "expected nothing behind the array"))

    def _end(self, at: int, problems: list[Problem]) -> int | None:
        try:
            return _SPANS.raw_decode(self.text, at)[1]
        except json.JSONDecodeError as fault:
            detail = f"expected JSON: {fault.msg.lower()}"
            problems.append(Problem(self.place(fault.pos), "syntax", detail))
        except RecursionError:
            detail = "expected a case, something nested too deeply came"
            problems.append(Problem(self.place(at), "too-deep", detail))
        return None

    def _below(self, at: int, token: str) -> int | None:
        match self.text[at]:
            case "{":
                return next((start for name, start in self._members(at) if name == token), None)
            case "[":
                return next((start for index, start in self._indexed(at) if str(index) == token), None)
            case _:
                return None

    def _members(self, at: int) -> Iterator[tuple[object, int]]:
        at = self._after_blank(at + 1)
        while self.text[at] != "}":
            name, end = _SPANS.raw_decode(self.text, at)
            start = self._after_blank(self._after_blank(end) + 1)
            yield name, start
            at = self._next(start)

    def _indexed(self, at: int) -> Iterator[tuple[int, int]]:
        at, index = self._after_blank(at + 1), 0
        while self.text[at] != "]":
            yield index, at
            at, index = self._next(at), index + 1

    def _next(self, start: int) -> int:
        """Return where what follows the value at `start` begins, behind its comma: the next one, or the end."""
        at = self._after_blank(_SPANS.raw_decode(self.text, start)[1])
        return self._after_blank(at + 1) if self.text[at] == "," else at

    def _after_blank(self, at: int) -> int:
        found = _BLANK.match(self.text, at)
        return at if found is None else found.end()
