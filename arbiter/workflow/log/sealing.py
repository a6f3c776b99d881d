"""Seals the log and releases what a committed checkpoint covers.

One round: hold the log, number all that is pending, extend the tree, read everything just numbered again and hash it
with code that shares nothing with the writer, sign in memory, commit. Only then is the checkpoint kept outside, and
only then are decisions released: nothing signed leaves before its commit, no decision is seen before its checkpoint.
What another process committed and did not keep, because it was killed or had no room, is kept by whoever comes next;
as long as a checkpoint cannot be kept, or not be forced to the disk, nothing is released. What is not the log that was
signed last (`arbiter.workflow.log.guard`) is not sealed on at all.
Whoever holds the log seals for everyone, so concurrent writers batch themselves and no leader is needed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import zip_longest
from typing import TypeAlias

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.merkle import EMPTY_ROOT, Frontier, split_hashes
from arbiter.audit.note import VerifierKey, parse_note
from arbiter.audit.rotation import Act, Rotation
from arbiter.errors import LogUnfitError, UnavailableError, VerificationError
from arbiter.ports import Clock, Signer
from arbiter.store.log.checkpoints import StoredCheckpoint, load_newest_checkpoint
from arbiter.store.log.sealing import NumberedRun, add_checkpoint, hold_log, number_pending
from arbiter.store.transaction import DATABASE_ERRORS, DirectConnection, Store
from arbiter.workflow import figures
from arbiter.workflow.log.guard import LogGuard
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.log.keys import recorded_rotations
from arbiter.workflow.log.stored_tree import frontier_under

log = logging.getLogger(__name__)

ROUND_LIMIT = 20_000
"""Entries one round takes at most: bounds its transaction and its memory."""

HASHED_AT_ONCE = 1_000
"""Entries hashed before others have a turn: a millisecond or two."""

IDLE_SECONDS = 0.2
"""How long an entry that nobody waits for stays pending at most, beside the round itself."""

SYNC_SECONDS = 1.0
AFTER_FAILURE_SECONDS = 0.5

_FAILURES = (UnavailableError, *DATABASE_ERRORS, OSError, VerificationError)


First: TypeAlias = Callable[[DirectConnection, StoredCheckpoint | None], Awaitable[None]]
"""What is done in a sealing transaction before anything is numbered."""

Committed: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Tree:
    """The frontier this process last saw, so that the usual round reads no old nodes."""

    frontier: Frontier
    root: bytes


class Sealer:
    """Seals on request and, when nobody asks, every `IDLE_SECONDS`. One a process; any number of processes."""

    def __init__(
        self, store: Store, signers: Sequence[Signer], clock: Clock, kept: KeptCheckpoint, guard: LogGuard
    ) -> None:
        # Whoever writes waits for the seal; the seal waits for none of them.
        self._store = store.ahead
        self._signers = tuple(signers)
        self._clock = clock
        self._kept = kept
        self._guard = guard
        self._tree = _Tree(Frontier(), EMPTY_ROOT)
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        # Held from waiting for something to do until it is committed; and from before a commit until it is kept and what
        # it covers is released. Who has the second waits for neither the first nor the log.
        self._turn = asyncio.Lock()
        self._keeping = asyncio.Lock()
        # Held with the connection on which a round numbers and signs: of the rounds that wait for the log or for another
        # to be kept one has a connection, and what they wait for finds another.
        self._numbering = asyncio.Lock()
        self._after_seal: Callable[[], Awaitable[object]] | None = None
        # Whether the newest checkpoint could not be kept or forced, last time: nothing is released meanwhile.
        self.holds_back = False

    def then(self, after_seal: Callable[[], Awaitable[object]]) -> None:
        """Call this after each round, sealed or not: it releases what is covered."""
        self._after_seal = after_seal

    def request(self) -> asyncio.Future[None]:
        """Ask for a round that begins after this call; the future completes when its decisions are released."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._wanted.set()
        return waiter

    async def run(self) -> None:
        """Seal until cancelled. A failed round is logged and tried again; its waiters go on waiting.

        One round numbers and signs while the one before it is kept outside and released: two do so in turn.
        """
        syncing = asyncio.create_task(self._sync_kept())
        in_turn = [asyncio.create_task(self._seal_in_turn()) for _ in range(2)]
        try:
            await asyncio.gather(*in_turn)
        finally:
            syncing.cancel()
            for one in in_turn:
                one.cancel()
            await asyncio.wait(in_turn)
            self._sync()

    async def _seal_in_turn(self) -> None:
        while True:
            async with AsyncExitStack() as turn:
                await turn.enter_async_context(self._turn)
                with suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_SECONDS):
                        await self._wanted.wait()
                self._wanted.clear()
                waiting, self._waiting = self._waiting, []
                try:
                    await self.round(committed=turn.aclose)
                except LogUnfitError:
                    # Told once by the guard; who waits goes on waiting, and nothing more is sealed or released.
                    self._waiting = waiting + self._waiting
                    await asyncio.sleep(AFTER_FAILURE_SECONDS)
                    continue
                except BaseException as error:
                    # Whatever it was, whoever waits goes on waiting, also when this is begun again.
                    self._waiting = waiting + self._waiting
                    self._wanted.set()
                    if not isinstance(error, _FAILURES):
                        raise
                    log.exception("a sealing round failed")
                    await asyncio.sleep(AFTER_FAILURE_SECONDS)
                    continue
                for waiter in waiting:
                    if not waiter.done():
                        waiter.set_result(None)

    async def round(self, first: First | None = None, committed: Committed | None = None) -> int:
        """Seal all that is pending and release what is covered; return how many entries were sealed.

        `first` runs in the sealing transaction with the log held and is given the newest checkpoint: what it appends is
        under the very next one. `committed` is called when a checkpoint is, before it is kept: another round may begin.

        Raises:
            OSError: when the newest checkpoint could not be kept or forced to the disk; nothing is released then.
        """
        total = 0
        while True:
            async with AsyncExitStack() as kept:
                try:
                    sealed = await self._seal(kept, first, committed)
                    if sealed < ROUND_LIMIT:
                        self._kept.require_forced()
                        self.holds_back = False
                except OSError:
                    self.holds_back = True
                    raise
                first = None
                total += sealed
                if sealed < ROUND_LIMIT:
                    await self._release()
                    return total

    async def release(self) -> None:
        """Release what is covered, where something beside a seal allows more of it: what a round would, and no more.

        Nothing is while the newest checkpoint is not kept; a round is asked for then, which keeps it and releases.

        Raises:
            LogUnfitError: OSError: as `round`.
        """
        async with self._keeping:
            kept = self._guard.look()
            async with self._store.read() as transaction:
                newest = await load_newest_checkpoint(transaction)
            if newest is not None and newest.size > kept.size:
                self._wanted.set()
                return
            self._kept.require_forced()
            await self._release()

    async def _release(self) -> None:
        """Release what is covered. INVARIANT: called by whoever has `_keeping`, so no commit is under way unkept."""
        if self._after_seal is not None:
            await self._after_seal()

    async def _seal(self, kept: AsyncExitStack, first: First | None, committed: Committed | None) -> int:
        """Seal once, with `_keeping` from before the commit until `kept` is closed."""
        began_ns = time.time_ns()
        if not self._keeping.locked():
            # Before the log is held: whoever seals commits before keeping, so what is kept now is committed by then.
            self._guard.look()
        async with self._numbering, self._store.pipeline() as connection:
            if first is not None:
                await first(connection, await hold_log(connection))
            newest, runs = await number_pending(connection, ROUND_LIMIT)
            # INVARIANT: the checkpoint before is kept, or its keeping has failed, before this one is signed; and
            # nobody who finds nothing to seal is told so before what covers his entries is kept.
            await kept.enter_async_context(self._keeping)
            await self._guard.check_newest(newest)
            if not runs:
                return 0
            await self._check_current(newest)
            frontier = await self._frontier_under(newest)
            leaves = await _hash_again(runs, frontier.size)
            extension = frontier.extend(leaves)
            body = Checkpoint(self._signers[-1].name, extension.frontier.size, extension.frontier.root())
            note = sign_checkpoint(body, self._signers)
            sealed = StoredCheckpoint(body.size, body.root, note.decode("utf-8"), self._clock.now())
            await add_checkpoint(connection, sealed, extension.nodes)
        # INVARIANT: the commit is behind us; from here on the checkpoint may be seen.
        self._tree = _Tree(extension.frontier, body.root)
        if committed is not None:
            await committed()
        # Replacing a file waits for the disk, several milliseconds on ext4: nobody else's work waits with it.
        await asyncio.to_thread(self._guard.keep, note, body)
        figures.sealed(began_ns, len(leaves), body.size)
        return len(leaves)

    async def _check_current(self, newest: StoredCheckpoint | None) -> None:
        """Refuse to sign where the log's key was rotated meanwhile and this process has only the retired one.

        INVARIANT: called with the log held, as a key is retired: what is recorded of that now is all that this seal is under.
        """
        if newest is None:
            return
        name = self._signers[-1].name
        signed = {line.key_id for line in parse_note(newest.note.encode()).signatures if line.name == name}
        own = {VerifierKey.parse(signer.verifier_key).key_id for signer in self._signers}
        # Signed by all of ours and no other: the usual case. One beside ours may have followed it, or come before it.
        if signed - own and (not signed & own or own <= await self._retired(name)):
            raise VerificationError(
                f"the checkpoint of {newest.size} entries is signed by another key of this log: its key was rotated, and "
                "this process must be restarted with the new one; nothing is sealed here"
            )

    async def _retired(self, origin: str) -> set[bytes]:
        """Return the ids of the keys that the log says were retired: another process may still sign with both."""
        async with self._store.read() as transaction:
            stated = await recorded_rotations(transaction, origin)
        rotations = [Rotation.parse(parse_note(statement).text) for statement in stated]
        return {key.key_id for rotation in rotations if rotation.act is Act.RETIRE for key in rotation.old}

    async def _frontier_under(self, newest: StoredCheckpoint | None) -> Frontier:
        if newest is not None and newest.size == self._tree.frontier.size and newest.root == self._tree.root:
            return self._tree.frontier
        async with self._store.read() as transaction:
            return await frontier_under(transaction, newest)

    async def _sync_kept(self) -> None:
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            # As keeping does, this waits for the disk.
            await asyncio.to_thread(self._sync)

    def _sync(self) -> None:
        try:
            self._kept.sync()
        except OSError:
            log.exception("the kept checkpoint could not be forced to the disk")


