"""Finds resources by what they are coded as, without looking at each of thousands for each of a hundred sources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from arbiter.protocols.fhir.mapping import Wanted
from arbiter.protocols.fhir.opening import Placed
from arbiter.protocols.fhir.resources import Resource

_Kind = TypeVar("_Kind", bound=Resource)


class ByCoding(Generic[_Kind]):
    """The resources of one type by their (system, code) pairs."""

    def __init__(self, coded: Iterable[tuple[Placed[_Kind], tuple[tuple[str, str], ...]]]) -> None:
        self.everything: list[Placed[_Kind]] = []
        self._by_code: dict[str, dict[str, list[Placed[_Kind]]]] = {}
        for placed, codings in coded:
            self.everything.append(placed)
            for system, code in codings:
                self._by_code.setdefault(system, {}).setdefault(code, []).append(placed)

    def find(self, wanted: Iterable[Wanted]) -> list[Placed[_Kind]]:
        """Return the resources that have one of the codings, each once, in the Bundle's order."""
        found: dict[int, Placed[_Kind]] = {}
        for one in wanted:
            held = self._by_code.get(one.system, {})
            codes = (
                [code for code in held if one.matches(one.system, code)] if one.descendants else [one.code]
            )
            for code in codes:
                found.update((placed.index, placed) for placed in held.get(code, ()))
        return [found[index] for index in sorted(found)]
