"""The simulations of adjudication: laws and judging against second implementations, and a quick run of the whole."""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare
from sklearn.metrics import log_loss

from arbiter.calibrating.correlation import correlations
from arbiter.calibrating.guarantee import is_accepted
from benchmarks.adjudication import certifying, comparing, strata, watching
from benchmarks.adjudication.judging import judge, mean
from benchmarks.adjudication.panels import draw_cases, draw_panel, labelled, law
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[1]


def run(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.adjudication", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout)


def share(printed: str, line: str) -> float:
    """Return the first percentage after this beginning of a printed line."""
    found = re.search(rf"^ *{re.escape(line)}.*?([\d.]+)%", printed, re.MULTILINE)
    assert found, line
    return float(found[1]) / 100


# --- the whole, quickly


@pytest.mark.timeout(400)
def test_a_quick_run_prints_every_table_and_what_is_certain_even_there() -> None:
    done = run("all", "--quick", timeout=390)
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    for setting in (comparing.SETTINGS[0], comparing.SETTINGS[-1]):
        assert f"{setting.name}: 2 panels" in printed
    for way in comparing.WAYS:
        assert len(re.findall(rf"^  {re.escape(way)} +0\.\d+ ± 0\.\d+", printed, re.MULTILINE)) == 2, way
    for stratum in ("a panel, decided for option 1", "a panel, decided for option 2"):
        assert share(printed, stratum) > 0, "something is certified"
    assert len(re.findall(r"promised at most 5%$", printed, re.MULTILINE)) == 4
    assert len(re.findall(r"\(stated \d+\).*\(stated \d+\)", printed)) == 2 * len(watching.RISES)
    assert re.search(r"true rate 5\.0%: \d+ of 20", printed)
    # A rare condition passes for no certificate that asks about it.
    assert re.search(r"always no +decided 'yes' +alpha +5%: certified in +0 of 2 wards", printed)
    assert re.search(r"always no +decided 'no' +alpha +1%: certified in +0 of 2 wards", printed)
    assert re.search(r"sees 95 of 100 +decided 'no' +alpha +1%: certified in +2 of 2 wards", printed)
    assert re.search(r"posterior +0 missing +p50 +\d+ us .* aim 300 us", printed)
    assert len(re.findall(r"missing .* ends in decide", printed)) == 8, "all completions were weighed"


def test_too_few_runs_are_refused() -> None:
    done = run("simulate", "--runs", "3", timeout=PATIENCE_SECONDS)
    assert done.returncode == 2
    assert "at least 20" in done.stderr


def test_what_cannot_be_measured_is_refused() -> None:
    assert run("simulated", timeout=PATIENCE_SECONDS).returncode == 2


# --- panels


def test_what_panels_are_seen_to_say_is_what_the_law_says_they_do() -> None:
    chance = random.Random(1)
    panel = draw_panel(certifying.PANEL, chance)
    probabilities = {
        (said, truth): each for said, chances in law(panel) for truth, each in enumerate(chances)
    }
    assert len(probabilities) == 2 * 3**7
    assert math.fsum(probabilities.values()) == pytest.approx(1.0, abs=1e-12)
    size = 30_000
    seen = Counter((case.answers, case.truth) for case in draw_cases(panel, size, chance))
    assert set(seen) <= set(probabilities)
    often = [what for what, each in probabilities.items() if each * size >= 5]
    rest_seen = size - sum(seen[what] for what in often)
    rest = size - math.fsum(size * probabilities[what] for what in often)
    tested = chisquare(
        [*(seen[what] for what in often), rest_seen], [*(size * probabilities[what] for what in often), rest]
    )
    assert tested.pvalue > 0.001


def test_the_law_of_members_that_copy_tells_them_from_members_that_do_not() -> None:
    chance = random.Random(2)
    panel = draw_panel(certifying.PANEL, chance)
    alone = replace(panel, setting=replace(panel.setting, copying=0.0))
    copies = dict(law(panel))
    assert any(abs(each[0] - copies[said][0]) > 0.001 for said, each in law(alone))


@pytest.mark.parametrize(
    "changes", [{"samples": 5}, {"steady": 0.8}, {"steady_wrong": 0.8}, {"invalid": 0.03}]
)
def test_a_panel_that_can_say_too_much_has_no_law_to_sum(changes: dict[str, Any]) -> None:
    panel = draw_panel(certifying.PANEL, random.Random(3))
    with pytest.raises(ValueError, match="one sample a member"):
        next(law(replace(panel, setting=replace(panel.setting, **changes))))


def test_members_of_one_family_err_together_and_those_of_others_do_not() -> None:
    setting, chance = comparing.SETTINGS[0], random.Random(6)
    cases = labelled(draw_cases(draw_panel(setting, chance), 2_000, chance), len(setting.prior))
    found = correlations(cases, setting.families, shrinkage=0.0, family_prior=0.0)
    by_family: dict[bool, list[float]] = {True: [], False: []}
    for one, other in combinations(range(len(setting.families)), 2):
        by_family[setting.families[one] == setting.families[other]].append(found[one][other])
    assert min(by_family[True]) > 0.2
    assert max(map(abs, by_family[False])) < 0.1


# --- judging


def test_judging_agrees_with_scikit_learn_and_with_bins_by_numpy() -> None:
    chance = np.random.default_rng(4)
    said = chance.dirichlet((2.0, 1.0, 0.5), size=500)
    truths = [int(chance.choice(3, p=row)) for row in said]
    judged = judge([tuple(map(float, row)) for row in said], truths)
    assert judged.accuracy == pytest.approx(float(np.mean(said.argmax(axis=1) == truths)))
    floored = np.maximum(said, 0.001)
    picked = floored[np.arange(500), truths]
    assert judged.log_loss == pytest.approx(float(-np.log(picked).mean()))
    assert judged.log_loss == pytest.approx(float(log_loss(truths, said)), abs=0.02)
    top, right = said.max(axis=1), said.argmax(axis=1) == truths
    bins = np.minimum((top * 10).astype(int), 9)
    gap = sum(
        abs(top[bins == at].mean() - right[bins == at].mean()) * (bins == at).mean() for at in set(bins)
    )
    assert judged.calibration_error == pytest.approx(float(gap))


def test_a_tie_is_half_right_and_a_share_of_none_is_no_infinite_loss() -> None:
    judged = judge([(0.5, 0.5), (1.0, 0.0)], [0, 1])
    assert judged.accuracy == 0.25
    assert judged.log_loss == pytest.approx((math.log(2) + math.log(1000)) / 2)


def test_one_who_is_surer_than_right_has_a_calibration_error() -> None:
    assert judge([(0.9, 0.1)] * 10, [0] * 6 + [1] * 4).calibration_error == pytest.approx(0.3)
    assert judge([(0.6, 0.4)] * 10, [0] * 6 + [1] * 4).calibration_error == pytest.approx(0.0)


def test_a_mean_has_the_standard_error_of_the_textbook() -> None:
    assert mean([1.0, 2.0, 3.0]).value == 2.0
    assert mean([1.0, 2.0, 3.0]).error == pytest.approx(1 / math.sqrt(3))
    assert mean([2.0, 2.0]).z == math.inf
    assert mean([0.0, 0.0]).z == 0.0


# --- certificates, watches, strata


def test_a_true_rate_summed_from_the_law_is_that_of_many_cases() -> None:
    chance = random.Random(5)
    panel = draw_panel(certifying.PANEL, chance)
    # A score that is no probability will do: how many say the first option.
    score = {said: sum(counts == (1, 0) for counts in said) / 7 for said, _ in law(panel)}
    outcome = certifying._true([(score[said], sum(each), each[0]) for said, each in law(panel)], 0.5)
    decided = [case for case in draw_cases(panel, 20_000, chance) if is_accepted(score[case.answers], 0.5)]
    wrong = sum(case.truth != 0 for case in decided) / len(decided)
    assert len(decided) / 20_000 == pytest.approx(outcome.decided, abs=0.015)
    assert wrong == pytest.approx(outcome.rate, abs=0.015)


def test_a_certificate_that_nothing_could_rightly_have_is_always_counted_as_exceeded() -> None:
    found = [certifying.run_above(f"above {number}") for number in range(60)]
    kept = certifying.count(found)
    assert kept.exceeded == kept.certified
    assert certifying.count([certifying.NONE] * 3).exceeded == 0
    assert math.isnan(certifying.count([certifying.NONE] * 3).rate)


def test_the_same_seed_is_the_same_run_and_another_is_another() -> None:
    assert certifying.run_panel("one") == certifying.run_panel("one")
    assert watching.rise(2.0, 50, "one") == watching.rise(2.0, 50, "one")
    assert len({watching.rise(2.0, 0, f"seed {number}") for number in range(10)}) > 5


def test_rises_are_seen_as_soon_as_the_package_states() -> None:
    found = watching.spread(3.0, 20, [watching.rise(3.0, 20, f"delay {number}") for number in range(400)])
    assert found.stated_audits is not None
    assert found.stated_decisions is not None
    assert found.stated_decisions == pytest.approx(found.stated_audits / watching.SAMPLING)
    assert abs(found.audits.mean - found.stated_audits) < 4 * found.audits.error
    assert abs(found.decisions.mean - found.stated_decisions) < 4 * found.decisions.error


def test_a_panel_that_always_says_no_is_certified_for_no_option_below_prevalence() -> None:
    lines = strata.count(strata.SEES_NOTHING, [strata.ward(strata.SEES_NOTHING, str(at)) for at in range(2)])
    passed = {(line.options, line.alpha): line.passed for line in lines}
    assert passed[("no",), 0.01] == 0
    assert passed[("yes",), 0.05] == 0
