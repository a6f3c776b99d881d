"""Replay makes every certificate again from what was recorded, and shows when a record was changed behind the log's back."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from arbiter.documents.canonical import decode, encode
from arbiter.errors import UnavailableError, VerificationError
from arbiter.model import CaseId
from arbiter.store.cases.heads import load_case
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow import replaying
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.erasure.erasing import Order, erase
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.replaying import ReplayedCases, replay_cases
from arbiter.workflow.review import claim, commit_opinion, reveal, sign
from tests.conftest import an_insider
from tests.houses import a_client, a_house, a_reviewer, submission
from tests.workflow.erasures import records

Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Insider:
    """Somebody with the database's superuser and the vault's keys: documents can be read, changed and sealed again."""

    house: House
    connection: psycopg.Connection

    async def reseal(self, case: CaseId, name: str, change: Change, number: int = 0) -> None:
        """Change one of the case's documents of that name, and seal it as if it had always been so."""
        async with self.house.store.read() as transaction:
            dossier = await load_dossier(self.house, transaction, case)
            row = await load_case(transaction, case)
        document = [document for document in dossier.documents if document.name == name][number]
        content = decode(document.content)
        change(content)
        assert encode(content) != document.content
        key = self.house.vault.open_key(row.id, row.kek_id, row.wrapped_key)
        sealed = self.house.vault.seal(key, document.seq, name, document.salt, encode(content))
        changed = self.connection.execute(
            "UPDATE sealed_document SET ciphertext = %s WHERE case_id = %s AND seq = %s AND name = %s",
            (sealed, case, document.seq, name),
        )
        assert changed.rowcount == 1


@pytest_asyncio.fixture
async def insider(server: EmbeddedPostgres, database: Database, tmp_path: Path) -> AsyncIterator[Insider]:
    with an_insider(server, database) as connection:
        connection.execute("ALTER TABLE sealed_document DISABLE TRIGGER ALL")
        async with a_house(tmp_path, database, running=False) as house:
            yield Insider(house, connection)


async def decided(house: House, name: str = "ward system") -> CaseId:
    client, _ = await a_client(house, name)
    case = (await submit(house, client, submission(house.clock.now()), "key", b"body")).case
    await house.errands.finish(10)
    return case


async def signed(house: House) -> CaseId:
    client, _ = await a_client(house)
    anna = await a_reviewer(house)
    made = submission(house.clock.now(), pregnant=(True, None))
    case = (await submit(house, client, made, "key", b"body")).case
    await claim(house, anna, case)
    await commit_opinion(house, anna, case, OwnOpinion("continue-monitoring", 70, (), "looks well"))
    await reveal(house, anna, case)
    await sign(house, anna, case, "urgent-review", "the midwife is worried")
    return case


async def said(house: House, case: CaseId) -> list[str]:
    """Return what replay objects to."""
    return [f"{step.seq} {step.said}" for step in await replay_case(house, case) if not step.same]


def vote_otherwise(opinion: dict[str, Any]) -> None:
    text = json.dumps(opinion).replace('"continue-monitoring"', '"urgent-review"')
    opinion.update(json.loads(text))


def set_fact(name: str, value: object) -> Change:
    def change(document: dict[str, Any]) -> None:
        (fact,) = [fact for fact in document["facts"]["facts"] if fact["name"] == name]
        fact["value"] = value

    return change


async def test_an_untouched_case_replays_to_the_same_bytes(insider: Insider) -> None:
    assert len(await replay_case(insider.house, await decided(insider.house))) == 1
    assert await said(insider.house, await decided(insider.house, "another")) == []


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_a_changed_vote_replays_to_other_bytes(insider: Insider, number: int) -> None:
    case = await decided(insider.house)
    await insider.reseal(case, "opinion", vote_otherwise, number)
    assert [re.sub(r"[\d()]+", "", objection).strip() for objection in await said(insider.house, case)] == [
        "opinion: NOT WHAT this entry commits to",
        "Continue monitoring as planned: recomputed to OTHER BYTES than recorded",
    ]


async def test_a_changed_fact_replays_to_other_bytes(insider: Insider) -> None:
    case = await decided(insider.house)
    await insider.reseal(case, "facts", set_fact("heart_rate", "73"))
    objections = await said(insider.house, case)
    assert objections[0] == "0 facts: NOT WHAT this entry commits to"
    assert "OTHER BYTES" in objections[1]


async def test_a_changed_certificate_replays_to_other_bytes(insider: Insider) -> None:
    case = await decided(insider.house)

    def decide_otherwise(document: dict[str, Any]) -> None:
        document["decision"]["option"] = "urgent-review"

    await insider.reseal(case, "certificate", decide_otherwise)
    objections = await said(insider.house, case)
    assert "certificate: NOT WHAT" in objections[0]
    assert "OTHER BYTES" in objections[1]


async def test_inputs_and_certificate_changed_together_are_not_what_the_entries_commit_to(
    insider: Insider,
) -> None:
    case = await decided(insider.house, "one")
    async with insider.house.store.read() as transaction:
        forged = (await load_dossier(insider.house, transaction, case)).documents

    def say_the_time_is_another(document: dict[str, Any]) -> None:
        document["concluded_at"] = document["concluded_at"].replace("20", "21", 1)

    # The time of concluding is an input that only the certificate itself records.
    await insider.reseal(case, "certificate", say_the_time_is_another)
    (objection,) = await said(insider.house, case)
    assert objection == f"{forged[-1].seq} certificate: NOT WHAT this entry commits to"


