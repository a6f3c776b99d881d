"""Two persons put a calibration in force, one takes it out, each step once and entered; whatever else is tried changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from arbiter.cli.doctor.calibration_checks import calibrations as calibrations_looked_at
from arbiter.cli.doctor.findings import Finding
from arbiter.documents.calibrations import calibration_bytes, sealed
from arbiter.errors import ConflictError, ForbiddenError, NotFoundError, RefusedError, StaleStateError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.settings import Mode, Settings
from arbiter.store.calibration_steps import Step, add_step, load_steps
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.store.transaction import Transaction
from arbiter.workflow import register
from arbiter.workflow.calibrations import approving
from arbiter.workflow.calibrations.approving import LARGEST_BYTES, approve, propose, withdraw
from arbiter.workflow.calibrations.standings import Standing, calibrations
from arbiter.workflow.certifying import calibration_in_force
from arbiter.workflow.house import House
from arbiter.workflow.register import By
from tests.adjudication.calibrations import LABELS
from tests.houses import a_house, types_of
from tests.workflow.calibrations.certified import PROTOCOL, Court, bundle_in, fitting, person, settings_of


async def standing(house: House) -> list[Standing]:
    return [each.standing for each in await calibrations(house)]


async def steps(house: House) -> list[str]:
    return [each for each in await types_of(house, HOUSE_CHAIN) if each.startswith("calibration.")]


async def doctor_says(house: House) -> list[tuple[str, str]]:
    async with house.store.read() as transaction:
        return [(found.state, found.found) for found in await looked_at(house.settings, transaction)]


async def looked_at(settings: Settings, transaction: Transaction) -> list[Finding]:
    """What the doctor finds of this protocol; the shipped ones beside it are told of too."""
    found = await calibrations_looked_at(settings, transaction)
    return [finding for finding in found if finding.found.startswith(f"{PROTOCOL}: ")]


async def test_the_doctor_warns_where_an_audit_tells_its_reader_what_was_decided(bench: Court) -> None:
    both = fitting(bench.house)
    await bench.put_in_force(both)
    assert not [found for state, found in await doctor_says(bench.house) if state != "ok"]
    one, other = both.strata
    silent = replace(other, certified=None, tested=())
    await bench.put_in_force(fitting(bench.house, strata=(one, silent), code_version="one option"))
    (warned,) = [found for state, found in await doctor_says(bench.house) if state == "warn"]
    assert warned.startswith(f"{PROTOCOL}: {one.option} alone is certified")


# --- what is entered ------------------------------------------------------------------------------------------------


async def test_each_step_is_an_entry_that_names_calibration_protocol_and_persons_by_their_ids(
    bench: Court,
) -> None:
    made = fitting(bench.house)
    named = await bench.put_in_force(made)
    await withdraw(bench.house, bench.paula, named, "  drifted ")
    assert await steps(bench.house) == [
        "calibration.proposed",
        "calibration.approved",
        "calibration.withdrawn",
    ]
    of_all = {
        "format": "arbiter/calibration-step/v1",
        "calibration": named,
        "protocol": PROTOCOL,
        "protocol_version": made.protocol_version,
        "protocol_hash": made.protocol_hash,
        "synthetic": False,
    }
    otto, paula = bench.otto.id, bench.paula.id
    assert await bench.documents() == [
        of_all | {"step": "proposed", "by": otto},
        of_all | {"step": "approved", "by": paula, "proposed_by": otto},
        of_all | {"step": "withdrawn", "by": paula, "proposed_by": otto, "reason": "drifted"},
    ]
    (row,) = await load_steps(bench.house.store)
    assert row.approved is not None
    assert row.withdrawn is not None
    assert [row.proposed.actor, row.approved.actor, row.withdrawn.actor] == [otto, paula, paula]
    assert row.proposed.at <= row.approved.at <= row.withdrawn.at


async def test_what_cannot_be_entered_does_not_happen(bench: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    named = await bench.propose(fitting(bench.house))

    async def full(*_arguments: object) -> int:
        await asyncio.sleep(0)
        raise StaleStateError("others kept appending first")

    monkeypatch.setattr(approving, "note_in_house", full)
    with pytest.raises(StaleStateError):
        await approve(bench.house, bench.paula, named)
    with pytest.raises(StaleStateError):
        await withdraw(bench.house, bench.paula, named, "why not")
    with pytest.raises(StaleStateError):
        await bench.propose(fitting(bench.house, code_version="2"))
    assert await standing(bench.house) == [Standing.PROPOSED]


async def test_what_does_not_happen_is_not_entered(bench: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    named = await bench.propose(fitting(bench.house))

    async def nothing(*_arguments: object) -> bool:
        await asyncio.sleep(0)
        return False

    monkeypatch.setattr(approving, "add_step", nothing)
    with pytest.raises(ConflictError):
        await approve(bench.house, bench.paula, named)
    assert await steps(bench.house) == ["calibration.proposed"]


# --- who may --------------------------------------------------------------------------------------------------------


async def test_nobody_approves_what_they_proposed_though_they_changed_their_role(bench: Court) -> None:
    named = await bench.propose(fitting(bench.house))
    await register.change_account(
        bench.house, By(register.OPERATOR), bench.otto.id, [Role.POLICY_APPROVER], None
    )
    otto = replace(bench.otto, permissions=bench.paula.permissions)
    with pytest.raises(ForbiddenError, match="another account than its proposer's"):
        await approve(bench.house, otto, named)
    assert await standing(bench.house) == [Standing.PROPOSED]


async def test_the_table_itself_refuses_one_person_for_both_steps(bench: Court) -> None:
    named = await bench.propose(fitting(bench.house))
    now = bench.house.clock.now()
    assert not await add_step(bench.house.store, named, Step.APPROVED, bench.otto.id, now)
    assert await add_step(bench.house.store, named, Step.APPROVED, bench.paula.id, now)


async def test_nobody_else_proposes_approves_or_withdraws(bench: Court) -> None:
    made = fitting(bench.house)
    named = await bench.propose(made)
    others: dict[Role, Principal] = {
        role: await person(bench.house, f"{role}", role)
        for role in (Role.REVIEWER, Role.AUDITOR, Role.ADMINISTRATOR, Role.FLEET_OPERATOR)
    }
    for other in others.values():
        with pytest.raises(ForbiddenError):
            await propose(bench.house, other, calibration_bytes(fitting(bench.house, code_version="2")))
        with pytest.raises(ForbiddenError):
            await approve(bench.house, other, named)
        with pytest.raises(ForbiddenError):
            await withdraw(bench.house, other, named, "why not")
    with pytest.raises(ForbiddenError):
        await propose(bench.house, bench.paula, calibration_bytes(fitting(bench.house, code_version="2")))
    for approver in (approve(bench.house, bench.otto, named), withdraw(bench.house, bench.otto, named, "no")):
        with pytest.raises(ForbiddenError):
            await approver
    assert await steps(bench.house) == ["calibration.proposed"]


# --- each step once -------------------------------------------------------------------------------------------------


async def test_of_two_approvals_at_once_one_counts(bench: Court) -> None:
    named = await bench.propose(fitting(bench.house))
    pia = await person(bench.house, "pia", Role.POLICY_APPROVER)
    ended = await asyncio.gather(
        *(approve(bench.house, each, named) for each in (bench.paula, pia, bench.paula)),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in ended) == ["Calibration", "ConflictError", "ConflictError"]
    assert await steps(bench.house) == ["calibration.proposed", "calibration.approved"]
    assert await standing(bench.house) == [Standing.IN_FORCE]


async def test_of_two_proposals_at_once_one_counts(bench: Court) -> None:
    content = calibration_bytes(fitting(bench.house))
    ended = await asyncio.gather(
        *(propose(bench.house, bench.otto, content) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in ended) == ["Calibration", "ConflictError", "ConflictError"]
    assert await steps(bench.house) == ["calibration.proposed"]


async def test_an_approval_and_a_withdrawal_at_once_leave_nothing_in_force(bench: Court) -> None:
    named = await bench.propose(fitting(bench.house))
    approved, withdrawn = await asyncio.gather(
        approve(bench.house, bench.paula, named),
        withdraw(bench.house, bench.paula, named, "on second thoughts"),
        return_exceptions=True,
    )
    assert not isinstance(withdrawn, BaseException)
    # Either came first; an approval that came second is refused.
    assert await standing(bench.house) == [Standing.WITHDRAWN]
    assert (await steps(bench.house))[-1] == "calibration.withdrawn"
    assert isinstance(approved, ConflictError) == (len(await steps(bench.house)) == 2)


async def test_what_is_approved_is_not_approved_again(bench: Court) -> None:
    named = await bench.put_in_force(fitting(bench.house))
    pia = await person(bench.house, "pia", Role.POLICY_APPROVER)
    for each in (bench.paula, pia):
        with pytest.raises(ConflictError, match="was approved already, at "):
            await approve(bench.house, each, named)
    with pytest.raises(ConflictError, match="was approved already, at "):
        await bench.propose(fitting(bench.house))


async def test_what_is_withdrawn_never_comes_back(bench: Court) -> None:
    named = await bench.put_in_force(fitting(bench.house))
    await withdraw(bench.house, bench.paula, named, "drifted")
    pia = await person(bench.house, "pia", Role.POLICY_APPROVER)
    for again in (
        approve(bench.house, pia, named),
        bench.propose(fitting(bench.house)),
        withdraw(bench.house, pia, named, "again"),
    ):
        with pytest.raises(ConflictError, match=r"was withdrawn already, at .*make another"):
            await again
    assert len(await steps(bench.house)) == 3


async def test_a_proposal_that_is_withdrawn_cannot_be_approved(bench: Court) -> None:
    named = await bench.propose(fitting(bench.house))
    await withdraw(bench.house, bench.paula, named, "a typing error")
    with pytest.raises(ConflictError, match="was withdrawn already"):
        await approve(bench.house, bench.paula, named)
    assert await steps(bench.house) == ["calibration.proposed", "calibration.withdrawn"]


@pytest.mark.parametrize("named", ["f" * 64, "", "'; DROP TABLE calibration_step"])
async def test_what_nobody_proposed_is_neither_approved_nor_withdrawn(bench: Court, named: str) -> None:
    with pytest.raises(NotFoundError):
        await approve(bench.house, bench.paula, named)
    with pytest.raises(NotFoundError):
        await withdraw(bench.house, bench.paula, named, "why not")
    assert await steps(bench.house) == []


@pytest.mark.parametrize("reason", ["", "   ", "x" * 1001, "two\nlines", "\x1b[2J"])
async def test_a_withdrawal_needs_a_reason(bench: Court, reason: str) -> None:
    named = await bench.put_in_force(fitting(bench.house))
    with pytest.raises(RefusedError, match="expected a reason"):
        await withdraw(bench.house, bench.paula, named, reason)
    assert await standing(bench.house) == [Standing.IN_FORCE]


# --- what fits ------------------------------------------------------------------------------------------------------


async def test_bytes_that_are_not_canonically_a_calibration_are_refused(bench: Court) -> None:
    content = calibration_bytes(fitting(bench.house))
    for spoilt in (
        b"",
        b"{}",
        content + b"\n",
        content.replace(b'"delta":"0.05"', b'"delta":"0.050"'),
        content[:-1],
        b" " * (LARGEST_BYTES + 1),
    ):
        assert spoilt != content
        with pytest.raises(RefusedError):
            await propose(bench.house, bench.otto, spoilt)
    assert await steps(bench.house) == []


async def test_a_protocol_that_is_not_in_force_here_is_refused(bench: Court) -> None:
    made = fitting(bench.house)
    for other in (replace(made, protocol="nonexistent"), replace(made, protocol_hash="f" * 64)):
        with pytest.raises(RefusedError) as caught:
            await bench.propose(sealed(other))
        (problem,) = caught.value.problems
        assert "in force here" in problem.detail
    assert await steps(bench.house) == []


async def test_a_protocol_that_changed_since_the_proposal_is_not_approved(
    bench: Court, database: Database, tmp_path: Path
) -> None:
    named = await bench.propose(fitting(bench.house))
    settings = settings_of(tmp_path / "data", bundle_in(tmp_path, "1.0.1"))
    async with a_house(tmp_path / "data", database, settings=settings, running=False) as changed:
        with pytest.raises(ConflictError, match=r"/protocol/hash: expected the version .* 1\.0\.1 "):
            await approve(changed, bench.paula, named)
        assert await standing(changed) == [Standing.OTHER_VERSION]
        await withdraw(changed, bench.paula, named, "of another version")
    assert await standing(bench.house) == [Standing.WITHDRAWN]


async def test_outside_a_demonstration_synthetic_labels_are_neither_proposed_nor_approved(
    bench: Court, database: Database, tmp_path: Path
) -> None:
    proposed = await bench.propose(fitting(bench.house, labels=LABELS))
    assert bench.house.settings.protocols is not None
    settings = settings_of(tmp_path / "data", bench.house.settings.protocols, Mode.PRODUCTION)
    async with a_house(tmp_path / "data", database, settings=settings, running=False) as house:
        with pytest.raises(RefusedError) as caught:
            await replace(bench, house=house).propose(fitting(house, labels=LABELS, code_version="2"))
        assert [problem.pointer for problem in caught.value.problems] == ["/labels/synthetic"]
        with pytest.raises(ConflictError, match="/labels/synthetic"):
            await approve(house, bench.paula, proposed)
    assert await steps(bench.house) == ["calibration.proposed"]


# --- how it stands --------------------------------------------------------------------------------------------------


async def test_the_doctor_says_what_is_in_force_or_that_everything_escalates_and_what_to_do(
    bench: Court,
) -> None:
    house = bench.house
    escalates = f"{PROTOCOL}: every case escalates: "
    assert await doctor_says(house) == [("warn", f"{escalates}no calibration is in force")]
    named = await bench.propose(fitting(house))
    assert await doctor_says(house) == [("warn", f"{escalates}no calibration is approved, one is proposed")]
    await approve(house, bench.paula, named)
    ((state, found),) = await doctor_says(house)
    assert state == "ok"
    assert found.startswith(f"{PROTOCOL}: {named} in force since 20")
    invented = await bench.put_in_force(fitting(house, labels=LABELS))
    assert house.settings.protocols is not None
    settings = settings_of(house.settings.data, house.settings.protocols, Mode.PRODUCTION)
    async with house.store.read() as transaction:
        (finding,) = await looked_at(settings, transaction)
    assert finding.state == "fail"
    assert f"{escalates}{invented} was approved and is not taken" in finding.found
    await withdraw(house, bench.paula, invented, "invented")
    await withdraw(house, bench.paula, named, "drifted")
    assert await doctor_says(house) == [("warn", f"{escalates}no calibration is in force")]


async def test_the_doctor_tells_a_version_that_was_left_without_one_and_one_from_the_bundle(
    bench: Court, tmp_path: Path
) -> None:
    made = fitting(bench.house, labels=LABELS)
    await bench.put_in_force(made)
    changed = settings_of(tmp_path / "data", bundle_in(tmp_path, "1.0.1"))
    async with bench.house.store.read() as transaction:
        (finding,) = await looked_at(changed, transaction)
        assert (finding.state, finding.found.partition(": ")[2]) == (
            "warn",
            "every case escalates: those approved are for other versions",
        )
    await withdraw(bench.house, bench.paula, made.content_hash, "to see the bundle's")
    other = fitting(bench.house, labels=LABELS, code_version="2")
    bundled = settings_of(tmp_path / "data", bundle_in(tmp_path, bundled=other))
    async with bench.house.store.read() as transaction:
        (finding,) = await looked_at(bundled, transaction)
    assert finding.state == "ok"
    assert f"{other.content_hash} in force, which came with its bundle" in finding.found


async def test_each_calibration_is_told_as_it_stands(bench: Court) -> None:
    first, second, third = (fitting(bench.house, code_version=version) for version in "123")
    await bench.put_in_force(first)
    await bench.put_in_force(second)
    await bench.propose(third)
    assert await standing(bench.house) == [Standing.REPLACED, Standing.IN_FORCE, Standing.PROPOSED]
    await withdraw(bench.house, bench.paula, second.content_hash, "worse")
    assert await standing(bench.house) == [Standing.IN_FORCE, Standing.WITHDRAWN, Standing.PROPOSED]
    assert calibration_in_force(bench.house, first.protocol_hash) == first