async def _hash_again(runs: Sequence[NumberedRun], start: int) -> list[bytes]:
    """Return the leaf hashes of what was numbered, made here from the entries' bytes as they were read again.

    Refuses to sign unless what was written is gapless and each stored hash is that of its entry.
    """
    hashes: list[bytes] = []
    for run in runs:
        expected = start + len(hashes)
        if run.start != expected:
            raise VerificationError(f"expected leaf {expected}, found {run.start}")
        made: list[bytes] = []
        for place in range(0, len(run.bodies), HASHED_AT_ONCE):
            if place:
                # Whoever appends meanwhile, or waits for an answer, has a turn.
                await asyncio.sleep(0)
            made += [sha256(b"\x00" + body).digest() for body in run.bodies[place : place + HASHED_AT_ONCE]]
        if b"".join(made) != run.hashes:
            raise VerificationError(_first_difference(run, made))
        hashes += made
    return hashes


def _first_difference(run: NumberedRun, made: Sequence[bytes]) -> str:
    for index, (stored, own) in enumerate(zip_longest(split_hashes(run.hashes), made), run.start):
        if own is None:
            return f"the entry of leaf {index} is gone"
        if stored != own:
            return f"the stored hash of leaf {index} is not that of its entry"
    raise AssertionError("nothing differs")
