"""Every state of the table is reached over REST and the pages, and everything decided on the way is made again in replay."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from arbiter.audit.entry import Entry
from arbiter.audit.receipt import verify_receipt
from arbiter.identity.accounts import account_principal, list_accounts
from arbiter.identity.clients import register_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.events import Acknowledge
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.store.log.chains import load_entries
from arbiter.workflow.acting import act
from arbiter.workflow.auditing import replay_case, verify_log
from tests.system.handing_on import a_case_goes_from_hand_to_hand
from tests.system.hospital import Hospital, entered, hospital
from tests.system.service import KINDS, case_body, facts_body

__all__ = ["hospital"]

DECIDED, ESCALATED, AWAITING, EXCLUDED = KINDS


async def test_every_state_is_reached_every_entry_is_told_and_every_certificate_is_replayed(
    hospital: Hospital,
) -> None:
    await a_decision_is_released_contested_and_signed(hospital)
    await facts_are_asked_for_and_sent(hospital)
    await a_case_is_cancelled_while_its_panel_deliberates(hospital)
    await cases_are_retracted_and_superseded(hospital)
    await waits_run_out(hospital)
    await a_foreign_site_breaks_the_glass(hospital)
    await a_reviewer_hands_back_and_an_emergency_shows_its_panel_first(hospital)
    await a_case_goes_from_hand_to_hand(hospital)

    # Submitting and asking are one step: `received` shows in the entry that every case begins with.
    assert hospital.seen == set(Phase) - {Phase.RECEIVED}
    await hospital.seal()
    await hospital.seal()
    # One rung is all that there is without a duty file: nothing climbs. Witnesses, erasures, audits and failing model
    # servers have journeys of their own (`tests/system/test_witnessed_service.py`, `tests/system/test_backups.py`,
    # `tests/workflow/test_outcomes.py`, `tests/workflow/test_a_misbehaving_fleet.py`).
    elsewhere = {
        EntryType.AUDIT_READ,
        EntryType.CLIMBED,
        EntryType.REROUTED,
        EntryType.WITNESSED,
        EntryType.HOLD_PLACED,
        EntryType.HOLD_LIFTED,
        EntryType.ERASED,
        EntryType.ERASURE_COMPLETED,
    }
    assert await hospital.told() == {entry_type.value for entry_type in set(EntryType) - elsewhere}
    replayed = [step for case in hospital.cases for step in await replay_case(hospital.house, CaseId(case))]
    assert len(replayed) >= 17
    assert all(step.same for step in replayed), replayed
    report = await verify_log(hospital.house, (hospital.folder / "checkpoint").read_bytes())
    assert report.chains == len(hospital.cases)


async def a_decision_is_released_contested_and_signed(at: Hospital) -> None:
    at.panels.free.clear()
    case = await at.post(DECIDED)
    await at.look(case, Phase.DELIBERATING)
    at.panels.free.set()
    await at.panels.finish(10)
    assert (await at.look(case, Phase.DECIDED))["decided_by"] is None
    assert (await at.rest.get(f"/v1/cases/{case}/decision")).status_code == 409
    await at.seal()
    assert (await at.look(case, Phase.RELEASED))["decided_by"] == "panel"
    decision = (await at.rest.get(f"/v1/cases/{case}/decision")).raise_for_status().json()
    assert decision["option"] == "continue-monitoring"
    await at.seal()
    steps = [step["type"] for step in await followed(at, case)]
    assert steps == [
        "case.received", "panel.asked", *["opinion.recorded"] * 5, "case.decided", "case.released", "content.read"
    ]  # fmt: skip

    await at.move(case, "contest")
    await at.look(case, Phase.ESCALATED)
    assert (await at.rest.get(f"/v1/cases/{case}/decision")).status_code == 409
    await at.review_and_sign(at.anna, case)
    again = (await at.rest.get(f"/v1/cases/{case}/decision")).raise_for_status().json()
    assert (again["option"], again["decided_by"]) == ("urgent-review", "reviewer")
    receipt = (await at.rest.get(f"/v1/cases/{case}/receipt")).raise_for_status().content
    certificate = (await at.rest.get(f"/v1/cases/{case}/certificate")).raise_for_status().content
    told = {"option": "urgent-review", "kind": "outcome", "source": "discharge-letter"}
    await at.move(case, "outcome", **told, observed_at=at.clock.now().isoformat())
    assert verify_receipt(receipt, at.house.verifiers).content("certificate") == certificate


async def followed(at: Hospital, case: str) -> list[dict[str, Any]]:
    """Return the server-sent events of a case that has ended."""
    events = (await at.rest.get(f"/v1/cases/{case}/events", timeout=10)).text
    return [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")]


async def facts_are_asked_for_and_sent(at: Hospital) -> None:
    case = await at.panel_done(AWAITING)
    standing = await at.look(case, Phase.AWAITING_FACTS)
    assert standing["due_at"] is not None
    temperature = facts_body()["temperature"]
    await at.move(case, "facts", facts={"temperature": temperature})
    await at.panels.finish(10)
    assert (await at.look(case, Phase.DECIDED))["facts_version"] == 2
    await at.seal()
    await at.look(case, Phase.RELEASED)

    # Facts that come while a clinician looks end the claim: an opinion binds the facts it saw.
    case = await at.panel_done(ESCALATED)
    await at.ben.get("/worklist")
    assert (await at.ben.send(f"/worklist/{case}/claim")).status_code == 303
    await at.move(case, "facts", facts={"temperature": temperature})
    await at.panels.finish(10)
    await at.look(case, Phase.ESCALATED)
    assert (await at.ben.opinion(CaseId(case))).status_code == 409
    await at.review_and_sign(at.ben, case)


async def a_case_is_cancelled_while_its_panel_deliberates(at: Hospital) -> None:
    at.panels.free.clear()
    case = await at.post(DECIDED)
    await at.look(case, Phase.DELIBERATING)
    await at.move(case, "cancel")
    entries = (await at.look(case, Phase.CANCELLED))["entries"]
    at.panels.free.set()
    await at.panels.finish(10)
    assert (await at.look(case, Phase.CANCELLED))["entries"] == entries
    assert (await at.rest.post(f"/v1/cases/{case}/cancel", json={"reason": "again"})).status_code == 409


async def cases_are_retracted_and_superseded(at: Hospital) -> None:
    wrong = await at.panel_done(ESCALATED)
    await at.move(wrong, "retract")
    await at.look(wrong, Phase.ENTERED_IN_ERROR)
    old = await at.panel_done(DECIDED)
    await at.seal()
    content = (await at.rest.get(f"/v1/cases/{old}/content")).raise_for_status().json()
    new = await at.panel_done(ESCALATED, supersedes=old, about=content["subject"])
    assert (await at.look(old, Phase.SUPERSEDED))["successor"] == new
    assert (await at.rest.get(f"/v1/cases/{old}/decision")).status_code == 409
    refused = await at.rest.post(
        "/v1/cases",
        json=case_body("again", DECIDED, supersedes=old),
        headers={"Idempotency-Key": "again"},
    )
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/supersedes"


async def waits_run_out(at: Hospital) -> None:
    # Facts that never come.
    case = await at.panel_done(AWAITING)
    await at.pass_time(timedelta(minutes=11))
    assert not (await at.look(case, Phase.ESCALATED))["overdue"]
    # A review nobody begins though somebody answered the call, and a lease nobody uses.
    anna = await act_as(at, "anna")
    await act(at.house, anna, CaseId(case), lambda _dossier, _now: (Acknowledge(anna.id), {}))
    await at.pass_time(timedelta(hours=2))
    assert (await at.look(case, Phase.ESCALATED))["overdue"]
    await log_in_again(at)
    await at.anna.get("/worklist")
    assert (await at.anna.send(f"/worklist/{case}/claim")).status_code == 303
    await at.look(case, Phase.CLAIMED)
    await at.pass_time(timedelta(minutes=16))
    await at.look(case, Phase.ESCALATED)
    assert (await at.anna.opinion(CaseId(case))).status_code == 409
    # A panel that never answers.
    at.panels.free.clear()
    case = await at.post(DECIDED)
    await at.pass_time(timedelta(minutes=2))
    await at.look(case, Phase.ESCALATED)
    at.panels.free.set()
    await at.panels.finish(10)
    await at.look(case, Phase.ESCALATED)
    # A panel's decision that no checkpoint covers in time.
    case = await at.panel_done(DECIDED)
    await at.look(case, Phase.DECIDED)
    await at.pass_time(timedelta(minutes=2))
    await at.look(case, Phase.ESCALATED)
    await at.seal()
    await at.look(case, Phase.ESCALATED)
    certificate = (await at.rest.get(f"/v1/cases/{case}/certificate")).raise_for_status().json()
    assert [reason["code"] for reason in certificate["verdict"]["reasons"]] == ["withdrawn"]
    await at.review_and_sign(at.ben, case, "continue-monitoring")


async def act_as(at: Hospital, login: str) -> Principal:
    rows = await list_accounts(at.house.identities)
    return account_principal(next(row for row in rows if row.login == login))


async def a_foreign_site_breaks_the_glass(at: Hospital) -> None:
    house = at.house
    await add_site(house.identities, "south", "South Hospital")
    _, token = await register_client(
        house.identities, house.clock, house.chance, "south", {Role.EMERGENCY_ACCESS}, {"south"}
    )
    broken = await at.rest.post(
        f"/v1/cases/{at.cases[0]}/break-glass",
        json={"reason": "brought in"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert broken.status_code == 200, broken.text


async def log_in_again(at: Hospital) -> None:
    """Sessions end with the hours that passed."""
    await entered(at.anna, "anna")
    await entered(at.ben, "ben")


async def a_reviewer_hands_back_and_an_emergency_shows_its_panel_first(at: Hospital) -> None:
    case = await at.panel_done(EXCLUDED)
    await at.look(case, Phase.ESCALATED)
    await at.anna.get("/worklist")
    assert (await at.anna.send(f"/worklist/{case}/claim")).status_code == 303
    await at.anna.get(f"/cases/{case}")
    assert (await at.anna.send(f"/cases/{case}/hand-back")).status_code == 303
    await at.look(case, Phase.ESCALATED)
    await at.review_and_sign(at.ben, case)

    emergency = await at.panel_done(DECIDED, risk_class="emergency")
    await at.look(emergency, Phase.ESCALATED)
    await at.anna.get("/worklist")
    assert (await at.anna.send(f"/worklist/{emergency}/claim")).status_code == 303
    await at.anna.get(f"/cases/{emergency}")
    assert (await at.anna.send(f"/cases/{emergency}/reveal")).status_code == 303
    await at.look(emergency, Phase.REVEALED)
    await at.anna.get(f"/cases/{emergency}")
    signed = await at.anna.sign(CaseId(emergency), "continue-monitoring", reason="seen at the bedside")
    assert signed.status_code == 303
    await at.seal()
    await at.look(emergency, Phase.RELEASED)


async def test_no_route_tells_a_word_of_a_decision_that_no_checkpoint_covers(hospital: Hospital) -> None:
    case = await hospital.panel_done(DECIDED)
    told = [
        await hospital.rest.get(f"/v1/cases{path}")
        for path in (
            "",
            f"/{case}",
            f"/{case}/content",
            f"/{case}/decision",
            f"/{case}/certificate",
            f"/{case}/receipt",
        )
    ]
    assert [reply.status_code for reply in told] == [200, 200, 200, 409, 409, 409]
    waited = await hospital.rest.get(f"/v1/cases/{case}", headers={"Prefer": "wait=1"})
    assert waited.json()["settled"] is False
    for reply in (*told, waited):
        for word in ("continue-monitoring", "urgent-review", "Continue monitoring", '"panel"'):
            assert word not in reply.text, reply.url
    await hospital.seal()
    decision = (await hospital.rest.get(f"/v1/cases/{case}/decision")).raise_for_status().json()
    assert decision["option"] == "continue-monitoring"


async def test_each_reading_of_content_is_an_entry_that_names_the_reader(hospital: Hospital) -> None:
    case = await hospital.panel_done(DECIDED)
    await hospital.seal()
    for path in ("content", "decision", "certificate", "receipt"):
        (await hospital.rest.get(f"/v1/cases/{case}/{path}")).raise_for_status()
    await hospital.rest.get(f"/v1/cases/{case}")
    async with hospital.house.store.read() as transaction:
        entries = [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, CaseId(case))]
    reads = [entry.actor for entry in entries if entry.type == "content.read"]
    assert reads == [entries[0].actor] * 4
