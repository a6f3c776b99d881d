"""Steps of the same moment share a statement, and nothing else: not a fault, not a wait, not an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from arbiter.audit.entry import Entry, verify_chain
from arbiter.errors import UnavailableError
from arbiter.lifecycle.events import Read
from arbiter.model import CaseId, FactValue
from arbiter.store.cases import sharing, steps
from arbiter.store.cases.heads import load_case
from arbiter.store.cases.sharing import AT_ONCE, MOST, StepWriter
from arbiter.store.cases.steps import StepWrite, save_steps
from arbiter.store.database import LOCK_TIMEOUT_SECONDS, Database
from arbiter.store.log.chains import load_entries
from arbiter.workflow.docket import ARBITER, advance, docket_of
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from tests.houses import a_client, a_house, submission

CASES = 6


class Statements:
    """What was written by each statement, and the refusal to raise in place of the first one."""

    def __init__(self) -> None:
        self.written: list[list[CaseId]] = []
        self.fails: Exception | None = None
        self.begun = asyncio.Event()

    async def save_steps(
        self, store: Any, together: Sequence[StepWrite], **settings: Any
    ) -> frozenset[CaseId]:
        self.written.append([step.case for step in together])
        self.begun.set()
        if self.fails is not None:
            raise self.fails
        return await save_steps(store, together, **settings)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    watched = Statements()
    monkeypatch.setattr(sharing, "save_steps", watched.save_steps)
    return watched


@pytest_asyncio.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path, database, running=False) as opened:
        yield opened


@pytest_asyncio.fixture
async def cases(house: House) -> list[CaseId]:
    client, _ = await a_client(house)
    excluded: dict[str, tuple[FactValue, str | None] | None] = {"pregnant": (True, None)}
    about = submission(house.clock.now(), **excluded)
    made = [
        await submit(house, client, replace(about, encounter=f"visit-{number}"), f"key-{number}", b"body")
        for number in range(CASES)
    ]
    return [submitted.case for submitted in made]


async def a_step(house: House, case: CaseId) -> StepWrite:
    """Return the step by which somebody reads a case."""
    docket = docket_of(await load_case(house.store, case), "0" * 64)
    now = house.clock.now()
    return advance(house, docket, Read(), actor=ARBITER, now=now).write(now)


async def lengths(house: House, cases: Sequence[CaseId]) -> list[int]:
    """Return how many entries each case's chain has; it is unbroken, and its head is where it ends."""
    found = []
    for case in cases:
        async with house.store.read() as transaction:
            chain = verify_chain(
                Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, case)
            )
            row = await load_case(transaction, case)
        assert (row.seq, row.prev.hex()) == (chain.last.seq, chain.last.hash)
        found.append(chain.length)
    return found


async def test_steps_of_the_same_moment_are_written_by_one_statement(
    house: House, cases: list[CaseId], statements: Statements
) -> None:
    before = await lengths(house, cases)
    made = [await a_step(house, case) for case in cases]
    assert await asyncio.gather(*(house.steps.save(step) for step in made)) == [True] * CASES
    assert statements.written == [cases]
    assert await lengths(house, cases) == [length + 1 for length in before]


async def test_a_step_that_comes_alone_goes_at_once(
    house: House, cases: list[CaseId], statements: Statements
) -> None:
    assert await house.steps.save(await a_step(house, cases[0]))
    assert await house.steps.save(await a_step(house, cases[1]))
    assert statements.written == [[cases[0]], [cases[1]]]


async def test_of_two_steps_from_one_version_of_a_case_one_is_written(
    house: House, cases: list[CaseId], statements: Statements
) -> None:
    (before,) = await lengths(house, cases[:1])
    twice = [await a_step(house, cases[0]), await a_step(house, cases[0])]
    assert sorted(await asyncio.gather(*(house.steps.save(step) for step in twice))) == [False, True]
    assert all(len(set(written)) == len(written) for written in statements.written)
    assert await lengths(house, cases[:1]) == [before + 1]


async def test_a_statement_that_moves_a_case_twice_is_refused(house: House, cases: list[CaseId]) -> None:
    step = await a_step(house, cases[0])
    with pytest.raises(ValueError, match="moves a case once"):
        await save_steps(house.store, [step, step])


async def test_a_step_that_the_server_refuses_takes_no_other_with_it(
    house: House, cases: list[CaseId]
) -> None:
    before = await lengths(house, cases)
    made = [await a_step(house, case) for case in cases]
    made[2] = replace(made[2], entries=((made[2].seq, b"x" * 70_000),))
    saved = await asyncio.gather(*(house.steps.save(step) for step in made), return_exceptions=True)
    assert isinstance(saved[2], psycopg.errors.CheckViolation)
    assert saved[:2] + saved[3:] == [True] * (CASES - 1)
    assert await lengths(house, cases) == [length + (place != 2) for place, length in enumerate(before)]


async def test_a_step_that_cannot_even_be_sent_takes_no_other_with_it(
    house: House, cases: list[CaseId]
) -> None:
    made = [await a_step(house, case) for case in cases]
    made[0] = replace(made[0], entries=((2**40, made[0].entries[0][1]),))
    saved = await asyncio.gather(*(house.steps.save(step) for step in made), return_exceptions=True)
    assert isinstance(saved[0], Exception)
    assert saved[1:] == [True] * (CASES - 1)


