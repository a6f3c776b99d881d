"""What turned out to be right is carried and told as every document of a case is, replays nothing, and no blind eye sees it."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from arbiter.audit.export.manifest import Selection
from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.errors import ErasedError, ForbiddenError, NotFoundError, RefusedError
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.store.database import Database
from arbiter.verifying.report import verify, words_of
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.erasure.erasing import Order, erase
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.outcomes import record
from arbiter.workflow.review import claim, open_case
from tests.drawing import audited, drawing, reviewed
from tests.exports import an_auditor, exported, furnish
from tests.houses import a_client, a_house, a_reviewer, settled, submission, types_of
from tests.workflow.erasures import Records

WORDS = "transferred to intensive care at dawn"


def known(house: House, option: str = "urgent-review") -> KnownOutcome:
    return KnownOutcome(option, OutcomeKind.OUTCOME, house.clock.now(), "discharge-letter", WORDS)


async def test_an_outcome_and_a_reading_are_exported_proven_and_put_on_paper(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        with drawing("0.200000"):
            cases = await furnish(house)
        client, _ = await a_client(house, "registry")
        await audited(house, await a_reviewer(house, "ben"), cases.decided, "continue-monitoring")
        await record(house, client, cases.decided, known(house))
        auditor, _ = await an_auditor(house, Role.DISCLOSURE)
        made = await exported(
            house, auditor, Selection(cases=(cases.decided,), payloads=True, paper=True), cases
        )
        members = made.members()
        shown = {name.rpartition("-")[2] for name in members if name.startswith(f"payloads/{cases.decided}/")}
        assert {"outcome.json", "reading.json", "draw.json"} <= shown
        (name,) = (name for name in members if name.endswith("-outcome.json"))
        assert json.loads(members[name])["note"] == WORDS
        pages = PdfReader(BytesIO(members[f"cases/{cases.decided}.pdf"])).pages
        text = " ".join(" ".join(page.extract_text() for page in pages).split())
        for words in (
            WORDS,
            "Outcome of entry",
            "Reading of entry",
            "as I read it",
            "outcome.recorded",
            "audit.read",
        ):
            assert words in text
        events = [json.loads(line) for line in members["events.ndjson"].splitlines()]
        kinds = {event["subtype"][0]["code"] for event in events}
        assert {"outcome.recorded", "audit.read"} <= kinds
        (tmp_path / "case.zip").write_bytes(made.content)
        said = " ".join(words_of(verify(tmp_path / "case.zip", made.keys)))
        assert "recomputed to the same bytes" in said
        assert all(step.same for step in await replay_case(house, cases.decided))
        await verify_log(house, None)


async def test_who_judges_blind_sees_neither_an_outcome_nor_a_reading(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        client, _ = await a_client(house)
        ben, anna = await a_reviewer(house, "ben"), await a_reviewer(house, "anna")
        with drawing("0.200000"):
            case = (await submit(house, client, submission(house.clock.now()), "k", b"k")).case
            assert (await settled(house, client, case)).phase is Phase.RELEASED
        await audited(house, ben, case, "urgent-review")
        await record(house, client, case, known(house))
        assert (await types_of(house, case))[-3:] == ["audit.read", "case.contested", "outcome.recorded"]
        await claim(house, anna, case)
        shown = repr(await open_case(house, anna, case))
        for words in (WORDS, "discharge-letter", "as I read it", "outcome", "reading", ben.id):
            assert words not in shown


async def test_only_who_may_tell_does(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        client, _ = await a_client(house)
        case = (await submit(house, client, submission(house.clock.now()), "k", b"k")).case
        await house.errands.finish(10)
        told = known(house)
        auditor, _ = await an_auditor(house, Role.DISCLOSURE)
        for other in (auditor, await a_reviewer(house)):
            with pytest.raises(ForbiddenError, match="cases:outcome"):
                await record(house, other, case, told)
        with pytest.raises(NotFoundError):
            await record(house, client, CaseId("c_nobody"), told)
        with pytest.raises(RefusedError) as refused:
            await record(house, client, case, known(house, "send-home"))
        assert "send-home" not in str(refused.value) + repr(refused.value.problems)
        assert "outcome.recorded" not in await types_of(house, case)


async def test_nothing_is_told_of_a_case_whose_content_is_gone(kept: Records) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    with pytest.raises(ErasedError):
        await record(kept.house, kept.client, kept.case, known(kept.house))
    assert "outcome.recorded" not in await types_of(kept.house, kept.case)


async def test_an_opinion_that_comes_in_meanwhile_loses_no_outcome(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        client, _ = await a_client(house)
        case = (await submit(house, client, submission(house.clock.now()), "k", b"k")).case
        await record(house, client, case, known(house))
        assert (await settled(house, client, case)).phase is Phase.RELEASED
        assert (await types_of(house, case)).count("outcome.recorded") == 1


async def test_a_reviewers_decision_is_not_bound_to_an_outcome(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        client, _ = await a_client(house)
        anna = await a_reviewer(house)
        excluded = submission(house.clock.now(), pregnant=(True, None))
        case = (await submit(house, client, excluded, "k", b"k")).case
        await record(house, client, case, known(house))
        await reviewed(house, anna, case, "continue-monitoring")
        assert (await types_of(house, case))[-1] == "review.committed"
