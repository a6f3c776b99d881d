"""A log whose key rotates under its witnesses, a witness that trusts the log no more, and one that the file names no more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from arbiter.audit.note import VerifierKey, open_note
from arbiter.cosigning.asking import open_http
from arbiter.lifecycle.states import Phase
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.witness.store import WitnessStore
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.log import rotating_log_key
from arbiter.workflow.log.circle_in_force import dropped_from
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from arbiter.workflow.log.witness_standings import Standing, standings_of
from arbiter.workflow.log.witnessing import Rounds
from arbiter.workflow.publishing import checkpoint
from arbiter.workflow.reading import view_case
from tests.houses import a_client
from tests.workflow.circles import NOWHERE, PATIENCE_SECONDS, Someone, a_witnessed_house, eventually
from tests.workflow.guarded import grow, sealed
from tests.workflow.post import a_case

WHO = ActorId("operator:carla")


async def asked(house: House) -> None:
    """Ask every witness once about the newest checkpoint."""
    async with open_http() as http:
        rounds = Rounds(house)
        await rounds.round(http)
        await asyncio.gather(*list(rounds._asking), return_exceptions=True)


def store_of(witness: Someone) -> WitnessStore:
    assert witness.process is not None
    return WitnessStore(witness.process.folder)


def seen_by(witness: Someone, house: House) -> int:
    (known,) = [known for known in store_of(witness).logs() if known.origin == house.signer.name]
    return known.head.size


async def standing(house: House, witness: Someone) -> Standing:
    standings = await standings_of(house.circle, house.store, house.clock.now())
    return next(one for one in standings if one.witness.name == witness.name)


async def test_a_witness_follows_a_log_to_its_next_key_from_the_size_it_had(
    database: Database, tmp_path: Path, two: tuple[Someone, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One trusts the next key in time, the other does not: it cosigns nothing until it does, and then goes on."""
    monkeypatch.setattr(rotating_log_key, "OTHERS_SECONDS", 0.1)
    ready, late = two

    async with a_witnessed_house(tmp_path, database, two, {}, running=False) as house:
        await grow(house, 3)
        await asked(house)
        old = VerifierKey.parse(house.signer.verifier_key)
        await begin_rotation(house, WHO)
    async with a_witnessed_house(tmp_path, database, two, {}, running=False) as house:
        new = VerifierKey.parse(house.signer.verifier_key)
        overlap = await grow(house)
        await asked(house)
        assert [seen_by(witness, house) for witness in two] == [overlap, overlap], "both keys signed"
        store_of(ready).trust(new.name, new)
        await finish_rotation(house, WHO)
    async with a_witnessed_house(tmp_path, database, two, {}, running=False) as house:
        size = await grow(house, 2)
        await asked(house)
        assert [seen_by(witness, house) for witness in two] == [size, overlap]
        assert (await standing(house, late)).fault == "does not trust this log's key"
        assert (await standing(house, ready)).fault is None
        store_of(late).trust(new.name, new)
        for witness in two:
            store_of(witness).distrust(old.name, old.key_id.hex(), 0)
        size = await grow(house)
        await asked(house)
        assert [seen_by(witness, house) for witness in two] == [size, size]
        assert (await standing(house, late)).fault is None
        keys = (new, *house.circle.keys)
        assert len(open_note((await checkpoint(house)).encode(), keys).verified) == 3
        await verify_log(house, (tmp_path / "checkpoint").read_bytes())


async def test_a_log_that_a_witness_trusts_no_more_is_told_and_its_panels_decisions_wait(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}) as house:
        client, _ = await a_client(house)
        first = await a_case(house, client, "first")
        await eventually(house, client, first, Phase.RELEASED)
        had = seen_by(two[0], house)
        store_of(two[0]).distrust(house.signer.name, None, 0)
        second = await a_case(house, client, "second")
        await until(lambda: told(house, two[0], "does not trust this log's key"))
        assert (await view_case(house, client, second)).phase is Phase.DECIDED
        assert seen_by(two[0], house) >= had
        stopped = seen_by(two[0], house)
        await grow(house)
        await until(lambda: reached(house, two[1]))
        assert seen_by(two[0], house) == stopped


async def told(house: House, witness: Someone, fault: str) -> bool:
    return (await standing(house, witness)).fault == fault


async def reached(house: House, witness: Someone) -> bool:
    return (await standing(house, witness)).size == await sealed(house)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():  # noqa: ASYNC110 - what the house itself does is waited for
            await asyncio.sleep(0.05)


async def test_a_witness_that_the_file_names_no_more_counts_for_nothing_and_is_told(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 1}) as house:
        client, _ = await a_client(house)
        first = await a_case(house, client, "first")
        await eventually(house, client, first, Phase.RELEASED)
        await until(lambda: reached(house, two[1]))
        assert await dropped_from(house.circle, house.store) == ()
        had = {witness.name: (await standing(house, witness)).size for witness in two}
    async with a_witnessed_house(tmp_path, database, [two[0], NOWHERE], {"urgent": 2}) as house:
        # What it cosigned on the checkpoint before is shown to nobody, and not asked for again.
        (dropped,) = await dropped_from(house.circle, house.store)
        assert (dropped.name, dropped.key, dropped.size) == (two[1].name, two[1].key, had[two[1].name])
        before = seen_by(two[1], house)
        second = await a_case(house, client, "second")
        await until(lambda: reached(house, two[0]))
        note = (await checkpoint(house)).encode()
        assert two[1].key not in {
            s.key for s in open_note(note, (*house.verifiers, two[0].key, two[1].key)).verified
        }
        assert (await view_case(house, client, second)).phase is Phase.DECIDED
        assert seen_by(two[1], house) == before
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}) as house:
        assert [dropped.key for dropped in await dropped_from(house.circle, house.store)] == [NOWHERE.key]
        await eventually(house, client, second, Phase.RELEASED)
