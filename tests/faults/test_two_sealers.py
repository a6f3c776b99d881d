"""Two processes seal one log at once, as fast as they can, while it is written: each entry once, each size once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.faults.sealers import Sealers, some_sealers
from tests.faults.ward import CHAINS, Ward

ENOUGH_ROUNDS = 20
"""So many seals, of both together, are a race; each of them must have won some."""


async def test_two_processes_that_seal_at_once_number_each_entry_once(
    sealers: Sealers, ward: Ward, tmp_path: Path
) -> None:
    ward.entries = len(CHAINS)
    stop = tmp_path / "stop"
    with some_sealers(tmp_path / "others") as others:

        async def seal(by: Sealers) -> int:
            order = {"database": ward.database.app_url, "folder": str(ward.folder), "until": str(stop)}
            assert await asyncio.to_thread(by.carry_out, **order) == 0
            return by.rounds()

        racing = asyncio.gather(seal(sealers), seal(others))
        try:
            while not racing.done() and (
                len(await ward.ledger.stored()) < ENOUGH_ROUNDS or not (sealers.rounds() and others.rounds())
            ):
                await ward.write()
                await ward.ledger.check_what_left(of_all=False)
        finally:
            stop.touch()
            rounds = await racing
    assert min(rounds) > 0, rounds
    await ward.check_in_a_fresh_house()
