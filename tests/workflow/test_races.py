"""Many hands on one case, and two processes on one database: the head moves by compare-and-set, so one of them wins."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from arbiter.audit.checkpoint import open_checkpoint
from arbiter.audit.entry import Entry
from arbiter.errors import BusyError, ConflictError
from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import ENDS, Phase
from arbiter.model import ActorId, CaseId
from arbiter.store.database import Database
from arbiter.store.log.chains import load_entries
from arbiter.store.log.checkpoints import load_checkpoints
from arbiter.workflow.amending import amend
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.closing import cancel, contest
from arbiter.workflow.deliberation import park, take_up
from arbiter.workflow.errands import Errands
from arbiter.workflow.house import House
from arbiter.workflow.intake import Submitted, submit
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.reading import view_case
from arbiter.workflow.releasing import release_sealed
from arbiter.workflow.review import claim, commit_opinion, reveal, sign
from tests.houses import a_client, a_house, a_reviewer, facts, settle, settled, submission

EXCLUDED = {"pregnant": (True, None)}
ESCALATED = {"systolic_bp": (Decimal(85), "mm[Hg]")}


class HeldErrands(Errands):
    """Keeps work from beginning until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()

    def start(self, case: CaseId, work: object) -> None:
        async def held() -> None:
            await self.free.wait()
            await work  # type: ignore[misc]

        super().start(case, held())


@pytest_asyncio.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path, database, running=False) as opened:
        yield opened


async def entries_of(house: House, case: CaseId) -> list[Entry]:
    async with house.store.read() as transaction:
        return [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, case)]


async def types_of(house: House, case: CaseId) -> Counter[str]:
    return Counter(entry.type for entry in await entries_of(house, case))


async def outcomes(*moves: object) -> list[object]:
    """Make the moves at once; return what each returned or the conflict it met. Anything else is a failure."""
    results = await asyncio.gather(*moves, return_exceptions=True)  # type: ignore[call-overload]
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, ConflictError):
            raise result
    return list(results)


async def test_of_twenty_reviewers_who_claim_at_once_one_holds_the_case(house: House) -> None:
    client, _ = await a_client(house)
    anna = await a_reviewer(house)
    reviewers = [replace(anna, id=ActorId(f"a{number}")) for number in range(20)]
    case = (await submit(house, client, submission(house.clock.now(), **EXCLUDED), "key", b"body")).case
    results = await outcomes(*(claim(house, reviewer, case) for reviewer in reviewers))
    assert sum(result is None for result in results) == 1
    winner = reviewers[results.index(None)]
    claimed = [entry for entry in await entries_of(house, case) if entry.type == "case.claimed"]
    assert [entry.actor for entry in claimed] == [winner.id]
    own = OwnOpinion("urgent-review", 80, (), "as I see it")
    committed = await outcomes(*(commit_opinion(house, reviewer, case, own) for reviewer in reviewers))
    assert [committed[number] is False for number in range(20)] == [r is winner for r in reviewers]


async def test_a_signature_sent_twice_at_once_is_given_once(house: House) -> None:
    client, _ = await a_client(house)
    anna = await a_reviewer(house)
    case = (await submit(house, client, submission(house.clock.now(), **EXCLUDED), "key", b"body")).case
    await claim(house, anna, case)
    await commit_opinion(house, anna, case, OwnOpinion("urgent-review", 80, (), "as I see it"))
    await reveal(house, anna, case)
    results = await outcomes(*(sign(house, anna, case, "urgent-review", "") for _ in range(8)))
    assert sum(result is True for result in results) == 1
    assert (await types_of(house, case))["decision.signed"] == 1


async def test_one_idempotency_key_sent_twenty_times_at_once_makes_one_case(house: House) -> None:
    client, _ = await a_client(house)
    made = submission(house.clock.now())
    results = await outcomes(*(submit(house, client, made, "key", b"body") for _ in range(20)))
    answers = [result for result in results if isinstance(result, Submitted)]
    assert len({answer.case for answer in answers}) == 1
    assert sum(not answer.repeated for answer in answers) == 1
    await house.errands.finish(10)
    assert (await types_of(house, answers[0].case))["case.received"] == 1


async def test_an_amendment_and_a_conclusion_at_once_leave_one_verdict_for_each_version(house: House) -> None:
    client, _ = await a_client(house)
    held = HeldErrands()
    cases = []

    async def free_in_a_moment() -> None:
        # When the first amendments have been read and none of them is written yet, if the machine so pleases.
        await asyncio.sleep(0.02)
        held.free.set()

    for number in range(24):
        made = submission(house.clock.now())
        cases.append(
            (await submit(replace(house, errands=held), client, made, f"key-{number}", b"body")).case
        )
    fresh = facts(house.clock.now(), **ESCALATED)
    results = await outcomes(*(amend(house, client, case, fresh) for case in cases), free_in_a_moment())
    results.pop()
    await held.finish(10)
    await house.errands.finish(10)
    amended = 0
    for case, result in zip(cases, results, strict=True):
        types = await types_of(house, case)
        if isinstance(result, ConflictError):
            assert (types["case.decided"], types["case.escalated"], types["facts.amended"]) == (1, 0, 0)
        else:
            amended += 1
            assert (types["case.decided"], types["case.escalated"], types["facts.amended"]) == (0, 1, 1)
        assert all(step.same for step in await replay_case(house, case))
    print(f"{amended} of {len(cases)} amendments came before the conclusion")
    await house.sealer.round()
    assert (await verify_log(house, None)).chains == len(cases)


