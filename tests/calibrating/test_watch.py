"""The watch of several evidences: false alarms over long runs, how late rises are noticed, and what it gives up."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binom

from arbiter.calibrating import watch
from arbiter.calibrating.betting import STAKES, begin, expected_delay
from arbiter.calibrating.watch import MOST_BESIDE, Watch, begin_watch, longest_delay, share

ALPHA, DELTA, EVERY = 0.05, 0.05, 250


def alarms(errors: np.ndarray) -> np.ndarray:
    """When each run (a row) alarms, 0 for never: every evidence from its counts since its start, all runs at once."""
    times, shares = (np.array(column) for column in zip(*STAKES, strict=True))
    rate = times * ALPHA / (1 - ALPHA + times * ALPHA)
    first = np.full(len(errors), errors.shape[1] + 1)
    for at, start in enumerate(range(0, errors.shape[1], EVERY)):
        wrong = errors[:, start:].cumsum(axis=1)
        right = np.arange(1, wrong.shape[1] + 1) - wrong
        logs = wrong[..., None] * np.log(rate / ALPHA) + right[..., None] * np.log((1 - rate) / (1 - ALPHA))
        reached = (shares * np.exp(logs)).sum(axis=-1) >= (at + 1) * (at + 2) / DELTA
        found = np.where(reached.any(axis=1), start + 1 + reached.argmax(axis=1), errors.shape[1] + 1)
        first = np.minimum(first, found)
    return np.where(first > errors.shape[1], 0, first)


def run(errors: list[bool]) -> tuple[Watch, int]:
    """The watch at the end, and when it alarmed, 0 for never."""
    watching, alarmed = begin_watch(ALPHA, DELTA, EVERY), 0
    for at, error in enumerate(errors, 1):
        watching = watching.after(error)
        if watching.alarmed and not alarmed:
            alarmed = at
    return watching, alarmed


def test_it_alarms_when_the_second_implementation_does() -> None:
    chance = np.random.default_rng(20261127)
    rates = np.concatenate([np.full(600, 0.03), np.full(700, 0.11)])
    errors = chance.random((12, 1300)) < rates
    expected = alarms(errors).tolist()
    assert [run(row.tolist())[1] for row in errors] == expected
    assert sum(at > 0 for at in expected) > 8


def test_runs_at_the_limit_alarm_falsely_no_oftener_than_delta() -> None:
    errors = np.random.default_rng(5).random((1000, 1500)) < ALPHA
    assert np.count_nonzero(alarms(errors)) <= binom.ppf(0.999, 1000, DELTA)


def test_shares_sum_to_no_more_than_delta() -> None:
    exact = [Fraction(1, 20) / ((at + 1) * (at + 2)) for at in range(1000)]
    assert [share(at, DELTA) for at in range(1000)] == pytest.approx(
        [float(each) for each in exact], rel=1e-15
    )
    # A telescope: 1/2 + 1/6 + ... + 1/(n (n + 1)) is n / (n + 1).
    assert sum(exact) == Fraction(1, 20) * Fraction(1000, 1001)


def test_a_late_rise_is_noticed_within_the_stated_number_on_average_and_long_before_one_evidence_alone() -> (
    None
):
    stated = longest_delay(ALPHA, 0.1, DELTA, EVERY, quiet=1000, before=0.02)
    alone = expected_delay(ALPHA, 0.1, DELTA, quiet=1000, before=0.02)
    assert stated is not None
    assert alone is not None
    assert (round(stated), round(alone)) == (340, 1331)
    rates = np.concatenate([np.full(1000, 0.02), np.full(1500, 0.1)])
    found = alarms(np.random.default_rng(7).random((600, 2500)) < rates)
    assert np.count_nonzero(found) == 600
    after = found[found > 1000] - 1000
    assert after.mean() <= stated + 4 * after.std() / math.sqrt(len(after))
    assert after.mean() > 0.8 * stated


def test_an_early_rise_costs_little_more_than_with_one_evidence_of_all_of_delta() -> None:
    stated, alone = longest_delay(ALPHA, 0.1, DELTA, EVERY), expected_delay(ALPHA, 0.1, DELTA)
    assert stated is not None
    assert alone is not None
    assert stated == expected_delay(ALPHA, 0.1, DELTA / 2)
    assert 1.0 < stated / alone < 1.25


def test_a_start_that_is_soon_is_waited_for() -> None:
    """One audit before a start, what runs has 249 quiet audits to win back; the new evidence has none."""
    stated = longest_delay(ALPHA, 0.1, DELTA, EVERY, quiet=249, before=0.0)
    fresh = expected_delay(ALPHA, 0.1, DELTA / 6)
    assert fresh is not None
    assert stated == fresh + 1


def test_a_rate_within_the_limit_has_no_delay() -> None:
    assert longest_delay(ALPHA, ALPHA, DELTA, EVERY, quiet=600) is None


def test_beyond_16_the_evidence_farthest_from_its_alarm_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_BESIDE", 3)
    chance, watching = random.Random(3), begin_watch(ALPHA, DELTA, 50)
    for audits in range(1, 1001):
        error = chance.random() < 0.04
        moved = [evidence.after(error) for evidence in watching.running]
        watching = watching.after(error)
        assert len(watching.running) <= 3
        if audits % 50 == 0 and len(moved) == 3:
            farthest = min(moved, key=lambda evidence: evidence.log_value - math.log(1 / evidence.delta))
            assert list(watching.running[:-1]) == [evidence for evidence in moved if evidence != farthest]
    assert watching.begun == 21
    assert watching.running[-1] == begin(ALPHA, share(20, DELTA))


def test_an_alarm_stays_when_its_evidence_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_BESIDE", 2)
    watching, alarmed = run([True] * 10 + [False] * 2000)
    assert alarmed == 4
    assert not any(evidence.alarmed for evidence in watching.running)
    assert watching.alarmed


@pytest.mark.parametrize("every", [0, -5])
def test_new_evidence_needs_an_audit_between(every: int) -> None:
    for ask in (lambda: begin_watch(ALPHA, DELTA, every), lambda: longest_delay(ALPHA, 0.1, DELTA, every)):
        with pytest.raises(ValueError, match=f"expected new evidence after at least one audit, got {every}"):
            ask()


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, math.nan])
def test_levels_must_lie_between_0_and_1(level: float) -> None:
    with pytest.raises(ValueError, match="expected alpha between 0 and 1"):
        begin_watch(level, DELTA, EVERY)
    for ask in (lambda: begin_watch(ALPHA, level, EVERY), lambda: share(0, level)):
        with pytest.raises(ValueError, match="expected delta between 0 and 1"):
            ask()


def test_positions_and_quiet_audits_below_0_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a position from 0, got -1"):
        share(-1, DELTA)
    with pytest.raises(ValueError, match="expected a number of quiet audits from 0, got -1"):
        longest_delay(ALPHA, 0.1, DELTA, EVERY, quiet=-1)


@pytest.mark.parametrize("error", [-0.1, 1.1, math.nan])
def test_what_is_no_error_is_refused(error: float) -> None:
    with pytest.raises(ValueError, match="expected an error from 0 to 1"):
        begin_watch(ALPHA, DELTA, EVERY).after(error)


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("pieces", [1, 7])
def test_many_audits_at_once_are_what_they_are_one_by_one(rate: float, pieces: int) -> None:
    dice = random.Random(pieces)
    errors = [dice.random() < rate for _ in range(500)]
    one_by_one = at_once = begin_watch(0.05, 0.05, 23)
    for error in errors:
        one_by_one = one_by_one.after(error)
    for piece in range(pieces):
        at_once = at_once.after_all(errors[piece * 500 // pieces : (piece + 1) * 500 // pieces])
    assert one_by_one.begun > MOST_BESIDE, "some have been given up"
    assert at_once == one_by_one
