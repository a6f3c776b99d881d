"""What is wrong is said, with what to do; and what is not wrong is not said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.fleet.finding import Finding, Level
from arbiter.fleet.findings import findings
from arbiter.fleet.overview import Heard, oversee
from arbiter.fleet.seats import CanaryResult, SeatCanary
from arbiter.fleet.state import FleetState, Position, ServerState
from arbiter.question import Seat
from tests.fleet.any_state import any_state
from tests.fleet.seats import a_protocol, a_seat
from tests.fleet.states import (
    BEGAN,
    NOW,
    a_replica,
    a_server,
    a_state,
    a_withheld,
    breaker,
    drawn,
    sketch,
)

STEADY = SeatCanary(NOW - timedelta(hours=9), CanaryResult.STEADY, NOW - timedelta(hours=9), "0.41")
OPEN, HALF = Position.OPEN, Position.HALF_OPEN


def found(
    *states: FleetState, seats: tuple[Seat, ...] = (), canary: SeatCanary | None = STEADY, age: float = 1
) -> tuple[Finding, ...]:
    aged = timedelta(seconds=age)
    heard = [Heard(state.process, state.began, NOW - aged, aged, state) for state in states]
    canaries = {("deterioration", str(seat.member)): canary for seat in seats if canary is not None}
    return findings(oversee(heard, [a_protocol(*seats)], canaries, NOW))


def a_calm_server(**changes: Any) -> ServerState:
    replicas = (
        a_replica(f"r-{at}", breaker("alpha"), latency=sketch(drawn(180, 300, at))) for at in (1, 2, 3)
    )
    return a_server("specialists", *replicas, **({"calls": 900, "hedges": 9} | changes))


def with_replica(server: ServerState, at: int, **changes: Any) -> ServerState:
    replicas = list(server.replicas)
    replicas[at] = replace(replicas[at], **changes)
    return replace(server, replicas=tuple(replicas))


def test_of_a_calm_fleet_nothing_is_said() -> None:
    assert found(a_state(a_calm_server()), seats=(a_seat("alpha"),)) == ()


@pytest.mark.parametrize(
    "server",
    [
        a_calm_server(calls=199, hedges=9),
        a_calm_server(calls=1000, hedges=39),
        with_replica(a_calm_server(queue=40), 0, waiting=59),
        a_calm_server(queue=0),
        with_replica(a_calm_server(), 0, engine="vllm unknown"),
        with_replica(a_calm_server(), 0, latency=sketch(drawn(9_000, 49))),
        with_replica(a_calm_server(), 0, latency=sketch(drawn(400, 300))),
        with_replica(a_calm_server(), 0, in_flight=32),
        a_calm_server(shed=10_000),
    ],
    ids=[
        "few calls", "hedges well below their cap", "half-empty queue", "no queue at all", "a version nobody told",
        "slow in few replies", "a little slow", "full and not queueing", "shed long ago",
    ],
)  # fmt: skip
def test_what_is_not_wrong_is_not_said(server: ServerState) -> None:
    assert found(a_state(server), seats=(a_seat("alpha"),)) == ()


def only(seen: tuple[Finding, ...], level: Level) -> Finding:
    (finding,) = [each for each in seen if each.level is level]
    return finding


def everywhere(position: Position) -> ServerState:
    broken = (a_replica(f"r-{at}", breaker("alpha", position)) for at in (1, 2))
    return a_server("specialists", *broken)


@pytest.mark.parametrize("position", [OPEN, HALF])
def test_a_seat_that_no_replica_serves_is_an_alarm(position: Position) -> None:
    alarm = only(found(a_state(everywhere(position)), seats=(a_seat("alpha"),)), Level.ALARM)
    assert alarm.what == (
        "Model alpha (deterioration) does not answer: no replica of specialists gives answers for alpha"
    )
    assert "arbiter panel check deterioration" in alarm.remedy
    assert "more of them go to clinicians" in alarm.remedy


@pytest.mark.parametrize(
    ("seat", "words"),
    [
        (a_seat("alpha", required=True), "It is required, so every case of the protocol now goes to clinicians."),
        (a_seat("alpha", veto=("urgent-review",)), "It may veto, so every case of the protocol now goes to clinicians."),
    ],
)  # fmt: skip
def test_what_a_silent_seat_does_to_cases_is_said(seat: Seat, words: str) -> None:
    assert only(found(a_state(everywhere(OPEN)), seats=(seat,)), Level.ALARM).remedy.startswith(words)


def test_without_any_process_nothing_is_said_to_be_well() -> None:
    alarm = only(found(seats=(a_seat("alpha"),)), Level.ALARM)
    assert (alarm.what, alarm.since) == (
        "No running process tells of the model servers: how the seats stand is not known",
        None,
    )


def test_when_all_have_fallen_silent_it_is_an_alarm_since_the_last_was_heard() -> None:
    seen = found(a_state(a_calm_server()), seats=(a_seat("alpha"),), age=90)
    assert only(seen, Level.ALARM).since == NOW - timedelta(seconds=90)
    assert only(seen, Level.WARNING).what == "The process ward-host/4711 has fallen silent"


def test_no_fleet_and_no_seat_is_no_fault() -> None:
    assert found() == ()


def test_a_process_of_another_version_is_told() -> None:
    unread = Heard("other/9", BEGAN, NOW, timedelta(0), None)
    seen = findings(oversee([unread], [], {}, NOW))
    assert only(seen, Level.WARNING).what == "What the process other/9 tells cannot be read"
    assert only(seen, Level.ALARM).what.startswith("No running process tells of the model servers")


def test_a_fleet_in_the_settings_that_nobody_tells_of_is_an_alarm_without_any_seat() -> None:
    (alarm,) = findings(oversee([], [], {}, NOW), expected=True)
    assert alarm.level is Level.ALARM


def test_processes_that_fell_silent_are_an_alarm_also_to_who_has_other_protocols() -> None:
    seen = found(a_state(a_calm_server()), age=90)
    assert only(seen, Level.ALARM).since == NOW - timedelta(seconds=90)


@pytest.mark.parametrize("position", [OPEN, HALF])
@pytest.mark.parametrize("seats", [(), (a_seat("beta", "elsewhere"),)], ids=["no seat", "another's seat"])
def test_a_model_that_no_replica_answers_for_is_an_alarm_also_to_who_has_other_protocols(
    position: Position, seats: tuple[Seat, ...]
) -> None:
    alarm = only(found(a_state(everywhere(position)), seats=seats), Level.ALARM)
    assert alarm.what == "No replica of specialists gives answers for alpha"
    assert "ARBITER_PROTOCOLS" in alarm.remedy


def test_a_model_that_is_lost_here_for_its_breaker_and_there_for_its_proof_is_an_alarm() -> None:
    server = a_server(
        "specialists",
        a_replica("r-1", breaker("alpha", OPEN), breaker("beta")),
        a_replica("r-2", breaker("alpha"), breaker("beta"), withheld=(a_withheld("alpha"),)),
    )
    assert only(found(a_state(server)), Level.ALARM).what.endswith("gives answers for alpha")


def test_a_model_of_which_another_hash_is_proven_is_an_alarm_for_the_one_that_is_not() -> None:
    kept = (a_withheld("alpha", weights_sha256="a" * 64),)
    server = a_server("specialists", a_replica("r-1", breaker("alpha"), withheld=kept))
    assert only(found(a_state(server)), Level.ALARM).what.endswith("gives answers for alpha")


@pytest.mark.parametrize("others", [(a_calm_server(),), (everywhere(HALF), a_calm_server())])
def test_a_model_that_some_process_can_ask_is_no_alarm(others: tuple[ServerState, ...]) -> None:
    states = (a_state(server, process=f"other/{at}") for at, server in enumerate(others))
    assert Level.ALARM not in {each.level for each in found(a_state(everywhere(OPEN)), *states)}


def test_a_process_that_never_asked_a_model_does_not_vouch_for_it() -> None:
    idle = a_server("specialists", a_replica("r-1"), a_replica("r-2"))
    seen = found(a_state(everywhere(OPEN)), a_state(idle, process="other/2"))
    assert only(seen, Level.ALARM).what == "No replica of specialists gives answers for alpha"


def test_two_hashes_of_a_model_withheld_on_different_replicas_are_both_answered_for() -> None:
    server = a_server(
        "specialists",
        a_replica("r-1", breaker("alpha"), withheld=(a_withheld("alpha", weights_sha256="a" * 64),)),
        a_replica("r-2", breaker("alpha"), withheld=(a_withheld("alpha", weights_sha256="b" * 64),)),
    )
    assert Level.ALARM not in {each.level for each in found(a_state(server))}


def test_a_seat_cut_off_from_one_process_is_no_silent_seat() -> None:
    seen = found(
        a_state(a_calm_server()),
        a_state(everywhere(OPEN), process="other/2"),
        seats=(a_seat("alpha"),),
    )
    assert Level.ALARM not in {each.level for each in seen}
    assert "Model alpha (deterioration) does not answer some processes, and answers others" in {
        each.what for each in seen
    }


def test_a_seat_whose_server_no_process_has_is_told_and_not_passed_over_in_silence() -> None:
    seen = found(a_state(a_calm_server()), seats=(a_seat("alpha"), a_seat("beta", "elsewhere")))
    assert only(seen, Level.WARNING).what == (
        "How Model beta (deterioration) stands is not known: no process that is heard has the server elsewhere"
    )


def test_breakers_that_opened_for_one_cause_are_one_finding() -> None:
    names = ("alpha", "beta", "gamma")
    gone = tuple(breaker(name, OPEN, since=NOW - timedelta(minutes=at)) for at, name in enumerate(names))
    server = with_replica(a_calm_server(), 1, breakers=gone)
    finding = only(found(a_state(server)), Level.WARNING)
    assert (
        finding.what
        == "On specialists/r-2 the breakers of alpha, beta and gamma are not closed (not connected)"
    )
    assert finding.since == NOW - timedelta(minutes=2)
    assert "Requests go to r-1 and r-3 meanwhile." in finding.remedy


def test_the_last_replica_of_a_model_is_said_to_be_without_a_stand_in() -> None:
    server = a_server("specialists", a_replica("r-1", breaker("alpha", OPEN)))
    assert "No other replica takes its place." in only(found(a_state(server)), Level.WARNING).remedy


def test_what_is_withheld_for_want_of_a_proof_is_told_with_its_cause_and_who_takes_its_place() -> None:
    cause = "withheld: the server does not serve the model"
    kept = (a_withheld("alpha", cause=cause), a_withheld("beta", cause=cause))
    finding = only(found(a_state(with_replica(a_calm_server(), 1, withheld=kept))), Level.WARNING)
    assert finding.what == f"On specialists/r-2 alpha and beta are {cause}"
    assert "Requests go to r-1 and r-3 meanwhile." in finding.remedy
    assert "arbiter panel check" in finding.remedy


def test_a_replica_that_is_withheld_takes_nobodys_place() -> None:
    server = with_replica(a_calm_server(), 0, breakers=(breaker("alpha", OPEN),))
    server = with_replica(server, 1, withheld=(a_withheld("alpha"),))
    seen = found(a_state(server))
    assert ["Requests go to r-3 meanwhile." in each.remedy for each in seen] == [True, True]


def test_what_is_withheld_because_its_breaker_opened_is_told_once() -> None:
    here = {"breakers": (breaker("alpha", OPEN),), "withheld": (a_withheld("alpha"),)}
    assert "not closed" in only(found(a_state(with_replica(a_calm_server(), 0, **here))), Level.WARNING).what


def test_a_seat_withheld_everywhere_is_an_alarm() -> None:
    server = a_server("specialists", a_replica("r-1", breaker("alpha"), withheld=(a_withheld("alpha"),)))
    assert "does not answer" in only(found(a_state(server), seats=(a_seat("alpha"),)), Level.ALARM).what


def test_a_breaker_open_in_some_processes_says_in_how_many() -> None:
    open_here = with_replica(a_calm_server(), 0, breakers=(breaker("alpha", OPEN),))
    seen = found(a_state(open_here), a_state(a_calm_server(), process="other/2"))
    assert only(seen, Level.WARNING).what == (
        "On specialists/r-1 the breaker of alpha is not closed in 1 of 2 processes (not connected)"
    )


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (a_calm_server(calls=1000, hedges=40), "are near their cap: 4.0% of calls, of 5.0% allowed"),
        (with_replica(a_calm_server(queue=40), 0, waiting=60), "is filling: 60 of 120 places are taken"),
        (with_replica(a_calm_server(), 2, engine="vllm 0.10.2"), "versions: vllm 0.10.2, vllm 0.11.0"),
        (with_replica(a_calm_server(), 2, latency=sketch(drawn(1_900, 60))), "specialists/r-3 is slow: half of"),
    ],
    ids=["hedges", "queue", "versions", "slow"],
)  # fmt: skip
def test_what_goes_wrong_by_degrees_is_warned_of_in_time(server: ServerState, words: str) -> None:
    assert words in only(found(a_state(server)), Level.WARNING).what


def test_processes_with_different_fleet_files_are_found_out() -> None:
    other = with_replica(a_calm_server(), 0, url="http://10.9.9.9:1")
    seen = found(a_state(a_calm_server()), a_state(other, process="other/2"))
    assert only(seen, Level.WARNING).remedy == (
        "They were started with different fleet files: restart them all with one."
    )


# --- canaries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("canary", "level", "words"),
    [
        (SeatCanary(NOW, CanaryResult.MOVED, NOW, "0.000002"), Level.ALARM, "(p = 0.000002)"),
        (SeatCanary(NOW, CanaryResult.MOVED, NOW, None), Level.ALARM, "otherwise than it did"),
        (SeatCanary(NOW, CanaryResult.NOT_ASKED, None, None), Level.WARNING, "could not be asked"),
        (replace(STEADY, heard_at=NOW - timedelta(hours=51)), Level.WARNING, "more than two nights"),
        (replace(STEADY, heard_at=None), Level.WARNING, "more than two nights"),
        (None, Level.NOTE, "No canary has been asked yet of Model alpha (deterioration)"),
    ],
)
def test_a_canary_that_is_not_steady_is_told(canary: SeatCanary | None, level: Level, words: str) -> None:
    seen = found(a_state(a_calm_server()), seats=(a_seat("alpha"),), canary=canary)
    assert words in only(seen, level).what
    assert len(seen) == 1


def test_a_seat_that_has_moved_says_what_it_does_to_cases_and_how_it_ends() -> None:
    moved = SeatCanary(NOW, CanaryResult.MOVED, NOW, None)
    (finding,) = found(a_state(a_calm_server()), seats=(a_seat("alpha"),), canary=moved)
    assert finding.remedy.startswith("Its protocol decides nothing without a clinician meanwhile.")
    assert finding.remedy.endswith("arbiter panel canary --baseline.")


# --- all of them -------------------------------------------------------------------------------------------------


@given(st.lists(any_state, max_size=3), st.floats(0, 40))
def test_of_any_state_findings_come_worst_first_and_are_whole_sentences(
    states: list[FleetState], age: float
) -> None:
    seats = (a_seat("respiratory"), a_seat("circulation", "general", required=True))
    seen = found(*states, seats=seats, canary=None, age=age)
    order = [list(Level).index(each.level) for each in seen]
    assert order == sorted(order)
    for each in seen:
        assert each.what
        assert each.what[-1] not in ".,;"
        assert each.remedy.endswith(".")
