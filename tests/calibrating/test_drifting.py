"""A protocol version's streams together: shares of delta, the sample, alarms, beginning anew, windows of agreement."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import krippendorff
import numpy as np
import pytest
from scipy.stats import binom

from arbiter.calibrating.agreement import Agreement
from arbiter.calibrating.bins import Stream
from arbiter.calibrating.drifting import (
    MOST_SHOWN,
    Run,
    Watched,
    Window,
    begin_anew,
    begin_watching,
    fitted,
    observe,
    share,
)
from arbiter.calibrating.exchangeability import Jumper

STREAMS = (Stream("fact.a", 6), Stream("fact.b", 6), Stream("panel.valid", 4))
NEVER = 10**9


def fresh(delta: float = 0.05, reference: int = 60) -> Watched:
    return begin_watching(STREAMS, ("question",), delta, reference)


def fed(watched: Watched, rows: np.ndarray, chance: np.random.Generator) -> tuple[Watched, list[Run]]:
    """The watch after cases, a row each with a bin a stream, and what alarmed on the way."""
    alarmed: list[Run] = []
    for row in rows.tolist():
        bins = {stream.name: at for stream, at in zip(STREAMS, row, strict=True)}
        seen = observe(watched, bins, chance.random(len(STREAMS)).tolist(), {}, NEVER)
        watched = seen.watched
        alarmed += seen.alarmed
    return watched, alarmed


def calm(chance: np.random.Generator, cases: int) -> np.ndarray:
    return np.stack([chance.integers(0, stream.bins, cases) for stream in STREAMS], axis=1)


# --- shares of delta ----------------------------------------------------------------------------------------------


def test_all_runs_of_all_streams_together_have_delta_at_most() -> None:
    for streams in (1, 7, 40):
        shares = [Fraction(share(0.05, streams, number)) for number in range(200)]
        assert streams * sum(shares) <= Fraction(0.05) * (1 + Fraction(1, 10**12))
        assert streams * sum(shares) > Fraction(0.05) * Fraction(999, 1000)


def test_each_run_has_half_of_the_share_of_the_one_before() -> None:
    watched = fresh()
    for number in range(4):
        run = watched.run("fact.b")
        assert run is not None
        assert run.drift.delta == 0.05 / 3 / 2 ** (number + 1)
        assert run.number == number
        watched = begin_anew(watched, "fact.b")
    other = watched.run("fact.a")
    assert other is not None
    assert other.drift.delta == 0.05 / 3 / 2


@pytest.mark.parametrize(("streams", "number"), [(0, 0), (-1, 0), (3, -1)])
def test_a_share_of_nothing_is_refused(streams: int, number: int) -> None:
    with pytest.raises(ValueError, match="expected at least one stream"):
        share(0.05, streams, number)


def test_all_streams_together_alarm_no_more_often_than_delta_while_nothing_changes() -> None:
    chance, runs, delta = np.random.default_rng(20261127), 120, 0.3
    alarms = sum(bool(fed(fresh(delta, 30), calm(chance, 180), chance)[1]) for _ in range(runs))
    assert alarms <= binom.ppf(0.999, runs, delta)


# --- alarms -------------------------------------------------------------------------------------------------------


def moved(chance: np.random.Generator, cases: int) -> np.ndarray:
    rows = calm(chance, cases)
    rows[:, 1] = chance.integers(4, 6, cases)
    return rows


def test_a_stream_that_moves_alarms_once_and_the_others_do_not() -> None:
    chance = np.random.default_rng(3)
    watched, before = fed(fresh(), calm(chance, 300), chance)
    assert before == []
    watched, alarmed = fed(watched, moved(chance, 300), chance)
    assert [run.stream for run in alarmed] == ["fact.b"]
    assert watched.cases == 600


def test_a_change_within_the_sample_is_no_alarm() -> None:
    """What the first cases are, is what is to be expected: no martingale moves until they are whole."""
    chance = np.random.default_rng(5)
    watched, alarmed = fed(fresh(reference=200), moved(chance, 100), chance)
    watched, more = fed(watched, calm(chance, 100), chance)
    assert alarmed == more == []
    assert all(run.one_in is None and run.drift.place == Jumper() for run in watched.runs)


def test_a_stream_begun_anew_takes_what_comes_for_its_sample() -> None:
    chance = np.random.default_rng(7)
    watched, _ = fed(fresh(), calm(chance, 100), chance)
    watched, alarmed = fed(watched, moved(chance, 300), chance)
    assert [run.stream for run in alarmed] == ["fact.b"]
    anew = begin_anew(watched, "fact.b")
    after, again = fed(anew, moved(chance, 400), chance)
    assert again == []
    _, back = fed(after, calm(chance, 400), chance)
    assert [(run.stream, run.number) for run in back] == [("fact.b", 1)]


def test_beginning_one_anew_leaves_the_others_as_they_are() -> None:
    chance = np.random.default_rng(9)
    watched, _ = fed(fresh(), calm(chance, 100), chance)
    anew = begin_anew(watched, "fact.b")
    assert [run for run in anew.runs if run.stream != "fact.b"] == [
        run for run in watched.runs if run.stream != "fact.b"
    ]
    run = anew.run("fact.b")
    assert run is not None
    assert run.drift.seen == 0


@pytest.mark.parametrize("stream", ["fact.c", "", "FACT.B"])
def test_a_stream_that_is_not_watched_does_not_begin_anew(stream: str) -> None:
    with pytest.raises(ValueError, match=r"expected one of fact.a, fact.b, panel.valid"):
        begin_anew(fresh(), stream)


def test_a_case_without_a_bin_for_a_stream_is_refused() -> None:
    with pytest.raises(KeyError):
        observe(fresh(), {"fact.a": 0, "fact.b": 1}, [0.1, 0.2, 0.3], {}, NEVER)


def test_a_case_without_a_theta_for_a_stream_is_refused() -> None:
    bins = {stream.name: 0 for stream in STREAMS}
    with pytest.raises(ValueError, match="zip"):
        observe(fresh(), bins, [0.1, 0.2], {}, NEVER)


# --- another release ----------------------------------------------------------------------------------------------


def test_what_is_sorted_as_before_goes_on_as_it_was() -> None:
    chance = np.random.default_rng(15)
    watched, _ = fed(fresh(), calm(chance, 100), chance)
    assert fitted(watched, STREAMS, ("question",)) is watched


@pytest.mark.parametrize(
    ("streams", "asked"),
    [
        (STREAMS[:2], ("question",)),
        ((*STREAMS, Stream("fact.c", 3)), ("question",)),
        ((Stream("fact.a", 7), *STREAMS[1:]), ("question",)),
        (STREAMS[::-1], ("question",)),
        (STREAMS, ("question", "sepsis-risk")),
    ],
    ids=["one gone", "one more", "other bins", "another order", "another facet"],
)
def test_what_is_sorted_otherwise_begins_anew_behind_every_run_there_was(
    streams: tuple[Stream, ...], asked: tuple[str, ...]
) -> None:
    chance = np.random.default_rng(17)
    watched, _ = fed(fresh(), calm(chance, 100), chance)
    before = begin_anew(begin_anew(watched, "fact.a"), "fact.a")
    after = fitted(before, streams, asked)
    assert [(run.stream, run.number, run.drift.seen) for run in after.runs] == [
        (stream.name, 3, 0) for stream in streams
    ]
    assert [len(run.drift.counts) for run in after.runs] == [stream.bins for stream in streams]
    assert [window.asks for window in after.windows] == list(asked)
    spent = sum(Fraction(share(0.05, len(STREAMS), number)) for number in range(3)) * len(STREAMS)
    to_come = sum(Fraction(share(0.05, len(streams), number)) for number in range(3, 300)) * len(streams)
    assert spent + to_come <= Fraction(0.05) * (1 + Fraction(1, 10**12))
    assert sum(run.drift.delta for run in after.runs) == pytest.approx(0.05 / 16)


# --- evidence -----------------------------------------------------------------------------------------------------


def test_evidence_is_the_most_the_martingale_was_worth_and_shown_up_to_a_limit() -> None:
    chance = np.random.default_rng(11)
    watched, _ = fed(fresh(), calm(chance, 61), chance)
    (run, *_) = watched.runs
    assert run.one_in == pytest.approx(math.exp(run.drift.highest))
    sure = replace(run, drift=replace(run.drift, highest=5_000.0))
    assert sure.one_in == pytest.approx(MOST_SHOWN)


# --- agreement ----------------------------------------------------------------------------------------------------


def test_windows_follow_each_other_and_each_has_the_alpha_of_its_own_cases() -> None:
    chance, watched = np.random.default_rng(13), fresh()
    said = chance.choice(["yes", "no"], size=(75, 3)).tolist()
    bins = {stream.name: 0 for stream in STREAMS}
    ended: list[Window] = []
    for row in said:
        seen = observe(watched, bins, [0.5] * 3, {"question": row}, 25)
        watched = seen.watched
        ended += seen.ended
    assert [(window.number, window.agreement.units) for window in ended] == [(0, 25), (1, 25), (2, 25)]
    for window in ended:
        part = said[25 * window.number : 25 * window.number + 25]
        counts = np.array([[row.count("yes"), row.count("no")] for row in part])
        expected = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
        assert window.agreement.alpha == pytest.approx(expected, abs=1e-9)
    assert watched.windows[0].agreement == Agreement()


def test_a_window_of_silent_members_has_no_alpha() -> None:
    bins = {stream.name: 0 for stream in STREAMS}
    seen = observe(fresh(), bins, [0.5] * 3, {"question": [None, None]}, 1)
    assert [window.agreement.alpha for window in seen.ended] == [None]