async def test_a_document_that_is_gone_or_was_added_is_named(insider: Insider) -> None:
    case = await decided(insider.house)
    insider.connection.execute("DELETE FROM sealed_document WHERE case_id = %s AND name = 'request'", (case,))
    assert await said(insider.house, case) == ["0 request: GONE, and this entry commits to it"]
    async with insider.house.store.read() as transaction:
        row = await load_case(transaction, case)
    key = insider.house.vault.open_key(row.id, row.kek_id, row.wrapped_key)
    sealed = insider.house.vault.seal(key, 1, "reason", bytes(32), b"{}")
    insider.connection.execute("INSERT INTO sealed_document VALUES (%s, 1, 'reason', %s)", (case, sealed))
    assert "1 reason: ADDED, and no entry commits to it" in await said(insider.house, case)


async def test_a_document_moved_to_another_case_does_not_open(insider: Insider) -> None:
    case, other = await decided(insider.house, "one"), await decided(insider.house, "other")
    insider.connection.execute(
        "UPDATE sealed_document AS d SET ciphertext = o.ciphertext FROM sealed_document AS o "
        "WHERE d.case_id = %s AND o.case_id = %s AND (d.seq, d.name) = (o.seq, o.name)",
        (case, other),
    )
    with pytest.raises(VerificationError, match=case):
        await replay_case(insider.house, case)


async def test_an_escalation_without_its_cause_replays_to_other_bytes(insider: Insider) -> None:
    case = await signed(insider.house)
    assert await said(insider.house, case) == []
    await insider.reseal(case, "facts", set_fact("pregnant", False))
    assert sum("OTHER BYTES" in objection for objection in await said(insider.house, case)) == 2


@pytest.mark.parametrize("field", ["option", "reason", "reviewer", "shown", "meaning"])
async def test_a_changed_signature_is_not_what_its_entry_commits_to(insider: Insider, field: str) -> None:
    case = await signed(insider.house)

    def sign_otherwise(document: dict[str, Any]) -> None:
        document[field] = {"option": "continue-monitoring"}.get(field, "another")

    await insider.reseal(case, "signature", sign_otherwise)
    assert "signature: NOT WHAT this entry commits to" in (await said(insider.house, case))[0]


async def test_an_erased_case_is_counted_and_no_fault(tmp_path: Path, database: Database) -> None:
    async with records(tmp_path, database) as kept:
        house = kept.house
        before = await replay_cases(house)
        assert (before.cases, before.erased, before.unlike) == (1, 0, 0)
        assert before.certificates >= 1
        await erase(house, Order(kept.olga), kept.case)
        told: list[tuple[int, int]] = []
        after = await replay_cases(house, lambda done, total: told.append((done, total)))
        assert (after.cases, after.certificates, after.erased, after.unlike) == (1, 0, 1, 0)
        assert told == [(1, 1)]


async def test_no_case_is_none_as_recorded(insider: Insider) -> None:
    assert await replay_cases(insider.house) == ReplayedCases(0, 0, 0, 0, ())


async def test_of_all_cases_those_that_were_changed_are_told(
    insider: Insider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By pages of two, so that none is left out or told twice where one ends."""
    monkeypatch.setattr(replaying, "PAGE", 2)
    cases = [await decided(insider.house, name) for name in ("one", "two", "three", "four", "five")]
    await insider.reseal(cases[1], "opinion", vote_otherwise)
    await insider.reseal(cases[3], "facts", set_fact("heart_rate", "73"))
    insider.connection.execute(
        "DELETE FROM sealed_document WHERE case_id = %s AND name = 'facts'", (cases[4],)
    )
    told: list[tuple[int, int]] = []
    replayed = await replay_cases(insider.house, lambda done, total: told.append((done, total)))
    assert (replayed.cases, replayed.certificates, replayed.erased, replayed.unlike) == (5, 2, 0, 3)
    assert [(each.case, each.entry is None) for each in replayed.found].count((cases[4], True)) == 1
    assert {each.case for each in replayed.found} == {cases[1], cases[3], cases[4]}
    assert told == [(done, 5) for done in range(1, 6)]


async def test_a_fault_of_every_case_is_counted_and_told_for_the_first_of_them(
    insider: Insider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "MOST_FINDINGS", 2)
    for name in ("one", "two", "three"):
        await decided(insider.house, name)
    insider.connection.execute("DELETE FROM sealed_document WHERE name = 'request'")
    replayed = await replay_cases(insider.house)
    assert replayed.unlike == 3
    assert len(replayed.found) == 2


async def test_a_database_that_fails_is_no_case_that_differs(
    insider: Insider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await decided(insider.house)

    async def fail(*_: object) -> None:
        raise UnavailableError("the database does not answer")

    monkeypatch.setattr(replaying, "replay_case", fail)
    with pytest.raises(UnavailableError):
        await replay_cases(insider.house)
