"""When a panel's verdict may become a decision, and what an old fact can do: hold back, never let pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbiter.cli.doctor.calibration_checks import calibrations as looked_at
from arbiter.documents.canonical import decode
from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, FactStatus, PolicyOutcome, RuleEffect, RuleFailure, RuleHit
from arbiter.policy import cautious
from arbiter.protocols.intake import RawFact
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.reading import certificate
from arbiter.workflow.review import claim, commit_opinion, open_case, reveal, sign
from tests.houses import a_client, a_house, a_reviewer, settle, settled, submission
from tests.panels.model_bundles import protocol_text, write_bundle
from tests.workflow.calibrations.certified import court, fitting, spotless


async def reasons(house: House, age: timedelta | None = None) -> tuple[Phase, set[str]]:
    """Submit the calm patient, with a raised lactate of that age if one is given; return what became of it."""
    client, _ = await a_client(house)
    now = house.clock.now()
    case = submission(now)
    if age is not None:
        raised = RawFact(Decimal("6.0"), "mmol/L", now - age, FactStatus.FINAL.value, "test")
        case = replace(case, facts={**case.facts, "lactate": raised})
    submitted = await submit(house, client, case, "key-1", b"body")
    view = await settled(house, client, submitted.case)
    await settle(house)
    document = decode(await certificate(house, client, submitted.case))
    assert all(step.same for step in await replay_case(house, submitted.case))
    return view.phase, {reason["code"] for reason in document["verdict"]["reasons"]}


async def test_in_production_nothing_is_decided_without_a_clinician(
    database: Database, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path, mode=Mode.PRODUCTION, workers=False)
    async with a_house(tmp_path, database, settings=settings) as house:
        assert await reasons(house) == (Phase.ESCALATED, {"never-automatic", "no-calibration"})


@pytest.mark.parametrize(
    ("approved", "expected"),
    [(True, (Phase.RELEASED, set())), (False, (Phase.ESCALATED, {"no-calibration"}))],
    ids=["with a calibration", "with the invented one that is shipped"],
)
async def test_in_production_a_named_person_may_let_the_panel_decide_what_two_others_stand_behind(
    approved: bool, expected: tuple[Phase, set[str]], database: Database, tmp_path: Path
) -> None:
    settings = Settings(
        data=tmp_path, mode=Mode.PRODUCTION, workers=False, automatic_decisions_approved_by="Dr Example"
    )
    async with a_house(tmp_path, database, settings=settings) as house:
        if approved:
            protocol = house.shelf.in_force("deterioration").protocol
            known = fitting(house, protocol.id, strata=spotless(protocol))
            await (await court(house)).put_in_force(known)
        assert await reasons(house) == expected


WEIGHED = "weighed"
"""A protocol of the deployment's own that counts votes: it is `automatic`, and states no error rate."""


def weighing(folder: Path, mode: Mode) -> Settings:
    protocols = folder / "protocols"
    if not protocols.exists():
        write_bundle(protocols / WEIGHED, protocol_text(WEIGHED, panel_seconds=20))
    return Settings(
        data=folder / "data",
        mode=mode,
        workers=False,
        secure_cookies=False,
        protocols=protocols,
        automatic_decisions_approved_by="Dr Example",
    )


async def weighed(house: House, client: Principal, key: str) -> tuple[CaseId, Phase, dict[str, Any]]:
    """Hand the calm patient in under that protocol; return the case, what became of it and its certificate."""
    case = replace(submission(house.clock.now()), protocol=WEIGHED)
    handed_in = await submit(house, client, case, key, key.encode())
    view = await settled(house, client, handed_in.case)
    await settle(house)
    document: dict[str, Any] = decode(await certificate(house, client, handed_in.case))
    return handed_in.case, view.phase, document


async def same_again(house: House, case: CaseId) -> bool:
    steps = await replay_case(house, case)
    return bool(steps) and all(step.same for step in steps)


async def test_a_strategy_that_states_no_error_rate_decides_in_a_demonstration_alone(
    database: Database, tmp_path: Path
) -> None:
    """The same panel, the same approval: in production every case escalates, and what was decided before is replayed as it was."""
    async with a_house(tmp_path / "data", database, settings=weighing(tmp_path, Mode.DEMONSTRATION)) as house:
        client, _ = await a_client(house)
        before, phase, told = await weighed(house, client, "shown")
        assert (phase, told["verdict"]["reasons"]) == (Phase.RELEASED, [])
        assert "needs_error_rate" not in told["settings"]
    async with a_house(tmp_path / "data", database, settings=weighing(tmp_path, Mode.PRODUCTION)) as house:
        client, _ = await a_client(house, "another ward system")
        case, phase, told = await weighed(house, client, "used")
        assert phase is Phase.ESCALATED
        ((code, detail),) = [(reason["code"], reason["detail"]) for reason in told["verdict"]["reasons"]]
        assert (code, detail) == ("no-error-rate", "weighted")
        assert told["verdict"]["leading"] == "continue-monitoring"
        assert [await same_again(house, each) for each in (before, case)] == [True, True]
    async with a_house(tmp_path / "data", database, settings=weighing(tmp_path, Mode.DEMONSTRATION)) as house:
        assert await same_again(house, case), "whatever the mode is by then"