async def test_a_case_that_somebody_holds_keeps_the_others_waiting_only_shortly(
    house: House, cases: list[CaseId]
) -> None:
    made = [await a_step(house, case) for case in cases]
    async with house.store.begin() as transaction:
        await transaction.exec_driver_sql(
            "SELECT FROM case_file WHERE id = %(id)s FOR UPDATE", {"id": cases[3]}
        )
        saving = [asyncio.ensure_future(house.steps.save(step)) for step in made]
        done, waiting = await asyncio.wait(saving, timeout=LOCK_TIMEOUT_SECONDS - 1)
        while len(done) < CASES - 1:
            done, waiting = await asyncio.wait(saving, timeout=1)
        assert waiting == {saving[3]}
    assert await asyncio.gather(*saving) == [True] * CASES


async def test_nobody_queues_behind_steps_of_cases_that_somebody_holds(
    house: House, cases: list[CaseId], statements: Statements
) -> None:
    made = [await a_step(house, case) for case in cases]
    async with house.store.begin() as transaction:
        await transaction.exec_driver_sql(
            "SELECT FROM case_file WHERE id = ANY(%(held)s) FOR UPDATE", {"held": cases[: AT_ONCE + 1]}
        )
        held = []
        for step in made[: AT_ONCE + 1]:
            # Each in a statement of its own, which waits as long as any statement.
            held.append(asyncio.ensure_future(house.steps.save(step)))
            async with asyncio.timeout(LOCK_TIMEOUT_SECONDS - 1):
                while [step.case] not in statements.written:  # noqa: ASYNC110 - the writer's own doing is waited for
                    await asyncio.sleep(0.01)
        free = [house.steps.save(step) for step in made[AT_ONCE + 1 :]]
        assert await asyncio.wait_for(asyncio.gather(*free), LOCK_TIMEOUT_SECONDS - 1) == [True] * len(free)
        assert not any(saving.done() for saving in held)
    assert await asyncio.gather(*held) == [True] * len(held)
    assert await house.steps.save(await a_step(house, cases[0]))


async def test_a_step_whose_caller_gave_up_before_it_was_sent_is_not_written(
    house: House, cases: list[CaseId], statements: Statements
) -> None:
    before = await lengths(house, cases[:2])
    first, second = [await a_step(house, case) for case in cases[:2]]
    saving = [asyncio.ensure_future(house.steps.save(step)) for step in (first, second)]
    await asyncio.sleep(0)
    saving[0].cancel()
    assert await saving[1]
    assert saving[0].cancelled()
    assert statements.written == [[cases[1]]]
    assert await lengths(house, cases[:2]) == [before[0], before[1] + 1]


async def test_a_caller_that_gives_up_in_between_leaves_the_others_their_answers(
    house: House, cases: list[CaseId], statements: Statements
) -> None:
    made = [await a_step(house, case) for case in cases]
    saving = [asyncio.ensure_future(house.steps.save(step)) for step in made]
    await statements.begun.wait()
    saving[0].cancel()
    assert await asyncio.gather(*saving[1:]) == [True] * (CASES - 1)


@pytest.mark.parametrize(
    "cause",
    [psycopg.OperationalError("the connection is lost"), psycopg.errors.AdminShutdown("going down")],
    ids=["connection-lost", "server-going-down"],
)
async def test_what_may_have_been_written_is_not_written_again(
    house: House, cases: list[CaseId], statements: Statements, cause: Exception
) -> None:
    statements.fails = UnavailableError("the database does not answer")
    statements.fails.__cause__ = cause
    made = [await a_step(house, case) for case in cases]
    saved = await asyncio.gather(*(house.steps.save(step) for step in made), return_exceptions=True)
    assert all(isinstance(error, UnavailableError) for error in saved)
    assert len({id(error) for error in saved}) == CASES
    assert statements.written == [cases]


async def test_steps_go_on_after_a_failure(house: House, cases: list[CaseId], statements: Statements) -> None:
    statements.fails = UnavailableError("the database does not answer")
    with pytest.raises(UnavailableError):
        await house.steps.save(await a_step(house, cases[0]))
    statements.fails = None
    assert await house.steps.save(await a_step(house, cases[0]))


async def test_a_statement_takes_no_more_steps_than_it_may(
    house: House, cases: list[CaseId], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = await a_step(house, cases[0])
    counts = []

    async def count(_store: object, together: Sequence[StepWrite], **_settings: object) -> frozenset[CaseId]:
        counts.append(len(together))
        await asyncio.sleep(0)
        return frozenset(step.case for step in together)

    monkeypatch.setattr(sharing, "save_steps", count)
    writer = StepWriter(house.store)
    many = [replace(step, case=CaseId(f"c_{number}")) for number in range(3 * MOST)]
    assert all(await asyncio.gather(*(writer.save(one) for one in many)))
    assert counts == [MOST] * 3


async def test_a_heads_plan_made_while_there_are_few_cases_reads_no_table_whole(
    house: House, cases: list[CaseId], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = await a_step(house, cases[0])
    explained = []

    async def explain(where: Any, statement: str, parameters: Any) -> list[Any]:
        explained.extend(await where.run(f"EXPLAIN {statement}", parameters))
        return []

    monkeypatch.setattr(steps, "run", explain)
    await save_steps(house.store, [step])
    plan = "\n".join(line for (line,) in explained)
    assert "Update on case_file" in plan
    assert "Seq Scan" not in plan
    assert "Index Cond: (id = ANY" in plan
