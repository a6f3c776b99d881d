"""Asks one witness for a cosignature (C2SP tlog-witness). What it answers is believed in nothing but what verifies.

Guarantees: an exchange ends when its time is up, however slowly a witness drips; a reply is read no further than its limit;
no redirect is followed, no proxy or credential of the environment used, and no word of a witness's reaches a log.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import httpx

from arbiter import __version__
from arbiter.audit.checkpoint import MAX_SIZE, open_checkpoint
from arbiter.audit.cosigned import counted
from arbiter.audit.note import NoteSignature, VerifierKey, encode_base64, parse_note
from arbiter.cosigning.circle import Witness
from arbiter.errors import VerificationError

OFFER_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 2.0
MOST_REPLY_BYTES: Final = 64 * 1024
SIZE_TYPE: Final = "text/x.tlog.size"

_MEANS: Final = {403: "does not trust this log's key", 404: "does not know this log"}
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The witness has cosigned: the line as it stands in a note, verified, and its POSIX time in seconds."""

    line: str
    seconds: int


@dataclass(frozen=True, slots=True)
class HasSize:
    """The witness's last tree of this log has another size than was assumed."""

    size: int


@dataclass(frozen=True, slots=True)
class Contradicted:
    """The witness has seen another tree of this log than the one that was offered: one of the two was forged."""

    fault: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No cosignature, and no word about the log either."""

    fault: str


Offered: TypeAlias = Cosigned | HasSize | Contradicted | Failed


@dataclass(frozen=True, slots=True)
class Offer:
    """A checkpoint to be cosigned: its note, when it was sealed and what time it is (POSIX seconds), the log's own keys."""

    note: bytes
    sealed_at: int
    now: int
    log_keys: tuple[VerifierKey, ...]


def open_http() -> httpx.AsyncClient:
    """Return the client by which all witnesses are asked."""
    return httpx.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(OFFER_SECONDS, connect=CONNECT_SECONDS),
        headers={"User-Agent": f"Arbiter/{__version__}", "Accept-Encoding": "identity"},
        # The machine's own trust store, where a hospital's authority stands.
        verify=ssl.create_default_context(),
    )


def request_body(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Return the body of `add-checkpoint`: the size the witness has, the proof from there, the checkpoint."""
    lines = [f"old {old}", *(encode_base64(hash_) for hash_ in proof)]
    return ("\n".join(lines) + "\n\n").encode("ascii") + note


async def offer(
    http: httpx.AsyncClient, witness: Witness, old: int, proof: Sequence[bytes], offered: Offer
) -> Offered:
    """Offer a checkpoint to a witness and return what came of it."""
    try:
        async with (
            asyncio.timeout(OFFER_SECONDS),
            http.stream(
                "POST", f"{witness.url}/add-checkpoint", content=request_body(old, proof, offered.note)
            ) as reply,
        ):
            body = await _read(reply)
    except TimeoutError:
        return Failed("no answer in time")
    except httpx.TimeoutException:
        return Failed("no answer in time")
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
        # The class alone: the text may quote addresses and what the other side sent.
        return Failed(type(error).__name__)
    if body is None:
        return Failed("a reply beyond its limit")
    return _judged(witness, reply, body, offered)


async def _read(reply: httpx.Response) -> bytes | None:
    body = bytearray()
    async for chunk in reply.aiter_raw():
        body += chunk
        if len(body) > MOST_REPLY_BYTES:
            return None
    return bytes(body)


def _judged(witness: Witness, reply: httpx.Response, body: bytes, offered: Offer) -> Offered:
    match reply.status_code:
        case 200:
            return _taken(witness, body, offered)
        case 409 if reply.headers.get("content-type", "").split(";")[0].strip() == SIZE_TYPE:
            match = _SIZE.fullmatch(body)
            fits = match is not None and int(match[1]) <= MAX_SIZE
            return HasSize(int(body)) if fits else Failed("a size that is none")
        case 409:
            return Contradicted("says it has seen another tree of this size")
        case 422:
            return Contradicted("says that this log does not extend the tree it has seen")
        case status:
            return Failed(_MEANS.get(status, f"HTTP {status}"))


def _taken(witness: Witness, body: bytes, offered: Offer) -> Offered:
    """Return the witness's own line out of a reply, once it has been verified over the checkpoint that was offered."""
    try:
        text = parse_note(offered.note).text
        read = parse_note(f"{text}\n".encode() + body)
        if read.text != text:
            return Failed("a reply that is not signature lines alone")
        own = [
            line
            for line in read.signatures
            if (line.name, line.key_id) == (witness.key.name, witness.key.key_id)
        ]
        return _verified(witness, own, offered)
    except VerificationError:
        return Failed("a reply that is no cosignature of this checkpoint")


def _verified(witness: Witness, own: Sequence[NoteSignature], offered: Offer) -> Offered:
    if not own:
        return Failed("a cosignature by another key")
    line = own[0].line()
    opened = open_checkpoint(offered.note + line.encode(), (*offered.log_keys, witness.key))
    found = counted(opened, [witness.key], not_before=offered.sealed_at, now=offered.now)
    if not found or found[0].timestamp_seconds is None:
        return Failed("a cosignature dated before the checkpoint or after now")
    return Cosigned(line, found[0].timestamp_seconds)