async def test_a_clinicians_signature_on_such_a_case_is_replayed(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path / "data", database, settings=weighing(tmp_path, Mode.PRODUCTION)) as house:
        client, _ = await a_client(house)
        anna = await a_reviewer(house)
        case, _, _ = await weighed(house, client, "used")
        await claim(house, anna, case)
        await open_case(house, anna, case)
        await commit_opinion(house, anna, case, OwnOpinion("continue-monitoring", 80, ("heart_rate",), ""))
        await reveal(house, anna, case)
        await sign(house, anna, case, "continue-monitoring", "")
        await settle(house)
        assert (await same_again(house, case)) is True


@pytest.mark.parametrize(
    ("mode", "state", "told"),
    [
        (Mode.PRODUCTION, "warn", "every case escalates: no error rate is stated for its strategy weighted"),
        (Mode.DEMONSTRATION, "ok", "in production every case would escalate: no error rate is stated"),
    ],
)
async def test_the_doctor_says_beforehand_that_every_case_of_it_escalates(
    mode: Mode, state: str, told: str, database: Database, tmp_path: Path
) -> None:
    async with a_house(
        tmp_path / "data", database, settings=weighing(tmp_path, mode), running=False
    ) as house:
        async with house.store.read() as transaction:
            found = await looked_at(house.settings, transaction)
        about = [finding for finding in found if WEIGHED in finding.found]
        assert [finding.state for finding in about] == [state]
        assert about[0].found.startswith(f"{WEIGHED}: {told}")
        assert not [finding for finding in found if "surgery-readiness" in finding.found], (
            "it decides nothing"
        )


@pytest.mark.parametrize("name", ["", "Dr"])
def test_an_approval_without_a_name_is_none(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ARBITER_AUTOMATIC_DECISIONS_APPROVED_BY", name)
    try:
        approved = Settings(data=tmp_path).may_decide_alone
    except ValueError:
        approved = False
    assert not approved


@pytest.mark.parametrize("age", [timedelta(minutes=5), timedelta(hours=12)], ids=["fresh", "too old"])
async def test_a_raised_lactate_holds_back_however_old(
    age: timedelta, database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database) as house:
        phase, codes = await reasons(house, age)
        assert phase is Phase.ESCALATED
        assert "policy-denies" in codes


# --- the rule by itself ------------------------------------------------------------------------------------------


def outcome(
    *hits: tuple[str, RuleEffect], permitted: tuple[str, ...] = ("yes", "no"), failed: tuple[str, ...] = ()
) -> PolicyOutcome:
    made = tuple(RuleHit(rule, effect, (), "because") for rule, effect in hits)
    return PolicyOutcome(permitted, made, tuple(RuleFailure(rule, "cause") for rule in failed), "hash")


def test_a_permit_that_leans_on_an_old_fact_is_none() -> None:
    assert not cautious(outcome(), outcome(("calm", RuleEffect.PERMIT))).permits_automatic


def test_a_permit_that_an_old_fact_takes_away_is_none() -> None:
    assert not cautious(outcome(("calm", RuleEffect.PERMIT)), outcome()).permits_automatic


def test_a_permit_in_both_stands() -> None:
    permit = outcome(("calm", RuleEffect.PERMIT))
    assert cautious(permit, permit).permits_automatic


def test_a_denial_from_an_old_fact_denies() -> None:
    both = ("calm", RuleEffect.PERMIT)
    assert not cautious(outcome(both), outcome(both, ("lactate", RuleEffect.DENY))).permits_automatic


def test_a_failure_on_either_side_fails() -> None:
    permit = ("calm", RuleEffect.PERMIT)
    assert not cautious(outcome(permit), outcome(permit, failed=("odd",))).permits_automatic
    assert not cautious(outcome(permit, failed=("odd",)), outcome(permit)).permits_automatic


def test_options_taken_away_on_either_side_are_gone() -> None:
    left = cautious(outcome(permitted=("yes",)), outcome(permitted=("no",)))
    assert left.permitted == ()


def test_showing_the_panel_first_on_either_side_shows_it() -> None:
    assert cautious(outcome(), outcome(("now", RuleEffect.SHOW_PANEL_FIRST))).shows_panel_first
