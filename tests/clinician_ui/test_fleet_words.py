"""The fleet put into words and drawings: whatever is believed of it can be shown."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from arbiter.cli.panel.fleet_tables import fleet_document, fleet_lines, fleet_view, spark
from arbiter.fleet.findings import findings
from arbiter.fleet.overview import Heard, oversee
from arbiter.fleet.state import FleetState, Latency
from arbiter.workflow.fleet_watch import Watch
from clinician_ui.assets import require_built
from clinician_ui.presenters.fleet import fleet_page, headline
from clinician_ui.presenters.fleet_plots import Axis, latency_plot, meter, shared_axis
from clinician_ui.presenters.times import Here
from clinician_ui.rendering import Renderer
from tests.fleet.any_state import any_state
from tests.fleet.seats import a_protocol, a_seat
from tests.fleet.states import (
    NOW,
    a_busy_fleet,
    a_replica,
    a_server,
    a_state,
    a_withheld,
    breaker,
    drawn,
    sketch,
)

HERE = Here(NOW, {}, UTC)


@cache
def renderer() -> Renderer:
    return Renderer(require_built(), demonstration=False)


def test_a_fleet_that_is_none_is_said_in_words(built: Path) -> None:
    del built
    page = fleet_page(Watch(oversee([], [], {}, NOW), ()), HERE)
    text = renderer().text("fleet_now", page=page)
    assert "This installation has no model servers." in text
    assert "<svg" not in text


@given(st.lists(any_state, max_size=3), st.floats(0, 4000))
def test_whatever_state_is_believed_can_be_shown(states: list[FleetState], age: float) -> None:
    aged = timedelta(seconds=age)
    heard = [Heard(state.process, state.began, NOW - aged, aged, state) for state in states]
    protocols = [a_protocol(a_seat("respiratory"), a_seat("circulation", "general", veto=("urgent-review",)))]
    overview = oversee(heard, protocols, {}, NOW)
    page = fleet_page(Watch(overview, findings(overview)), HERE)
    text = renderer().text("fleet_now", page=page)
    assert not re.search(r'="[^"]*\b(nan|inf)\b', text)
    for plot in re.findall(r'd="(M[^"]*)"', text):
        numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", plot)]
        assert all(0 <= number <= 300 for number in numbers), plot


def test_the_page_is_read_where_it_is() -> None:
    overview = oversee([Heard("one/1", NOW, NOW, timedelta(seconds=3), a_busy_fleet())], [], {}, NOW)
    page = fleet_page(
        Watch(overview, findings(overview)), Here(datetime(2026, 3, 2, 10, tzinfo=UTC), {}, UTC)
    )
    assert (page.at.text, page.zone, page.processes[0].heard) == ("2 March, 10:00:00", "UTC", "3\u00a0s ago")


def test_of_many_replies_the_page_says_that_it_draws_the_newest() -> None:
    drawn_ones = sketch(drawn(180, 900, 1))
    state = a_state(
        a_server(
            "s",
            a_replica("r", latency=replace(drawn_ones, count=1_200_000)),
            a_replica("q", latency=drawn_ones),
        )
    )
    overview = oversee([Heard("one/1", NOW, NOW, timedelta(seconds=3), state)], [], {}, NOW)
    (server,) = fleet_page(Watch(overview, ()), HERE).servers
    assert [card.measured for card in server.replicas] == ["the newest 900 replies", "900 replies"]


def test_what_is_withheld_stands_on_the_replica_with_its_cause() -> None:
    kept = (a_withheld("respiratory"), a_withheld("circulation"))
    state = a_state(a_server("s", a_replica("r", breaker("respiratory"), withheld=kept)))
    overview = oversee([Heard("one/1", NOW, NOW, timedelta(seconds=3), state)], [], {}, NOW)
    page = fleet_page(Watch(overview, ()), HERE)
    (card,) = page.servers[0].replicas
    assert [(row.models, row.cause) for row in card.withheld] == [
        ("circulation, respiratory", "withheld: not proven yet")
    ]
    assert (card.state, page.withheld) == ("troubled", 2)
    said = renderer().text("fleet_now", page=page)
    assert "2</strong> withheld" in said
    assert "withheld: not proven yet" in shown(Watch(overview, ()))
    assert "withheld\ts\tr\trespiratory\twithheld: not proven yet" in list(fleet_lines(Watch(overview, ())))


# --- drawings ----------------------------------------------------------------------------------------------------


def test_a_replica_ten_times_slower_is_drawn_to_the_right_on_the_same_axis() -> None:
    fast, slow = sketch(drawn(180, 900, 1)), sketch(drawn(1_800, 900, 2))
    axis = shared_axis([fast, slow])
    one, two = latency_plot(fast, axis), latency_plot(slow, axis)
    assert one is not None
    assert two is not None
    assert one.ticks == two.ticks
    assert one.p50 < one.p95 < one.p99
    # The axis is logarithmic: a factor of ten is a tick's distance.
    assert two.p50 - one.p50 == pytest.approx(one.ticks[1].x - one.ticks[0].x, rel=0.1)


def test_the_marks_of_an_axis_are_powers_of_ten() -> None:
    plot = latency_plot(sketch([150_000]), Axis(10_000, 1_000_000))
    assert plot is not None
    assert [tick.label.replace("\u00a0", " ") for tick in plot.ticks] == ["10 ms", "100 ms", "1 s"]
    assert [tick.x for tick in plot.ticks] == [4, 150, 296]


def test_without_a_reply_nothing_is_drawn() -> None:
    assert latency_plot(Latency(0, 0, 0, 0, ()), shared_axis([])) is None


@pytest.mark.parametrize(
    ("part", "whole", "filled", "high"),
    [(0, 32, 0, False), (16, 32, 50, False), (29, 32, 90.6, True), (99, 32, 100, True), (0, 0, 0, False), (1, 0, 100, True)],
)  # fmt: skip
def test_a_meter_is_never_fuller_than_full(part: int, whole: int, filled: float, high: bool) -> None:
    made = meter(part, whole, high_from=0.9)
    assert (made.filled, made.high) == (filled, high)


# --- headlines ---------------------------------------------------------------------------------------------------


def test_without_a_word_from_any_process_no_seat_is_said_to_be_askable() -> None:
    overview = oversee([], [a_protocol(a_seat("alpha"))], {}, NOW)
    assert headline(overview) == "How the seats stand is not known"
    assert fleet_page(Watch(overview, ()), HERE).answering == 0


# --- at a terminal -----------------------------------------------------------------------------------------------


def seen(*states: FleetState) -> Watch:
    heard = [Heard(state.process, state.began, NOW, timedelta(seconds=1), state) for state in states]
    overview = oversee(heard, [a_protocol(a_seat("respiratory"), a_seat("infection"))], {}, NOW)
    return Watch(overview, findings(overview))


def shown(watch: Watch, width: int = 160) -> str:
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(fleet_view(watch, UTC))
    return captured.get()


def test_the_terminal_says_the_same_as_the_page() -> None:
    watch = seen(a_busy_fleet())
    said = " ".join(shown(watch).split())
    for finding in watch.findings:
        assert finding.what in said
    assert "21 of 32" in said
    assert "as of 02 Mar 10:00:00" in said


def test_rich_markup_in_a_name_stays_words() -> None:
    assert "[bold]x[/bold]" in shown(seen(replace(a_busy_fleet(), process="[bold]x[/bold]")))


def test_an_installation_without_servers_is_told_so_at_a_terminal() -> None:
    words = shown(Watch(oversee([], [], {}, NOW), ()))
    assert words.startswith("expected model servers to watch")
    assert "where only scores sit on the panels there is no fleet to watch" in " ".join(words.split())


def test_a_fleet_that_nobody_tells_of_is_no_installation_without_servers() -> None:
    nobody = oversee([], [], {}, NOW)
    words = shown(Watch(nobody, findings(nobody, expected=True)))
    assert words.startswith("ALARM   No running process tells of the model servers")
    assert "no process tells of the fleet" in words


@given(st.lists(any_state, max_size=3))
def test_whatever_is_believed_can_be_shown_at_a_terminal_piped_and_parsed(states: list[FleetState]) -> None:
    watch = seen(*states)
    assert shown(watch, 80)
    for line in fleet_lines(watch):
        assert line.isprintable() or "\t" in line
        assert "\n" not in line
        assert "\x1b" not in line
    assert "\n" not in fleet_document(watch)


def test_a_spark_has_its_highest_bar_where_most_replies_fell() -> None:
    made = sketch([*drawn(200, 900, 1), 9_000_000])
    bounds = [bound for bound, _ in made.buckets]
    drawn_spark = spark(made, (bounds[0], bounds[-1]))
    assert drawn_spark.index("█") < len(drawn_spark) / 2
    assert drawn_spark[-1] == "▁"
    assert spark(Latency(0, 0, 0, 0, ()), (1, 1)) == ""
