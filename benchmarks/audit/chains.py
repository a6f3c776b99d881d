"""Entries for a log: chains of nine, 40 of them open at a time, in the bytes that a case decided by the panel writes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from arbiter.audit.entry import FIRST_PREV, Entry
from arbiter.audit.merkle import leaf_hash
from arbiter.store.log.appending import NewEntry

OPEN_AT_A_TIME = 40
_BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
# Type, actor and names of what is committed to, of a case's entries in order.
_STEPS = (
    ("case.received", "c2mvtwbrluhxgxp5l", ("facts", "request")),
    ("panel.asked", "arbiter", ()),
    ("opinion.recorded", "member:news2", ("opinion",)),
    ("opinion.recorded", "member:mews", ("opinion",)),
    ("opinion.recorded", "member:cart", ("opinion",)),
    ("opinion.recorded", "member:qsofa", ("opinion",)),
    ("opinion.recorded", "member:sirs", ("opinion",)),
    ("case.decided", "arbiter", ("certificate",)),
    ("case.released", "arbiter", ()),
)
CHAIN_LENGTH = len(_STEPS)
_VERSIONS = (
    ("code", "0.2.0"),
    ("policy", sha256(b"policy").hexdigest()),
    ("protocol", sha256(b"protocol").hexdigest()),
)


class Chain:
    """One chain that grows."""

    def __init__(self, name: str, seq: int = -1, prev: str = FIRST_PREV) -> None:
        self.name = name
        self.seq = seq
        self.prev = prev

    def grow(self, number: int) -> NewEntry:
        """Return the chain's next entry; `number` sets its time and its commitments apart from others'."""
        self.seq += 1
        type_, actor, names = _STEPS[self.seq % CHAIN_LENGTH]
        entry = Entry(
            type=type_,
            case=self.name,
            seq=self.seq,
            prev=self.prev,
            at=_BEGIN + timedelta(microseconds=137 * number),
            actor=actor,
            trace="",
            versions=_VERSIONS,
            commits=tuple((name, sha256(b"%d" % number + name.encode()).hexdigest()) for name in names),
            count=self.seq + 1 if type_ == "case.released" else None,
        )
        body = entry.to_bytes()
        hash_ = leaf_hash(body)
        self.prev = hash_.hex()
        return NewEntry(self.name, self.seq, body, hash_)


def new_chains() -> Iterator[NewEntry]:
    """Yield entries of ever new chains without end."""
    number = 0
    while True:
        opened = [_opened(number + place) for place in range(OPEN_AT_A_TIME)]
        for _ in range(CHAIN_LENGTH):
            for chain in opened:
                yield chain.grow(number)
                number += 1


def _opened(number: int) -> Chain:
    return Chain("c_" + sha256(b"chain %d" % number).hexdigest()[:24])
