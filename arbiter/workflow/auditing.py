"""An auditor's use cases over the whole database: verify the log, replay a case."""

from __future__ import annotations

from collections.abc import Callable

from arbiter.audit.verify import LogReport, LogVerifier
from arbiter.store.log import load_checkpoints, stream_leaves
from arbiter.workflow.house import House

BATCH = 5_000


async def verify_log(
    house: House, kept: bytes | None, progress: Callable[[int, int], None] | None = None
) -> LogReport:
    """Verify every entry, chain and checkpoint in the database against each other and against the kept checkpoint.

    `progress` hears (entries read, entries in all).

    Raises:
        LogRefusedError: naming the place of what does not check out.
    """
    async with house.store.read() as transaction:
        checkpoints = await load_checkpoints(transaction)
        total = checkpoints[-1].size if checkpoints else 0
        verifier = LogVerifier(
            [checkpoint.note.encode("utf-8") for checkpoint in checkpoints], house.verifiers, kept=kept
        )
        async for batch in stream_leaves(transaction, BATCH):
            verifier.feed(batch)
            if progress is not None:
                progress(verifier.entries, total)
    return verifier.finish()
