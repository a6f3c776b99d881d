"""A protocol on whose question nobody votes, on the real house: it reaches a clinician, always, with what the panel could say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arbiter.documents.canonical import decode
from arbiter.lifecycle.states import Phase
from arbiter.model import RiskClass
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.loader import read_shipped
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.house import House
from arbiter.workflow.intake import Submission, submit
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.reading import certificate, decision
from arbiter.workflow.review import claim, commit_opinion, open_case, reveal, sign
from tests.houses import a_client, a_house, a_reviewer, settle, settled, submission

NAME = "surgery-readiness"
EXAMPLES = {case.id: case for case in read_shipped(NAME).examples}


def planned(house: House, example: LabelledCase, risk: RiskClass) -> Submission:
    now = house.clock.now()
    return replace(submission(now), protocol=NAME, risk_class=risk, facts=example.raw_facts(now))


@pytest.mark.parametrize("mode", [Mode.DEMONSTRATION, Mode.PRODUCTION])
async def test_no_mode_and_no_approval_lets_the_panel_decide(
    database: Database, tmp_path: Path, mode: Mode
) -> None:
    settings = Settings(
        data=tmp_path,
        mode=mode,
        workers=False,
        secure_cookies=False,
        automatic_decisions_approved_by="Dr Example",
    )
    async with a_house(tmp_path, database, settings=settings) as house:
        client, _ = await a_client(house)
        for risk in RiskClass:
            made = planned(house, EXAMPLES["hernia-healthy"], risk)
            submitted = await submit(
                house, client, made, f"key-{risk.value}", b"body %b" % risk.value.encode()
            )
            view = await settled(house, client, submitted.case)
            assert view.phase is Phase.ESCALATED
            await settle(house)
            document = decode(await certificate(house, client, submitted.case))
            assert [reason["code"] for reason in document["verdict"]["reasons"]] == ["never-automatic"]
            assert document["facets"]["cardiac-risk"] == "low"
            assert all(step.same for step in await replay_case(house, submitted.case))


async def test_facts_that_were_not_sent_are_listed_and_nobody_waits_for_them(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database) as house:
        client, _ = await a_client(house)
        made = planned(house, EXAMPLES["no-creatinine"], RiskClass.ROUTINE)
        submitted = await submit(house, client, made, "key-1", b"body")
        view = await settled(house, client, submitted.case)
        assert view.phase is Phase.ESCALATED
        await settle(house)
        document = decode(await certificate(house, client, submitted.case))
        reasons = {reason["code"]: reason["sentence"] for reason in document["verdict"]["reasons"]}
        assert (
            reasons["facts-missing"] == "Facts are missing that would let the panel answer: Serum creatinine."
        )
        assert "cardiac-risk" not in document["facets"]
        assert "cardiac-risk-unknown" in {hit["rule"] for hit in document["policy"]["hits"]}


async def test_a_clinician_decides_with_the_panels_advice_and_against_a_rule(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database) as house:
        client, _ = await a_client(house)
        anna = await a_reviewer(house)
        made = planned(house, EXAMPLES["anaemia-12-9"], RiskClass.ROUTINE)
        submitted = await submit(house, client, made, "key-1", b"body")
        case = submitted.case
        await settled(house, client, case)
        await claim(house, anna, case)
        await open_case(house, anna, case)
        await commit_opinion(house, anna, case, OwnOpinion("optimise-first", 80, ("haemoglobin",), ""))
        shown = (await reveal(house, anna, case)).certificate
        assert [hit["rule"] for hit in shown["policy"]["hits"]] == ["anaemia"]
        await sign(house, anna, case, "proceed-as-planned", "bleeding stops with the operation itself")
        await settle(house)
        view = await decision(house, client, case)
        assert view.option == "proceed-as-planned"
        signed = decode(await certificate(house, client, case))
        assert signed["decision"]["by"] == "reviewer"
        assert "The panel advises; a clinician decides." in signed["plain"]
        assert all(step.same for step in await replay_case(house, case))
