"""Who presses "next case" at once: twenty reviewers, a hundred cases, one holder each, on the real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from arbiter.audit.entry import Entry
from arbiter.errors import ForbiddenError
from arbiter.identity.principals import Principal
from arbiter.identity.sites import add_site
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.states import Phase
from arbiter.model import ActorId, CaseId, RiskClass
from arbiter.store.cases.heads import load_case
from arbiter.store.database import Database
from arbiter.store.log.chains import load_entries
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.next_case import AT_ONCE, InHand, take_next
from arbiter.workflow.review import LEASE, hand_back
from arbiter.workflow.subjects import SubjectRef
from arbiter.workflow.work_list import Narrowing
from tests.houses import ShiftableClock, a_client, a_house, a_reviewer, listed_for, submission

REVIEWERS, CASES = 20, 100
RISKS = (RiskClass.ROUTINE, RiskClass.URGENT, RiskClass.EMERGENCY)

pytestmark = pytest.mark.timeout(300)


class Ward:
    """A house that does nothing by itself, its reviewers, and who hands cases in."""

    def __init__(self, house: House, clock: ShiftableClock, client: Principal, anna: Principal) -> None:
        self.house, self.clock, self.client, self.anna = house, clock, client, anna
        self.reviewers = [
            replace(anna, id=ActorId(f"a_{n}"), login=f"reviewer-{n}") for n in range(REVIEWERS)
        ]
        self._number = 0

    async def case(self, risk: RiskClass = RiskClass.ROUTINE) -> CaseId:
        """Hand in a case that its exclusions send to a clinician."""
        self._number += 1
        subject = SubjectRef("urn:example:patients", f"next-{self._number}")
        made = replace(submission(self.clock.now(), pregnant=(True, None)), risk_class=risk, subject=subject)
        key = f"next-{self._number}"
        case = (await submit(self.house, self.client, made, key, key.encode())).case
        await self.house.errands.finish(10)
        return case

    async def cases(self, number: int) -> list[CaseId]:
        return [await self.case(RISKS[n % len(RISKS)]) for n in range(number)]

    async def claims(self, case: CaseId) -> list[tuple[str, str]]:
        """The entries by which a case was taken and given up, oldest first, each with whose it is."""
        async with self.house.store.read() as transaction:
            entries = [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, case)]
        return [
            (each.type, each.actor)
            for each in entries
            if each.type in {EntryType.CLAIMED, EntryType.CLAIM_ENDED}
        ]


@pytest_asyncio.fixture
async def ward(database: Database, tmp_path: Path) -> AsyncIterator[Ward]:
    clock = ShiftableClock()
    async with a_house(tmp_path, database, clock, running=False) as house:
        client, _ = await a_client(house)
        yield Ward(house, clock, client, await a_reviewer(house))


async def press_until_nothing_is_left(ward: Ward, who: Principal, in_hand: InHand | None) -> list[CaseId]:
    taken = []
    while (case := await take_next(ward.house, who, in_hand=in_hand)) is not None:
        taken.append(case)
    return taken


@pytest.mark.parametrize("processes", [1, REVIEWERS], ids=["in one process", "each as in another process"])
async def test_twenty_who_press_until_nothing_is_left_take_each_of_a_hundred_cases_once(
    ward: Ward, processes: int
) -> None:
    cases = await ward.cases(CASES)
    shared = InHand() if processes == 1 else None
    taken = await asyncio.gather(*(press_until_nothing_is_left(ward, who, shared) for who in ward.reviewers))
    every = [case for of_one in taken for case in of_one]
    assert len(every) == len(set(every)) == CASES, "no case twice, and none by nobody"
    assert set(every) == set(cases)
    for who, of_one in zip(ward.reviewers, taken, strict=True):
        for case in of_one:
            assert await ward.claims(case) == [(EntryType.CLAIMED, who.id)]
            state = (await load_case(ward.house.store, case)).state
            assert state.claim is not None
            assert (state.phase, state.claim.reviewer) == (Phase.CLAIMED, who.id)
    for who in ward.reviewers:
        assert await take_next(ward.house, who) is None


async def test_leases_that_run_out_meanwhile_give_their_cases_to_others_and_never_to_two(ward: Ward) -> None:
    cases = await ward.cases(CASES // 2)
    rounds = 6
    for _ in range(rounds):
        # Every lease of the round before has just run out: some are ended by the sweep while others press.
        ward.clock.advance(LEASE)
        pressed = await asyncio.gather(
            expire_due(ward.house), *(take_next(ward.house, who) for who in ward.reviewers)
        )
        given = [case for case in pressed[1:] if case is not None]
        assert len(given) == len(set(given)), "no case to two at a time"
        assert given
    left = await asyncio.gather(*(press_until_nothing_is_left(ward, who, None) for who in ward.reviewers))
    assert any(left)
    taken = 0
    for case in cases:
        kinds = [kind for kind, _ in await ward.claims(case)]
        taken += kinds.count(EntryType.CLAIMED)
        expected = [EntryType.CLAIMED, EntryType.CLAIM_ENDED] * len(kinds)
        assert kinds == expected[: len(kinds)], "each lease has ended before the next one"
        assert (await load_case(ward.house.store, case)).state.phase is Phase.CLAIMED, "none is left"
    assert taken > len(cases), "some were given out again"


async def test_the_most_urgent_comes_first_then_the_earliest_deadline(ward: Ward) -> None:
    routine, later = await ward.case(), await ward.case()
    emergency, urgent = await ward.case(RiskClass.EMERGENCY), await ward.case(RiskClass.URGENT)
    taken = [await take_next(ward.house, ward.anna) for _ in range(4)]
    assert taken == [emergency, urgent, routine, later]
    assert await take_next(ward.house, ward.anna) is None


async def test_what_a_filter_leaves_out_is_not_given(ward: Ward) -> None:
    await ward.case(RiskClass.EMERGENCY)
    urgent = await ward.case(RiskClass.URGENT)
    asked = Narrowing(risk_class=RiskClass.URGENT)
    assert await take_next(ward.house, ward.anna, asked) == urgent
    assert await take_next(ward.house, ward.anna, asked) is None
    assert await take_next(ward.house, ward.anna, Narrowing(protocol="surgery-readiness")) is None


async def test_more_that_are_in_others_hands_than_a_look_fetches_do_not_hide_the_next(ward: Ward) -> None:
    cases = await ward.cases(AT_ONCE + 3)
    in_hand = InHand()
    order = [item.case for item in await listed_for(ward.house, ward.anna)]
    assert set(order) == set(cases)
    with in_hand.take(order[0]):
        assert await take_next(ward.house, ward.anna, in_hand=in_hand) == order[1]
        rest = [await take_next(ward.house, ward.anna, in_hand=in_hand) for _ in range(AT_ONCE + 2)]
        assert rest[-1] == order[0], "what is only meant to be taken is not lost where nothing else is left"
    assert await take_next(ward.house, ward.anna, in_hand=in_hand) is None


async def test_a_case_handed_back_is_next_again(ward: Ward) -> None:
    case = await ward.case()
    assert await take_next(ward.house, ward.anna) == case
    await hand_back(ward.house, ward.anna, case)
    assert await take_next(ward.house, ward.reviewers[0]) == case


async def test_a_foreign_sites_case_is_given_to_nobody_there(ward: Ward) -> None:
    await ward.case(RiskClass.EMERGENCY)
    await add_site(ward.house.identities, "south", "South Hospital")
    south = replace(ward.anna, sites=frozenset({"south"}))
    assert await take_next(ward.house, south) is None
    assert await take_next(ward.house, replace(ward.anna, sites=frozenset())) is None
    assert await take_next(ward.house, south, Narrowing(site="north")) is None


async def test_who_may_not_review_is_given_nothing(ward: Ward) -> None:
    await ward.case()
    with pytest.raises(ForbiddenError):
        await take_next(ward.house, replace(ward.anna, permissions=frozenset()))


async def test_a_lease_lasts_as_long_as_that_of_a_claim_by_hand(ward: Ward) -> None:
    case = await ward.case()
    before = ward.clock.now()
    await take_next(ward.house, ward.anna)
    state = (await load_case(ward.house.store, case)).state
    assert state.claim is not None
    assert before + LEASE <= state.claim.until <= ward.clock.now() + LEASE
    ward.clock.advance(LEASE + timedelta(seconds=1))
    assert await expire_due(ward.house) == 1
    assert await take_next(ward.house, ward.reviewers[1]) == case
