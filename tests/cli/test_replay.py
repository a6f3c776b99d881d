"""`arbiter replay`: one case or all of them, in words and as JSON, and what is not as recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from arbiter.cli.failing import Status
from tests.cli.conftest import Arbiter, Ended
from tests.cli.logged import CASES, Command, Logged, a_logged_service, command_on


@pytest.fixture(scope="module")
def logged() -> Iterator[Logged]:
    with a_logged_service() as made:
        yield made


@pytest.fixture
def replay(logged: Logged, arbiter: Arbiter, monkeypatch: pytest.MonkeyPatch) -> Command:
    command_on(logged, arbiter, monkeypatch)

    def run(*arguments: str) -> Ended:
        return arbiter("replay", *arguments)

    return run


def test_all_cases_are_counted_in_a_line(replay: Command) -> None:
    ended = replay("--all")
    assert ended.status == 0
    assert ended.out == f"{CASES} certificates of {CASES} cases recomputed to the same bytes\n"


def test_all_cases_are_counted_for_programs(replay: Command) -> None:
    ended = replay("--all", "--json")
    assert ended.status == 0
    assert json.loads(ended.out) == {
        "same": True,
        "cases": CASES,
        "certificates": CASES,
        "erased": 0,
        "unlike": 0,
        "found": [],
    }


def test_one_case_says_each_of_its_certificates(logged: Logged, replay: Command) -> None:
    ended = replay(logged.cases[0])
    assert ended.status == 0
    assert "Continue monitoring as planned: recomputed to the same bytes" in ended.out
    said = json.loads(replay(logged.cases[0], "--json").out)
    assert (said["case"], said["same"], len(said["steps"])) == (logged.cases[0], True, 1)


@pytest.mark.parametrize("arguments", [(), ("--json",), ("c_4jnoc5hb37oz5irylzg747rv", "--all")])
def test_neither_a_case_nor_all_or_both_is_refused(arbiter: Arbiter, arguments: tuple[str, ...]) -> None:
    ended = arbiter("replay", *arguments)
    assert ended.status == Status.USAGE
    assert "CASE, --all" in ended.err
    assert ended.out == ""


def test_a_case_that_is_not_there_fails(replay: Command) -> None:
    ended = replay("c_4jnoc5hb37oz5irylzg747rv")
    assert ended.status == Status.FAILED
    assert "no case" in ended.err


def test_what_is_gone_is_named_with_its_case_and_the_rest_is_replayed(
    logged: Logged, replay: Command
) -> None:
    case, other = logged.cases[0], logged.cases[1]
    with logged.service.superuser() as connection:
        connection.execute("ALTER TABLE sealed_document DISABLE TRIGGER ALL")
        # Nothing is certain of a case without its facts; of the other a document lies under another's name.
        connection.execute("DELETE FROM sealed_document WHERE case_id = %s AND name = 'facts'", (case,))
        connection.execute(
            "UPDATE sealed_document SET name = 'reason' WHERE case_id = %s AND name = 'request'", (other,)
        )
    ended = replay("--all")
    assert ended.status == Status.FAILED
    *told, counted = ended.out.splitlines()
    assert counted == (
        f"{CASES - 2} certificates of {CASES} cases recomputed to the same bytes; 2 cases NOT AS RECORDED"
    )
    assert len(told) == 2
    assert any(line.startswith(f"case {case}: expected a document facts") for line in told)
    assert any(line.startswith(f"case {other}: ") for line in told)
    said = json.loads(replay("--all", "--json").out)
    assert (said["same"], said["unlike"]) == (False, 2)
    assert {each["case"] for each in said["found"]} == {case, other}
    assert {each["entry"] for each in said["found"]} == {None}
