"""Asks the witnesses: in rounds, each with one checkpoint for all, so that cosignatures gather on the same one.

Nothing is offered before its commit, because what is offered is read back from the database. One process at a time asks,
by a lease; each witness has one question in flight. A witness that answered last time is waited for; one in trouble is
tried beside the rounds, less and less often, and holds nobody up. A round ends early once the greatest number that any
risk class needs has cosigned.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import httpx

from arbiter.audit.merkle import consistency_parts, prove_consistency
from arbiter.cosigning.asking import Contradicted, Cosigned, Failed, HasSize, Offer, Offered, offer, open_http
from arbiter.cosigning.circle import Witness
from arbiter.errors import LogUnfitError, UnavailableError
from arbiter.store.log.checkpoints import StoredCheckpoint, load_newest_checkpoint
from arbiter.store.log.nodes import load_nodes
from arbiter.store.transaction import DATABASE_ERRORS, Transaction
from arbiter.store.witnessing import (
    LEASE_SECONDS,
    add_cosignature,
    end_asking,
    hold_asking,
    tell_standing,
)
from arbiter.telemetry import Safe
from arbiter.workflow.docket import ARBITER
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house

log = logging.getLogger(__name__)

CONTRADICTED: Final = "witness.contradicted"
"""The house's entry that tells of a witness that has seen another history of this log."""

LOOK_SECONDS: Final = 0.5
GATHER_SECONDS: Final = 0.02
"""Between rounds, so that a busy log is offered in gulps."""

FIRST_REST_SECONDS: Final = 0.5
LONGEST_REST_SECONDS: Final = 300.0
TRIES: Final = 3
"""Requests of one question: the first may learn the witness's size, a second that another process has moved it on."""


@dataclass(slots=True)
class _Asked:
    """What this process knows of a witness: the size it has, which it cosigned, failures in a row, and when to try again.

    It begins with nothing, whatever the database says: what a witness has, it says itself.
    """

    has: int = 0
    cosigned: int = -1
    failures: int = 0
    rests_until: float = 0.0


