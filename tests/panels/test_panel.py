"""The panel's run with members that hang, raise, lie, flood, come late and conspire."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from arbiter.documents.facts import facts_hash
from arbiter.model import MemberId, MemberIdentity, MemberStatus, Opinion
from arbiter.panels.member import Answer, Asked, Member, NoAnswerError
from arbiter.panels.panel import SAMPLES_LIMIT, Returned, address, ask_member, ask_panel
from arbiter.panels.seating import seat_members
from tests.panels.asking import (
    CITED,
    IDENTITY,
    NEWS2,
    TAKEN_AT,
    RealClock,
    StoppedClock,
    Stub,
    asked,
    fact_set,
    protocol,
    vote,
)


@dataclass
class Hostile:
    """A member whose answer does what `act` does."""

    act: Any
    identity: MemberIdentity = IDENTITY

    async def answer(self, asked: Asked) -> Answer:
        return await self.act(asked)  # type: ignore[no-any-return]


def soon(seconds: float = 0.05) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def one(member: Member, put: Asked | None = None) -> Opinion:
    return await ask_member(NEWS2, member, put or asked(), RealClock())


async def gather(members: Mapping[MemberId, Member], deadline: datetime) -> list[Opinion]:
    facts = fact_set()
    put = address(protocol(), facts, facts_hash(facts), TAKEN_AT, deadline, seed=1)
    return [returned.opinion async for returned in ask_panel(members, put, RealClock())]


async def test_the_whole_panel_answers_once_each() -> None:
    opinions = await gather(seat_members(protocol()), soon(5))
    assert sorted(opinion.member for opinion in opinions) == ["cart", "mews", "news2", "qsofa", "sirs"]
    assert {opinion.status for opinion in opinions} == {MemberStatus.VALID}
    assert {opinion.asks for opinion in opinions} == {"question", "sepsis-risk"}


async def test_a_member_that_hangs_times_out_and_the_others_are_heard_first() -> None:
    async def hang(_: Asked) -> Answer:
        await asyncio.sleep(60)
        raise AssertionError

    members = {**seat_members(protocol()), NEWS2: Hostile(hang)}
    started = asyncio.get_running_loop().time()
    opinions = await gather(members, soon(0.1))
    assert asyncio.get_running_loop().time() - started < 2
    assert [opinion.status for opinion in opinions] == [MemberStatus.VALID] * 4 + [MemberStatus.TIMED_OUT]
    assert opinions[-1].member == NEWS2


async def test_a_member_that_swallows_its_cancellation_cannot_hold_the_panel() -> None:
    released = asyncio.Event()

    async def cling(_: Asked) -> Answer:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        return Answer((vote(),))

    try:
        opinion = await asyncio.wait_for(one(Hostile(cling), asked(deadline=soon())), timeout=2)
        assert opinion.status is MemberStatus.TIMED_OUT
    finally:
        released.set()
        await asyncio.sleep(0)


async def test_a_member_that_fails_after_its_deadline_leaves_no_trace() -> None:
    async def fail_late(_: Asked) -> Answer:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise RuntimeError from None
        raise AssertionError

    opinion = await one(Hostile(fail_late), asked(deadline=soon()))
    assert opinion.status is MemberStatus.TIMED_OUT
    await asyncio.sleep(0)


async def test_an_answer_after_the_deadline_counts_as_none_even_when_it_was_quick_to_arrive() -> None:
    deadline = soon(30)
    clock = StoppedClock([deadline - timedelta(seconds=1), deadline + timedelta(microseconds=1)])
    opinion = await ask_member(NEWS2, Stub((vote(),)), asked(deadline=deadline), clock)
    assert opinion.status is MemberStatus.TIMED_OUT
    assert opinion.votes == ()


async def test_an_answer_at_the_very_deadline_counts() -> None:
    deadline = soon(30)
    clock = StoppedClock([deadline - timedelta(seconds=1), deadline])
    opinion = await ask_member(NEWS2, Stub((vote(),)), asked(deadline=deadline), clock)
    assert opinion.status is MemberStatus.VALID


async def test_a_member_asked_past_its_deadline_is_not_even_called() -> None:
    async def never(_: Asked) -> Answer:
        raise AssertionError

    opinion = await one(Hostile(never), asked(deadline=datetime.now(UTC) - timedelta(seconds=1)))
    assert opinion.status is MemberStatus.TIMED_OUT


@pytest.mark.parametrize(
    "fault",
    [RuntimeError, TimeoutError, ValueError, KeyError, MemoryError, RecursionError, asyncio.CancelledError],
)
async def test_a_member_that_raises_is_down_and_its_words_are_not_kept(fault: type[BaseException]) -> None:
    async def fail(_: Asked) -> Answer:
        raise fault("Mrs Example has a pulse of 70")

    opinion = await one(Hostile(fail))
    assert opinion.status is MemberStatus.DOWN
    assert opinion.rationale == f"failed with {fault.__name__}"


async def test_a_member_whose_method_is_no_coroutine_is_down() -> None:
    class Broken:
        identity = IDENTITY

        def answer(self, asked: Asked) -> Answer:
            del asked
            return Answer((vote(),))

    opinion = await one(Broken())  # type: ignore[arg-type]
    assert opinion.status is MemberStatus.DOWN


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "urgent-review",
        {"samples": []},
        Answer(()),
        Answer((), 3),
        Answer([vote()]),  # type: ignore[arg-type]
        Answer((vote(),), -1),
        Answer((vote(),), "0"),  # type: ignore[arg-type]
        Answer((vote(),) * (SAMPLES_LIMIT + 1)),
        Answer((vote(),), SAMPLES_LIMIT),
        Answer((vote(option="discharge"),)),
        Answer((vote(evidence=()),)),
        Answer((vote(rationale="x" * 10_000_000),)),
        Answer((None,)),  # type: ignore[arg-type]
    ],
    ids=range(14),
)
async def test_what_is_no_sound_answer_is_invalid_and_nothing_of_it_is_kept(answer: Any) -> None:
    async def give(_: Asked) -> Any:
        return answer

    opinion = await one(Hostile(give))
    assert opinion.status is MemberStatus.INVALID
    assert (opinion.votes, opinion.evidence, opinion.missing) == ((), (), ())
    assert len(opinion.rationale) < 200


CONTINUE, URGENT = vote(), vote(option="urgent-review")
ABSTAIN = vote(option=None, evidence=(), missing=("lactate",))
LIE = vote(option="urgent-review", evidence=())


@pytest.mark.parametrize(
    ("samples", "unreadable", "status", "votes"),
    [
        (
            (CONTINUE, CONTINUE, URGENT),
            0,
            MemberStatus.VALID,
            (("continue-monitoring", 2), ("urgent-review", 1)),
        ),
        ((CONTINUE, LIE), 0, MemberStatus.VALID, (("continue-monitoring", 1),)),
        ((CONTINUE, LIE, LIE), 0, MemberStatus.INVALID, ()),
        ((CONTINUE, ABSTAIN), 0, MemberStatus.VALID, (("continue-monitoring", 1),)),
        ((CONTINUE, ABSTAIN, ABSTAIN), 0, MemberStatus.ABSTAINED, ()),
        ((CONTINUE, ABSTAIN, LIE), 0, MemberStatus.ABSTAINED, ()),
        ((ABSTAIN, LIE, LIE), 0, MemberStatus.INVALID, ()),
        ((ABSTAIN,), 0, MemberStatus.ABSTAINED, ()),
        ((CONTINUE,), 1, MemberStatus.VALID, (("continue-monitoring", 1),)),
        ((CONTINUE,), 2, MemberStatus.INVALID, ()),
        ((CONTINUE, URGENT), 0, MemberStatus.VALID, (("continue-monitoring", 1), ("urgent-review", 1))),
    ],
)
async def test_half_the_samples_must_be_sound_and_vote(
    samples: Any, unreadable: int, status: MemberStatus, votes: Any
) -> None:
    opinion = await one(Stub(samples, unreadable))
    assert (opinion.status, opinion.votes) == (status, votes)
    assert opinion.samples == len(samples) + unreadable


async def test_what_some_samples_miss_is_told_even_where_the_member_votes() -> None:
    opinion = await one(Stub((CONTINUE, ABSTAIN)))
    assert opinion.missing == ("lactate",)
    assert opinion.evidence == (CITED,)


async def test_the_members_are_asked_at_the_same_time_and_see_nothing_of_each_other() -> None:
    @dataclass
    class Watching:
        seen: list[Asked]
        all_there: asyncio.Barrier
        identity: MemberIdentity = field(default=IDENTITY)

        async def answer(self, asked: Asked) -> Answer:
            self.seen.append(asked)
            await self.all_there.wait()
            return Answer((vote(option=asked.options[0].id),))

    barrier = asyncio.Barrier(5)
    seen: list[Asked] = []
    members = {seat.member: Watching(seen, barrier) for seat in protocol().seats}
    opinions = await gather(members, soon(5))
    assert {opinion.status for opinion in opinions} == {MemberStatus.VALID}
    assert len({put.seed for put in seen}) == 5
    assert len({put.facts_hash for put in seen}) == 1


async def test_a_seed_depends_on_the_case_and_the_member_alone() -> None:
    facts = fact_set()
    first = address(protocol(), facts, "h", TAKEN_AT, TAKEN_AT, seed=1)
    again = address(protocol(), facts, "h", TAKEN_AT, TAKEN_AT, seed=1)
    other = address(protocol(), facts, "h", TAKEN_AT, TAKEN_AT, seed=2)
    assert {name: put.seed for name, put in first.items()} == {name: put.seed for name, put in again.items()}
    assert all(first[name].seed != other[name].seed for name in first)
    assert all(0 <= put.seed < 2**31 for put in first.values())


async def test_a_reader_that_leaves_early_leaves_no_member_running() -> None:
    stopped = asyncio.Event()

    async def wait(_: Asked) -> Answer:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        raise AssertionError

    members = {**seat_members(protocol()), NEWS2: Hostile(wait)}
    facts = fact_set()
    put = address(protocol(), facts, facts_hash(facts), TAKEN_AT, soon(30), seed=1)
    stream = ask_panel(members, put, RealClock())
    assert (await anext(stream)).opinion.status is MemberStatus.VALID
    await stream.aclose()
    await asyncio.wait_for(stopped.wait(), timeout=2)


async def test_a_slow_reader_makes_no_member_late() -> None:
    async def brisk(asked: Asked) -> Answer:
        await asyncio.sleep(0.02)
        return Answer((vote(option=asked.options[0].id),))

    members = {**seat_members(protocol()), NEWS2: Hostile(brisk)}
    facts = fact_set()
    put = address(protocol(), facts, facts_hash(facts), TAKEN_AT, soon(0.15), seed=1)
    statuses = []
    async for returned in ask_panel(members, put, RealClock()):
        statuses.append(returned.opinion.status)
        await asyncio.sleep(0.06)
    assert statuses == [MemberStatus.VALID] * 5


async def test_asking_a_member_without_a_seat_asks_nobody() -> None:
    facts = fact_set()
    put = address(protocol(), facts, facts_hash(facts), TAKEN_AT, soon(5), seed=1)
    with pytest.raises(KeyError):
        await anext(ask_panel({}, put, RealClock()))


async def test_members_that_do_not_wait_answer_within_milliseconds() -> None:
    members = seat_members(protocol())
    await gather(members, soon(5))
    started = asyncio.get_running_loop().time()
    for _ in range(20):
        await gather(members, soon(5))
    assert (asyncio.get_running_loop().time() - started) / 20 < 0.02


# --- what is kept of a member behind HTTP -------------------------------------------------------------------------

FOUND = MemberIdentity("vllm", "ward-8b", "r1", "1" * 64)


async def returned_by(member: Member, put: Asked) -> Returned:
    (returned,) = [item async for item in ask_panel({NEWS2: member}, {NEWS2: put}, RealClock())]
    return returned


async def test_an_answers_exchange_and_the_identity_found_go_with_its_opinion() -> None:
    async def answer(_: Asked) -> Answer:
        return Answer((vote(),), exchange=b"kept", identity=FOUND)

    returned = await returned_by(Hostile(answer), asked())
    assert (returned.opinion.status, returned.exchange) == (MemberStatus.VALID, b"kept")
    assert returned.opinion.identity == FOUND


async def test_a_member_without_an_exchange_keeps_none_and_its_own_identity() -> None:
    returned = await returned_by(Stub((vote(),)), asked())
    assert (returned.exchange, returned.opinion.identity) == (None, IDENTITY)


@pytest.mark.parametrize("status", [MemberStatus.DOWN, MemberStatus.TIMED_OUT])
async def test_a_member_that_knows_why_it_has_no_answer_is_believed_and_what_it_sent_is_kept(
    status: Any,
) -> None:
    async def fail(_: Asked) -> Answer:
        raise NoAnswerError("the server broke off", status, b"sent", FOUND)

    returned = await returned_by(Hostile(fail), asked())
    assert (returned.opinion.status, returned.opinion.rationale) == (status, "the server broke off")
    assert (returned.exchange, returned.opinion.identity) == (b"sent", FOUND)


async def test_an_answer_that_is_refused_keeps_its_exchange() -> None:
    async def lie(_: Asked) -> Answer:
        return Answer((vote(option="discharge"),), exchange=b"a lie", identity=FOUND)

    returned = await returned_by(Hostile(lie), asked())
    assert (returned.opinion.status, returned.exchange) == (MemberStatus.INVALID, b"a lie")


@pytest.mark.parametrize("answers", [True, False])
async def test_a_member_out_of_time_is_waited_for_a_moment_and_what_it_sent_is_kept(answers: bool) -> None:
    async def late(put: Asked) -> Answer:
        await asyncio.sleep((put.deadline - datetime.now(UTC)).total_seconds() + 0.02)
        if answers:
            return Answer((vote(),), exchange=b"late", identity=FOUND)
        raise NoAnswerError("the server broke off", MemberStatus.DOWN, b"late", FOUND)

    returned = await returned_by(Hostile(late), asked(deadline=soon(0.1)))
    assert (returned.opinion.status, returned.exchange) == (MemberStatus.TIMED_OUT, b"late")
    assert returned.opinion.votes == ()


@pytest.mark.parametrize(
    "answer",
    [
        Answer((vote(),), exchange="text"),  # type: ignore[arg-type]
        Answer((vote(),), exchange=None, identity="me"),  # type: ignore[arg-type]
    ],
    ids=["exchange", "identity"],
)
async def test_an_exchange_or_identity_of_another_type_is_not_kept(answer: Answer) -> None:
    async def give(_: Asked) -> Answer:
        return answer

    returned = await returned_by(Hostile(give), asked())
    assert (returned.exchange, returned.opinion.identity) == (None, IDENTITY)
