"""Prints what the simulations came to, with what was assumed and what is promised beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from arbiter.calibrating.guarantee import Certified
from arbiter.question import Strategy
from benchmarks.adjudication import certifying, comparing, strata, watching
from benchmarks.adjudication.certifying import Kept
from benchmarks.adjudication.comparing import MEASURES, POSTERIOR, WAYS, Compared
from benchmarks.adjudication.judging import BINS, FLOOR, Mean
from benchmarks.adjudication.panels import LEAST_RIGHT, MOST_RIGHT
from benchmarks.adjudication.timing import Took
from benchmarks.adjudication.watching import Delays, FalseAlarms, Spread

AIM_US: Final = 300.0
DEAREST: Final = 8
_HEADS: Final = {
    "accuracy": "accuracy",
    "log_loss": "log loss, nats",
    "calibration_error": "calibration error",
}


def print_compared(settings: Iterable[Compared]) -> None:
    """Print each way to put members together, and how it differs from the posterior on the same cases."""
    print(
        f"\nSeven members, each right in {LEAST_RIGHT:.0%} to {MOST_RIGHT:.0%} of a truth's cases, a panel drawn anew each time. Fitted on "
        f"{comparing.FITTING} cases, tempered on {comparing.TEMPERING},\njudged on {comparing.JUDGED:,}. Means with standard "
        f"errors; in brackets the paired difference from the posterior and its z. Probabilities below {FLOOR} count\nas {FLOOR} in the "
        f"log loss; the calibration error is expected over {BINS} bins."
    )
    for compared in settings:
        setting = compared.setting
        print(
            f"\n{setting.name}: {compared.repetitions} panels, prior {' '.join(map(str, setting.prior))}, {_copying(compared)}\n"
            f"  each abstains in {setting.abstaining:.0%}, draws {setting.samples} samples, {_steady(compared)}, "
            f"{setting.invalid:.0%} invalid"
        )
        print(f"  {'':26s}" + "".join(f"   {_HEADS[measure]:36s}" for measure in MEASURES).rstrip())
        for way in WAYS:
            cells = (_cell(compared, way, measure) for measure in MEASURES)
            print(f"  {way:26s}" + "".join(f"   {cell:36s}" for cell in cells).rstrip())


def _copying(compared: Compared) -> str:
    if math.isnan(compared.within):
        return "all errors independent"
    return (
        f"members repeat their family's word in {compared.setting.copying:.0%}, "
        f"correlation of errors in a family {compared.within:.2f}"
    )


def _steady(compared: Compared) -> str:
    right, wrong = compared.setting.steady, compared.setting.steady_wrong
    if right == wrong:
        return f"{right:.0%} of them its word"
    return f"{right:.0%} of them its word if that is right, {wrong:.0%} if not"


def _cell(compared: Compared, way: str, measure: str) -> str:
    own = f"{compared.means[way, measure].value:.4f} ± {compared.means[way, measure].error:.4f}"
    if way == POSTERIOR:
        return own
    less: Mean = compared.less[way, measure]
    return f"{own}  ({less.value:+.4f}, z {less.z:+.1f})"


def print_certified(strata_kept: Sequence[tuple[str, Kept]]) -> None:
    """Print in how many runs a certificate was wrong, beside the share in which it may be."""
    print(
        f"\nCertified at alpha {certifying.ALPHA:.0%} and delta {certifying.DELTA:.0%}, the true rate known from the law. Panels are fitted on "
        f"{certifying.FITTING}, tempered on {certifying.TEMPERING} and certified\non {certifying.GUARANTEE:,} labelled cases, "
        f"scores on {certifying.SCORES} and {certifying.SCORES}. What is decided and how often wrongly: means over certificates, of the law."
    )
    print(
        f"  {'':34s} {'runs':>6s} {'certified':>10s} {'decided':>8s} {'wrong':>7s}   true rate exceeds alpha"
    )
    for name, kept in strata_kept:
        least, most = kept.between
        print(
            f"  {name:34s} {kept.runs:6,d} {kept.certified / kept.runs:10.1%} {_share(kept.decided):>8s} {_share(kept.rate):>7s}"
            f"   {kept.exceeded} runs, {kept.exceeded / kept.runs:.1%} ({least:.1%} to {most:.1%}), promised at most "
            f"{certifying.DELTA:.0%}"
        )


def print_rises(rises: Iterable[Delays]) -> None:
    """Print how long a rise went unseen, beside what the package states."""
    print(
        f"\nAn error rate among decided cases that rises; alpha {watching.ALPHA:.0%}, delta {watching.DELTA:.0%}, before the rise "
        f"{watching.BEFORE * watching.ALPHA:.1%}; {watching.SAMPLING:.0%} of decisions are audited"
    )
    print(f"  {'rises to':>8s} {'after':>10s} {'runs':>6s}   {'delay in audits':52s}   in decided cases")
    for rise in rises:
        print(
            f"  {rise.times * watching.ALPHA:8.1%} {rise.quiet:>3d} audits {rise.runs:6,d}   "
            f"{_delay(rise.audits, rise.stated_audits):52s}   {_delay(rise.decisions, rise.stated_decisions):52s}".rstrip()
        )


def _delay(spread: Spread, stated: float | None) -> str:
    told = "none" if stated is None else f"{stated:.0f}"
    return f"{spread.mean:.0f} ± {spread.error:.0f} (stated {told}), median {spread.median:.0f}, 90% {spread.ninety:.0f}"


def print_false_alarms(found: Iterable[FalseAlarms]) -> None:
    """Print how often a watch alarmed whose rate never rose."""
    print(
        f"\nAlarms without a rise, within {watching.WATCHED:,} audits; over all time at most {watching.DELTA:.0%}"
    )
    for alarms in found:
        least, most = alarms.between
        print(
            f"  true rate {alarms.times * watching.ALPHA:.1%}: {alarms.alarms} of {alarms.runs:,}, {alarms.alarms / alarms.runs:.1%} "
            f"({least:.1%} to {most:.1%}), exactly {alarms.exact:.2%}"
        )


def print_strata(lines: Iterable[strata.Protocol]) -> None:
    """Print what a prevalence lets through over all options, and what it does not option by option."""
    print(
        f"\nPrevalence {strata.PREVALENCE:.0%}, wards of {strata.CASES:,} cases to lay thresholds on and as many to certify on, "
        f"delta {strata.DELTA:.0%}"
    )
    for line in lines:
        print(
            f"  {line.panel:16s} {'all options' if len(line.options) > 1 else f'decided {line.options[0]!r}':14s} alpha {line.alpha:3.0%}: "
            f"certified in {line.passed:3d} of {line.wards} wards; {_shown(line.shown)}"
        )


def _shown(certified: Certified | None) -> str:
    if certified is None:
        return "no case led with it"
    if certified.threshold is None:
        failed = certified.path[0]
        return f"{failed.errors} of {failed.accepted:,} wrong, bound {failed.bound:.1%}: nothing is decided"
    return f"as with {certified.errors} of {certified.accepted:,} wrong, bound {certified.bound:.1%}"


def print_timing(found: Sequence[Took], parts: Mapping[str, float]) -> None:
    """Print how long deciding takes, as ratios to a majority with nobody missing, and where that goes."""
    base = next(took for took in found if took.strategy is Strategy.MAJORITY and not took.missing)
    print("\ndecide: seven members, three options, five samples a member, a policy that costs nothing")
    for took in found:
        aim = f"   aim {AIM_US:.0f} us" if took.strategy is Strategy.POSTERIOR and took.missing == 0 else ""
        print(
            f"  {took.strategy.value:10s} {took.missing} missing   p50 {took.median_us:9.0f} us   p90 {took.ninety_us:9.0f} us"
            f"   {took.median_us / base.median_us:6.1f} times a majority   ends in {took.kind}{aim}"
        )
    dearest = sorted(parts.items(), key=lambda item: -item[1])[:DEAREST]
    print("  by module, profiled: " + ", ".join(f"{name} {share:.0%}" for name, share in dearest))


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"