@dataclass(slots=True)
class Rounds:
    """One process's rounds."""

    house: House
    _known: dict[str, _Asked] = field(default_factory=dict)
    _asking: dict[asyncio.Task[bool], Witness] = field(default_factory=dict)
    _ours: bool = False
    _look_at: float = 0.0

    async def run(self) -> None:
        """Ask until cancelled, whenever it is this process's turn."""
        holder = self.house.chance.token(16).hex()
        async with open_http() as http:
            try:
                while True:
                    try:
                        # A log that is refused is offered to nobody, and nothing of it is released.
                        if self.house.guard.refusal is None and await self._is_our_turn(holder):
                            await self.round(http)
                    except LogUnfitError:
                        # Told by the guard.
                        pass
                    except (UnavailableError, *DATABASE_ERRORS, OSError):
                        log.exception("the witnesses could not be asked")
                    await self._wait(LOOK_SECONDS)
            finally:
                await self._end()
                with suppress(UnavailableError, *DATABASE_ERRORS):
                    await end_asking(self.house.store, holder)

    async def _is_our_turn(self, holder: str) -> bool:
        """Take or keep the lease; looked at no oftener than is needed to keep it."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            # Before the statement: from then on the database may count.
            self._look_at = now + LEASE_SECONDS / 4
            self._ours = False
            self._ours = await hold_asking(self.house.store, holder)
        return self._ours

    async def round(self, http: httpx.AsyncClient) -> int:
        """Offer the newest checkpoint to everybody who has not cosigned it; return how many did in this round."""
        async with self.house.store.read() as transaction:
            newest = await load_newest_checkpoint(transaction)
        if newest is None:
            return 0
        waited = self._begin(http, newest)
        gathered = 0
        while waited and (not self.house.circle.most_needed or gathered < self.house.circle.most_needed):
            ended, waited = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            cosigned = sum(
                not task.cancelled() and task.exception() is None and task.result() for task in ended
            )
            gathered += cosigned
            if cosigned:
                await self.house.sealer.release()
        return gathered

    def _begin(self, http: httpx.AsyncClient, newest: StoredCheckpoint) -> set[asyncio.Task[bool]]:
        """Ask all who are free; return the questions whose answers are worth waiting for."""
        busy = {witness.name for witness in self._asking.values()}
        now = asyncio.get_running_loop().time()
        waited = set()
        for witness in self.house.circle.witnesses:
            known = self._known.setdefault(witness.name, _Asked())
            if witness.name in busy or known.rests_until > now or known.cosigned == newest.size:
                continue
            task = asyncio.create_task(self._ask(http, witness, newest))
            self._asking[task] = witness
            task.add_done_callback(self._ended)
            if not known.failures:
                waited.add(task)
        return waited

    def _ended(self, task: asyncio.Task[bool]) -> None:
        del self._asking[task]
        self.house.cosigned.wanted.set()
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("what a witness said could not be kept", exc_info=fault)

    async def _ask(self, http: httpx.AsyncClient, witness: Witness, target: StoredCheckpoint) -> bool:
        """Ask one witness about one checkpoint and keep what it says; return whether it cosigned."""
        known = self._known[witness.name]
        try:
            said = await self._question(http, witness, known, target)
            return await self._heard(witness, known, target, said)
        except Exception:
            # Whatever it was (the database away, a tree with holes): not again at once.
            self._rest(known)
            raise

    async def _heard(self, witness: Witness, known: _Asked, target: StoredCheckpoint, said: Offered) -> bool:
        match said:
            case Cosigned():
                known.has = known.cosigned = target.size
                known.failures, known.rests_until = 0, 0.0
                key, now = witness.key.encode(), self.house.clock.now()
                await add_cosignature(
                    self.house.store, target.size, target.root, key, said.line, said.seconds, now
                )
                if await tell_standing(self.house.store, key, None, now):
                    log.info("witness %s cosigns", Safe(witness.name))
                return True
            case HasSize():
                # It is ahead of this round by another process's; the next round's checkpoint is newer.
                return False
            case Contradicted(fault):
                await self._contradicted(witness, known, target, fault)
            case Failed(fault):
                self._rest(known)
                if await tell_standing(self.house.store, witness.key.encode(), fault, self.house.clock.now()):
                    log.warning("witness %s did not cosign: %s", Safe(witness.name), Safe(fault))
        return False

    async def _question(
        self, http: httpx.AsyncClient, witness: Witness, known: _Asked, target: StoredCheckpoint
    ) -> Offered:
        said: Offered = HasSize(known.has)
        for _ in range(TRIES):
            if known.has > target.size:
                return await self._ahead(known.has)
            async with self.house.store.read() as transaction:
                proof = await _prove(transaction, known.has, target.size)
            offered = Offer(
                note=target.note.encode("utf-8"),
                sealed_at=int(target.sealed_at.timestamp()),
                now=int(self.house.clock.now().timestamp()),
                log_keys=self.house.verifiers,
            )
            said = await offer(http, witness, known.has, proof, offered)
            if not isinstance(said, HasSize):
                return said
            if said.size == known.has:
                return Failed("refuses the size that it says it has")
            known.has = said.size
        return Failed("names another size each time")

    async def _ahead(self, size: int) -> Offered:
        """Judge a witness that has a larger tree than was offered: it may be newer, or of another history."""
        async with self.house.store.read() as transaction:
            newest = await load_newest_checkpoint(transaction)
        if newest is not None and size <= newest.size:
            return HasSize(size)
        return Contradicted("says that it has cosigned a larger tree than this log has")

    async def _contradicted(
        self, witness: Witness, known: _Asked, target: StoredCheckpoint, fault: str
    ) -> None:
        """Tell as loudly as the house can: its log may have been rolled back or forked, or the witness lies."""
        said = f"{fault}: it has {known.has} entries"
        known.cosigned, known.failures = -1, max(known.failures, 8)
        self._rest(known)
        if not await tell_standing(self.house.store, witness.key.encode(), said, self.house.clock.now()):
            return
        log.critical(
            "witness %s CONTRADICTS this log and %s. Stop, keep database and data folder as they are, and find out which "
            "history is the true one",
            Safe(witness.name), Safe(said),
        )  # fmt: skip
        evidence = {"witness": witness.key.encode(), "name": witness.name, "said": fault, "size": known.has}
        await note_in_house(
            self.house,
            self.house.store,
            CONTRADICTED,
            ARBITER,
            {
                "answer": json.dumps(evidence, sort_keys=True).encode(),
                "checkpoint": target.note.encode("utf-8"),
            },
        )

    def _rest(self, known: _Asked) -> None:
        pause = min(FIRST_REST_SECONDS * 2.0 ** min(known.failures, 20), LONGEST_REST_SECONDS)
        spread = 0.5 + int.from_bytes(self.house.chance.token(4), "big") / 2**32
        known.failures += 1
        known.rests_until = asyncio.get_running_loop().time() + pause * spread

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.house.cosigned.wanted.wait()
        self.house.cosigned.wanted.clear()
        await asyncio.sleep(GATHER_SECONDS)

    async def _end(self) -> None:
        tasks: Iterable[asyncio.Task[bool]] = list(self._asking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _prove(transaction: Transaction, old: int, new: int) -> tuple[bytes, ...]:
    if old in {0, new}:
        return ()
    nodes = await load_nodes(transaction, chain.from_iterable(consistency_parts(old, new)))
    return prove_consistency(old, new, nodes)
