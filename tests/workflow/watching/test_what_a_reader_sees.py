"""What a reader sees of a decision to be read, on the real house: no more than of an escalation that waits."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import pytest

from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import RiskClass
from arbiter.workflow import review, work_list
from arbiter.workflow.downtime import everything_waiting
from tests.houses import listed_for
from tests.workflow.watching.readers import OTHER, Readers, opinion

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_audit_is_listed_as_a_routine_escalation_is(ward: Readers) -> None:
    drawn, waiting = await ward.drawn(RiskClass.URGENT), await ward.escalated()
    own = {"case": "", "waiting_since": None, "due_at": None, "calls_on_at": None, "called": None}
    audit, escalation = await ward.listed(drawn), await ward.listed(waiting)
    assert audit is not None
    assert escalation is not None
    assert asdict(audit) | own == asdict(escalation) | own
    assert (audit.called, audit.calls_on_at) == (False, None), "nobody is called about what can wait"
    draw = (await ward.row(drawn)).state.audit
    assert draw is not None
    assert audit.due_at == draw.drawn_at + timedelta(days=ward.house.settings.audit_days)


async def test_an_audit_opens_as_a_routine_escalation_does(ward: Readers) -> None:
    pages = []
    for case in (await ward.drawn(RiskClass.URGENT), await ward.escalated()):
        await review.claim(ward.house, ward.anna, case)
        page = asdict(await review.open_case(ward.house, ward.anna, case))
        for own in ("facts", "missing", "subject_value", "claim_until", "as_of", "received_at"):
            page.pop(own)
        for own in ("id", "created_at", "changed_at", "due_at", "entries"):
            page["view"].pop(own)
        pages.append(page)
    assert pages[0] == pages[1]


async def test_a_reader_sees_the_facts_as_old_as_they_were_when_the_panel_saw_them(ward: Readers) -> None:
    case = await ward.drawn()
    ward.clock.advance(timedelta(days=2))
    await review.claim(ward.house, ward.anna, case)
    blind = await review.open_case(ward.house, ward.anna, case)
    assert blind.as_of == (await ward.dossier(case)).taken_facts().taken_at
    assert {fact.age_minutes for fact in blind.facts} == {5}
    assert not any(fact.stale for fact in blind.facts)
    assert blind.view.due_at is not None
    assert not blind.view.overdue
    await review.commit_opinion(ward.house, ward.anna, case, opinion(OTHER))
    await review.claim(ward.house, ward.boris, case)
    contested = await review.open_case(ward.house, ward.boris, case)
    assert min(fact.age_minutes for fact in contested.facts) >= 2 * 24 * 60, (
        "what is decided now, is about now"
    )


async def test_what_can_wait_is_not_on_the_list_for_a_downtime(ward: Readers) -> None:
    drawn, waiting = await ward.drawn(), await ward.escalated()
    cases = {item.case for item in (await everything_waiting(ward.house)).cases}
    assert waiting in cases
    assert drawn not in cases


async def test_a_list_has_room_for_the_oldest_audits_and_for_ones_own(
    ward: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_list, "AUDITS_LISTED", 2)
    gina = await ward.person("gina", Role.REVIEWER)
    cases = [await ward.drawn() for _ in range(3)]

    async def audits() -> list[str]:
        items = await listed_for(ward.house, gina)
        rows = [await ward.row(item.case) for item in items]
        return [row.id for row in rows if row.state.phase is Phase.RELEASED]

    oldest = await audits()
    assert len(oldest) == 2
    assert cases[-1] not in oldest
    await review.claim(ward.house, gina, cases[-1])
    assert cases[-1] in await audits()