async def test_amendments_at_once_count_the_versions_up_one_by_one(house: House) -> None:
    client, _ = await a_client(house)
    case = (await submit(house, client, submission(house.clock.now(), **ESCALATED), "key", b"body")).case
    await house.errands.finish(10)
    fresh = facts(house.clock.now(), **ESCALATED)
    results = await outcomes(*(amend(house, client, case, fresh) for _ in range(10)))
    made = sum(not isinstance(result, ConflictError) for result in results)
    assert made >= 1
    await house.errands.finish(10)
    assert (await view_case(house, client, case)).facts_version == 1 + made
    assert (await types_of(house, case))["facts.amended"] == made


@pytest.mark.parametrize("faster", ["cancelled", "amended", "parked", "concluded elsewhere"])
async def test_a_stale_deliberation_changes_nothing(house: House, faster: str) -> None:
    held = HeldErrands()
    client, _ = await a_client(house)
    made = submission(house.clock.now())
    case = (await submit(replace(house, errands=held), client, made, "key", b"body")).case
    match faster:
        case "cancelled":
            await cancel(house, client, case, "not needed")
        case "amended":
            await amend(house, client, case, facts(house.clock.now(), **ESCALATED))
            await house.errands.finish(10)
        case "parked":
            await park(house, case)
        case _:
            await take_up(house, case, last_attempt=False)
    before = await types_of(house, case)
    held.free.set()
    await held.finish(10)
    assert await types_of(house, case) == before
    verdicts = before["case.decided"] + before["case.escalated"] + before["case.cancelled"]
    assert verdicts == 1


async def test_releases_and_contests_at_once_happen_in_one_order(house: House) -> None:
    client, _ = await a_client(house)
    cases = []
    for number in range(10):
        made = submission(house.clock.now())
        cases.append((await submit(house, client, made, f"key-{number}", b"body")).case)
    await house.errands.finish(10)
    house.sealer.then(lambda: asyncio.sleep(0))
    await house.sealer.round()
    await outcomes(
        release_sealed(house),
        release_sealed(house),
        *(contest(house, client, case, "not so") for case in cases),
    )
    for case in cases:
        types = await types_of(house, case)
        assert types["case.released"] == 1
        phase = (await view_case(house, client, case)).phase
        assert phase is (Phase.ESCALATED if types["case.contested"] else Phase.RELEASED)


async def test_two_processes_work_on_one_database_and_each_case_is_decided_once(
    database: Database, tmp_path: Path
) -> None:
    async with (
        a_house(tmp_path, database, workers=True) as one,
        a_house(tmp_path, database, workers=True) as other,
    ):
        client, _ = await a_client(one)
        cases = await asyncio.gather(
            *(hand_in((one, other)[number % 2], client, number) for number in range(60))
        )
        # The other process takes up what the first still has in hand.
        await asyncio.gather(
            *(take_up((other, one)[n % 2], case, last_attempt=False) for n, case in enumerate(cases))
        )
        await asyncio.gather(*(settled(one, client, case) for case in cases))
        await settle(one)
        await settle(other)
        for number, case in enumerate(cases):
            types = await types_of(one, case)
            verdict = "case.escalated" if number % 3 == 0 else "case.decided"
            assert types["case.decided"] + types["case.escalated"] == types[verdict] == 1, types
            assert types["opinion.recorded"] == 5
            assert (await view_case(other, client, case)).phase in ENDS | {Phase.ESCALATED}
        kept = (tmp_path / "checkpoint").read_bytes()
        report = await verify_log(one, kept)
        assert report.chains == 60
        await check_checkpoints_agree(one, kept)


async def hand_in(house: House, client: Principal, number: int) -> CaseId:
    """Submit a case as a client does: one that a busy house turns away comes again when it is told to."""
    changes = ESCALATED if number % 3 == 0 else {}
    made = submission(house.clock.now(), **changes)
    while True:
        try:
            return (await submit(house, client, made, f"key-{number}", b"body")).case
        except BusyError as told:
            await asyncio.sleep(told.retry_after_seconds)


async def check_checkpoints_agree(house: House, kept: bytes) -> None:
    """Sizes rise, no size was signed twice, and the kept checkpoint is the newest, whichever process sealed last."""
    async with house.store.read() as transaction:
        stored = await load_checkpoints(transaction)
    sizes = [checkpoint.size for checkpoint in stored]
    assert sizes == sorted(set(sizes))
    assert open_checkpoint(kept, house.verifiers).checkpoint.size == sizes[-1]
