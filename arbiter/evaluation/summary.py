"""Says the most important of a report in plain sentences, each a template filled with its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from arbiter.evaluation.figures.answers import StrategyFigures
from arbiter.evaluation.figures.members import Agreement, Contributions, MemberFigures, Seen
from arbiter.evaluation.figures.report import Decisions, ServiceCalibration
from arbiter.evaluation.rates import Rate
from arbiter.model import MemberStatus, ReasonCode


def percent(value: float | None) -> str:
    """Return a share in percent with one decimal."""
    return "not known" if value is None else f"{100 * value:.1f} %"


def rate_words(rate: Rate) -> str:
    """Return a rate with its interval and counts."""
    if rate.value is None or rate.low is None or rate.high is None:
        return "not known (no case)"
    return f"{percent(rate.value)} ({100 * rate.low:.1f} to {100 * rate.high:.1f}; {rate.count:,} of {rate.of:,})"


def _counted(rate: Rate) -> str:
    return f"{rate.count:,} of the {rate.of:,} cases ({percent(rate.value)})"


def summary(
    seen: Seen,
    members: Sequence[MemberFigures],
    agreements: Sequence[Agreement],
    decisions: Decisions | None,
    calibration: ServiceCalibration,
) -> tuple[str, ...]:
    """Return the sentences."""
    asked = sum(part.asked for part in seen.parts)
    excluded = sum(part.excluded for part in seen.parts)
    refused = sum(part.refused for part in seen.parts)
    said = [
        (
            f"{seen.cases:,} labelled cases: {asked:,} were put to the panel of {len(members)} members, {excluded:,} the question "
            f"excludes and a clinician sees at once, {refused:,} intake refuses."
        )
    ]
    if decisions is None:
        said.append(
            "Nobody on this panel votes on the question: its members answer facets and a clinician always decides. So no "
            "accuracy of a decision can be stated; what follows is what members said and how far they agree."
        )
        said += _of_advice(seen, members, asked)
    else:
        said.append(calibration_words(calibration))
        said += _of_decisions(decisions)
    said += [
        f"On “{each.title}” members agree beyond chance with Krippendorff's alpha {each.alpha:.2f} (1 is always, 0 is chance)."
        for each in agreements
        if each.alpha is not None
    ]
    alone = [
        f"“{asks}”" for asks, number in Counter(member.asks for member in members).items() if number == 1
    ]
    if alone:
        said.append(f"With one member alone, and so nobody to agree with: {', '.join(alone)}.")
    return tuple(said)


def _of_advice(seen: Seen, members: Sequence[MemberFigures], asked: int) -> Iterator[str]:
    """Say what a clinician gets who always decides: from whom, and how often something is missing."""
    if not asked:
        return
    lacking = next((each.count for each in seen.reasons if each.name == ReasonCode.FACTS_MISSING), 0)
    valid = {
        member.title: sum(each.count for each in member.statuses if each.name == MemberStatus.VALID)
        for member in members
    }
    least = min(valid, key=valid.__getitem__)
    yield (
        f"A clinician would see each of the {asked:,} cases put to the panel with what its members said; in {lacking:,} "
        f"({percent(lacking / asked)}) one of them lacked a fact. {least} could answer least often, in {valid[least]:,} "
        f"({percent(valid[least] / asked)})."
    )


def calibration_words(calibration: ServiceCalibration) -> str:
    """Return what the service as configured decided by, and what that leaves out."""
    if calibration.content_hash is None:
        return f"The service as configured used no calibration: {calibration.why_none}."
    told = (
        f"The service as configured decided by the calibration in the bundle, {calibration.content_hash[:16]}"
        f"{', made of invented labels' if calibration.synthetic else ''}. Which calibrations persons approved, and the mode of an "
        "installation, are not considered."
    )
    if not calibration.of_these_cases:
        return told
    return (
        f"{told} It was made of these very cases: every figure of the service is of the cases that certified it, and says less of "
        "others than it seems to. Evaluate with other cases."
    )


def _of_decisions(decisions: Decisions) -> Iterator[str]:
    ways = {way.name: way for way in decisions.strategies}
    service, posterior = ways["service"], ways["posterior"]
    held_out = service.to_human.of
    yield (
        f"All that follows is of the {held_out:,} held-out cases. As configured, the service would decide "
        f"{percent(service.coverage.value)} of those put to the panel and be right in {rate_words(service.accuracy)} of its "
        f"decisions; a clinician would see {percent(service.to_human.value)} of all."
    )
    for title, wrong in zip(decisions.option_titles, service.wrong_by_truth, strict=True):
        yield f"Of the cases in which “{title}” is right it would decide otherwise, with no clinician asked, in {rate_words(wrong)}."
    best = ways["best-member"]
    yield (
        f"Wherever it answers, in {_counted(posterior.coverage)} put to the panel, the posterior alone is right in "
        f"{rate_words(posterior.accuracy)}; the member that did best on the fitting cases, alone, answers "
        f"{_counted(best.coverage)} and is right in {rate_words(best.accuracy)}."
    )
    yield from _of_guarantee(decisions, ways["posterior-certified"])
    calibration = decisions.calibration
    yield (
        f"What the posterior calls its confidence is off by {100 * calibration.ece:.1f} percentage points on average (expected "
        "calibration error)."
    )
    if decisions.contributions is not None:
        yield _of_members(decisions.contributions)
    small = [group for group in decisions.subgroups if group.small]
    apart = [group for group in decisions.subgroups if _is_apart(group.gap.low, group.gap.high)]
    if decisions.unshown.groups:
        yield (
            f"Groups too small to show, of fewer than {decisions.settings.least_group} cases: {decisions.unshown.groups}, with "
            f"{decisions.unshown.cases} cases together."
        )
    if decisions.subgroups:
        names = ", ".join(f"{group.kind} {group.group}" for group in apart) or "none"
        yield (
            f"Groups whose accuracy differs from all others' by more than chance explains at 95 %, one by one: {names}. "
            f"Groups too small to say much: {len(small)} of {len(decisions.subgroups)}."
        )


def _is_apart(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and (low > 0.0 or high < 0.0)


def _of_guarantee(decisions: Decisions, certified: StrategyFigures) -> Iterator[str]:
    confidence = percent(1 - decisions.settings.delta)
    for curve in decisions.risk:
        point = curve.certified
        if point is None:
            continue
        if point.alpha is None:
            yield f"“{curve.title}”: the protocol bounds no error rate for it, so a clinician always decides."
        elif point.threshold is None or point.bound is None:
            yield (
                f"“{curve.title}”: with these cases nothing is certified for the posterior alone, whatever policy and quorum would have "
                f"said, at an error rate of at most {percent(point.alpha)} and confidence {confidence}. What the whole decision may be "
                "certified for is another set of cases; `arbiter calibrate` says it."
            )
        else:
            above = f"above a posterior of {point.threshold:.3f}"
            where = above if point.threshold > 0.0 else "wherever the posterior leads with it"
            yield (
                f"“{curve.title}”: for the posterior alone, without quorum and policy, {where} the error rate is at most "
                f"{percent(point.bound)} at confidence {confidence} ({point.errors:,} wrong of {point.accepted:,} accepted; "
                f"{percent(point.coverage)} of the cases that lead with it)."
            )
    missed = "; ".join(
        f"“{title}” {rate_words(wrong)}"
        for title, wrong in zip(decisions.option_titles, certified.wrong_by_truth, strict=True)
    )
    # A bound of what is decided for an option says nothing of how many cases of another one are lost to it.
    yield (
        "Deciding by the posterior alone, without quorum and policy, and only where that is certified would leave "
        f"{percent(certified.to_human.value)} of all cases to a clinician. Of the cases in which an option is right it would decide "
        f"otherwise: {missed}."
    )


def _of_members(contributions: Contributions) -> str:
    order = sorted(contributions.members, key=lambda each: -(each.shapley_accuracy.value or 0.0))
    first, last = order[0], order[-1]
    return (
        f"Of the {100 * (contributions.whole_accuracy - contributions.prior_accuracy):.1f} percentage points that the panel's "
        f"posterior gains over guessing by how frequent options are, {first.title} brings most "
        f"({100 * (first.shapley_accuracy.value or 0.0):.1f}) and {last.title} least ({100 * (last.shapley_accuracy.value or 0.0):.1f}; "
        "Shapley values)."
    )
