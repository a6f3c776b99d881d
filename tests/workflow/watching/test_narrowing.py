"""A list that is narrowed, counted and given out case by case tells a decision to be read from an escalation no more than the whole."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from arbiter.identity.accounts import account_principal, change_account, list_accounts
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, RiskClass
from arbiter.workflow import acknowledging, reading, review, work_list
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.next_case import take_next
from arbiter.workflow.review import LEASE
from arbiter.workflow.work_list import EVERYTHING, Narrowing, WorkItem
from tests.workflow.watching.readers import SAME, Readers

pytestmark = pytest.mark.asyncio(loop_scope="module")

DRAWN = (RiskClass.ROUTINE, RiskClass.URGENT)
"""The classes of which the protocol decides alone."""
RISKS = (None, *RiskClass)
ASKED = [
    Narrowing(site, protocol, risk, overdue, unacknowledged)
    for site, protocol, risk, overdue, unacknowledged in itertools.product(
        (None, "north"), (None, "deterioration", "anticoagulation"), RISKS, (False, True), (False, True)
    )
]


def fits(item: WorkItem, asked: Narrowing, ward: Readers) -> bool:
    """What a reader would say of a row as it is shown."""
    late = item.overdue or (item.due_at is not None and item.due_at <= ward.clock.now())
    return (
        asked.site in {None, item.site}
        and asked.protocol in {None, "deterioration"}
        and asked.risk_class in {None, item.risk_class}
        and (late or not asked.overdue)
        and ((item.called and item.acknowledged_by is None) or not asked.unacknowledged)
    )


async def furnished(ward: Readers) -> None:
    """Audits and escalations of every class, some late, some acknowledged, some held."""
    for risk in RiskClass:
        for _ in range(2):
            await ward.escalated(risk)
            if risk in DRAWN:
                await ward.drawn(risk)
    await acknowledging.acknowledge(ward.house, ward.boris, await ward.escalated(RiskClass.URGENT))
    await review.claim(ward.house, ward.boris, await ward.escalated())
    await review.claim(ward.house, ward.boris, await ward.drawn())
    await review.claim(ward.house, ward.anna, await ward.drawn())


async def test_every_filter_shows_and_counts_what_the_rows_of_the_whole_list_say(ward: Readers) -> None:
    await furnished(ward)
    for ahead in (timedelta(0), timedelta(hours=3), timedelta(days=ward.house.settings.audit_days)):
        ward.clock.advance(ahead)
        while await expire_due(ward.house):
            continue
        whole = await work_list.look(ward.house, ward.anna)
        assert whole.pages == 1
        for asked in ASKED:
            part = await work_list.look(ward.house, ward.anna, asked)
            expected = [item for item in whole.waiting if fits(item, asked, ward)]
            assert [item.case for item in part.waiting] == [item.case for item in expected], asked
            assert part.total == len(expected), asked
            assert part.mine == whole.mine, "one's own are never left out"
            assert part.counts == whole.counts
        ward.clock.advance(-ahead)


async def test_a_decision_to_be_read_is_under_routine_whatever_its_class_was(ward: Readers) -> None:
    drawn = [await ward.drawn(risk) for risk in DRAWN]
    for risk in RiskClass:
        listed = await work_list.look(ward.house, ward.anna, Narrowing(risk_class=risk))
        shown = {item.case for item in listed.waiting} & set(drawn)
        assert shown == (set(drawn) if risk is RiskClass.ROUTINE else set())


async def test_the_pages_of_a_list_are_the_whole_list_in_its_order(ward: Readers) -> None:
    whole = (await work_list.look(ward.house, ward.anna)).waiting
    assert sorted(whole, key=work_list.by_urgency) == list(whole)
    pages: list[WorkItem] = []
    for page in itertools.count(1):
        part = await work_list.look(ward.house, ward.anna, page=page, size=3)
        assert part.page == page
        pages.extend(part.waiting)
        if page == part.pages:
            break
    assert [item.case for item in pages] == [item.case for item in whole]
    beyond = await work_list.look(ward.house, ward.anna, page=999, size=3)
    assert beyond.page == beyond.pages


async def test_however_many_came_later_the_most_urgent_is_on_the_first_page(ward: Readers) -> None:
    emergency = await ward.escalated(RiskClass.EMERGENCY)
    for _ in range(4):
        await ward.escalated()
    (first, *_others) = (await work_list.look(ward.house, ward.clara, size=2)).waiting
    assert first.risk_class is RiskClass.EMERGENCY
    listed = await work_list.look(ward.house, ward.clara, Narrowing(risk_class=RiskClass.EMERGENCY), size=50)
    assert emergency in {item.case for item in listed.waiting}


async def test_the_next_case_is_the_lists_first_audits_in_their_place(ward: Readers) -> None:
    ward.clock.advance(timedelta(days=ward.house.settings.audit_days) - timedelta(hours=1))
    await ward.escalated()
    order = [item.case for item in (await work_list.look(ward.house, ward.clara)).waiting]
    ended = {case for case in order if (await ward.row(case)).state.phase is Phase.RELEASED}
    assert ended
    assert set(order) - ended
    given = [await take_next(ward.house, ward.clara) for _ in order]
    assert given == order
    assert await take_next(ward.house, ward.clara) is None
    mine = (await work_list.look(ward.house, ward.clara)).mine
    assert {item.case for item in mine} == set(order)
    ends = [item.held_until for item in mine if item.held_until is not None]
    assert ends == sorted(ends)
    assert len(ends) == len(mine)
    ward.clock.advance(LEASE)


async def test_what_a_reviewer_is_refused_is_passed_over_and_left_to_others(ward: Readers) -> None:
    frieda = await ward.person("frieda", Role.AUDITOR)
    seen, unseen = await ward.drawn(), await ward.drawn()
    await reading.decision(ward.house, frieda, seen)
    row = next(row for row in await list_accounts(ward.house.identities) if row.id == frieda.id)
    await change_account(ward.house.identities, row, [Role.REVIEWER], row.sites)
    now = account_principal(replace(row, roles=(Role.REVIEWER.value,)))
    given: list[CaseId] = []
    while (case := await take_next(ward.house, now)) is not None:
        given.append(case)
    assert unseen in given
    assert seen not in given
    assert (await ward.row(seen)).state.claim is None


async def test_who_has_read_a_case_is_not_given_it_again(ward: Readers) -> None:
    gina = await ward.person("gina", Role.REVIEWER)
    case = await ward.drawn()
    await ward.read(case, gina, SAME)
    while (given := await take_next(ward.house, gina, EVERYTHING)) is not None:
        assert given != case
