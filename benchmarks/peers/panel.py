"""The members that every peer asks: the same bytes, every sample of every reply read, the votes counted."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

Opinion = dict[str, Any]
Decide = Callable[[int], Awaitable[str]]


class Panel:
    """The members, and how one of them is asked; nothing is kept here."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        # What differs between cases is the salt alone: cut each request there once.
        self._parts = [_cut(request) for request in spec["requests"]]
        self.members = range(len(self._parts))
        self.slowest: dict[int, float] = {}
        self._http = httpx.AsyncClient(
            base_url=spec["url"],
            timeout=300,  # they are measured here: a slow machine is no fault of theirs
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
            trust_env=False,
        )

    async def ask(self, member: int, case: int) -> Opinion:
        """Ask one member and count its votes; raises where anything about the reply is not as agreed."""
        before, after = self._parts[member]
        began = time.perf_counter()
        reply = await self._http.post(
            "/v1/chat/completions",
            content=f"{before}{case:064d}{after}",
            headers={"Content-Type": "application/json"},
        )
        reply.raise_for_status()
        choices = reply.json()["choices"]
        if len(choices) != self.spec["samples"]:
            raise ValueError(f"expected {self.spec['samples']} samples, came {len(choices)}")
        self.slowest[case] = max(self.slowest.get(case, 0.0), time.perf_counter() - began)
        votes = Counter(str(json.loads(choice["message"]["content"])["option"]) for choice in choices)
        return {"member": member, "votes": dict(votes), "reply": reply.text}

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()


def _cut(request: str) -> tuple[str, str]:
    salt = json.loads(request)["cache_salt"]
    before, _, after = request.partition(salt)
    return before, after


def decide(opinions: list[Opinion]) -> str:
    """Return the option that most samples name."""
    votes = sum((Counter(opinion["votes"]) for opinion in opinions), Counter[str]())
    return votes.most_common(1)[0][0]
