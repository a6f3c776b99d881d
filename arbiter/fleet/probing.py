"""The one question that shows that a model answers: a completion of one token. `/health` may be green over a dead engine."""

from __future__ import annotations

from typing import Any, Final

import httpx

COMPLETIONS_PATH: Final = "/v1/completions"
PROBE_SECONDS: Final = 60.0


def client(token: str | None, seconds: float = PROBE_SECONDS) -> httpx.AsyncClient:
    """Return a client that takes nothing from its surroundings, follows nobody and keeps no cookie."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "arbiter"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return httpx.AsyncClient(headers=headers, timeout=seconds, trust_env=False, follow_redirects=False)


def probe(name: str) -> dict[str, Any]:
    """Return the request for a completion of one token."""
    return {"model": name, "prompt": "ready", "max_tokens": 1, "temperature": 0, "seed": 0}


async def speaks(http: httpx.AsyncClient, url: str, name: str) -> bool:
    """True when the server at that URL completes something as the model of that name."""
    try:
        reply = await http.post(f"{url}{COMPLETIONS_PATH}", json=probe(name))
    except httpx.TransportError:
        return False
    return reply.status_code == httpx.codes.OK
