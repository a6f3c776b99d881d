"""Decides, or says every reason why a human must: pure, standard library only, the same for any order of opinions.

Nothing here reads a clock, draws a number or asks anybody. Sums are `math.fsum` in the order of the seats, measures
are kept as 6-decimal strings, and what lies within 1e-6 of a threshold is not decided. The policy never decides
against the panel: it can only permit, deny, or take options away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from arbiter.adjudication.aggregation import NEAR, Lead, Tally, lead, tally
from arbiter.adjudication.bench import Bench, Heard, count_valid, facets_heard, hear
from arbiter.adjudication.disagreement import Disagreement, measure, self_consistency
from arbiter.adjudication.quorum import (
    MOST_COMPLETIONS,
    completions,
    quorum_reasons,
    veto_reasons,
)
from arbiter.adjudication.records import record_reasons
from arbiter.adjudication.words import fact_title, listed, option_title, quoted, what_became
from arbiter.errors import UndecidableError
from arbiter.model import (
    MemberStatus,
    Opinion,
    PolicyOutcome,
    Reason,
    ReasonCode,
    RuleEffect,
    Verdict,
    VerdictKind,
)
from arbiter.question import Strategy

Policy: TypeAlias = Callable[[Mapping[str, str], int], PolicyOutcome]
"""The hospital's word for given answers to the facets and a number of valid voting members."""

_ORDER: Final = {code: place for place, code in enumerate(ReasonCode)}
_QUORUM_ONLY: Final = frozenset(
    {
        ReasonCode.REQUIRED_MEMBER,
        ReasonCode.TOO_FEW_VALID,
        ReasonCode.TOO_FEW_FAMILIES,
        ReasonCode.TOO_FEW_EFFECTIVE,
        # Fewer members leave more doubt; whether more would leave less, supposing their answers shows.
        ReasonCode.NOT_CERTIFIED,
        # A rule may wait for enough members; whether it then permits, supposing their answers shows.
        ReasonCode.POLICY_SILENT,
    }
)


_OF_DISAGREEMENT: Final = frozenset({ReasonCode.NO_MAJORITY})
"""What members that disagree bring about without more."""


def decide(bench: Bench, opinions: Sequence[Opinion], policy: Policy) -> Verdict:
    """Return the verdict on a case.

    Where members are missing, every answer they could have given is put in their place and the whole decision is made
    again, policy included: the panel decides only if all of these agree.

    Raises:
        UndecidableError: when an opinion must not be weighed with the others (see `hear`), or the policy speaks of
            options that the question lacks.
    """
    return decide_heard(bench, hear(bench, opinions), policy)


def decide_heard(bench: Bench, heard: Sequence[Heard], policy: Policy) -> Verdict:
    """Return the verdict on what was heard, one voice a seat in the order of the seats; see `decide`."""
    verdict = _settle(bench, heard, policy)
    wanted = _wanted_facts(bench, heard, policy, verdict)
    if not wanted:
        return verdict
    reasons = _in_order(
        [
            *verdict.reasons,
            Reason(ReasonCode.FACTS_MISSING, listed([fact_title(bench.protocol, name) for name in wanted])),
        ]
    )
    return Verdict(VerdictKind.ASK_FACTS, None, verdict.leading, reasons, wanted, verdict.numbers)


def escalation(reasons: Iterable[Reason], before: Verdict | None = None) -> Verdict:
    """Return a verdict that hands the case to a human for reasons of the workflow's own.

    `before` is what adjudication had said, whose reasons, lean and numbers are kept.
    """
    if before is None:
        return Verdict(VerdictKind.ESCALATE, None, None, _in_order(reasons), (), ())
    kept = [reason for reason in before.reasons if reason.code is not ReasonCode.FACTS_MISSING]
    return Verdict(
        VerdictKind.ESCALATE, None, before.leading, _in_order([*reasons, *kept]), (), before.numbers
    )


def _settle(bench: Bench, heard: Sequence[Heard], policy: Policy) -> Verdict:
    """Weigh what was heard, and again with each answer that the missing members could have given."""
    verdict = _weigh(bench, heard, policy)
    missing = [voice for voice in heard if voice.is_missing]
    # What only advises comes to the same whatever its missing members would have said: a clinician decides.
    if not missing or bench.only_advises:
        return verdict
    who = "; ".join(f"{voice.seat.title} {what_became(bench.protocol, voice)}" for voice in missing)
    supposed = completions(bench, heard, missing, or_abstains=True)
    if supposed is None:
        who += f"; more than {MOST_COMPLETIONS} ways in which they could have answered"
    elif all(_same(_weigh(bench, completed, policy), verdict) for completed in supposed):
        return verdict
    reasons = _in_order([*verdict.reasons, Reason(ReasonCode.MISSING_COULD_CHANGE, who)])
    return Verdict(VerdictKind.ESCALATE, None, verdict.leading, reasons, (), verdict.numbers)


def _same(one: Verdict, other: Verdict) -> bool:
    return (one.kind, one.option) == (other.kind, other.option)


def _wanted_facts(bench: Bench, heard: Sequence[Heard], policy: Policy, verdict: Verdict) -> tuple[str, ...]:
    """Return the facts to ask for, if lack of them alone keeps the panel from an answer.

    That is so when every reason is a want of members, some abstained for named facts, and there is an answer of theirs
    with which the whole decision would be made. Where the protocol sends a kind of disagreement the same way, it is so too when
    nothing else stands in the way, for whatever its members say they lack: what they would say then nobody knows.
    """
    if verdict.kind is VerdictKind.DECIDE or not bench.settings.asks_for_facts:
        return ()
    against = {reason.code for reason in verdict.reasons} - _QUORUM_ONLY
    sent = frozenset(bench.settings.facts_on or ())
    if against & sent and against <= sent | _OF_DISAGREEMENT:
        return tuple(sorted({fact for voice in heard if voice.votes_on_question for fact in voice.missing}))
    if against:
        return ()
    silent = [
        voice
        for voice in heard
        if voice.status is MemberStatus.ABSTAINED
        and voice.missing
        and (voice.votes_on_question or voice.seat.required or voice.seat.veto)
    ]
    missing = [voice for voice in heard if voice.is_missing]
    supposed = completions(bench, heard, silent, or_abstains=False) if silent else None
    # Each supposition is settled over what the missing could have said, so the limit holds for both together.
    if supposed is None or completions(bench, heard, [*silent, *missing], or_abstains=True) is None:
        return ()
    settled = (_settle(bench, completed, policy) for completed in supposed)
    if not any(verdict.kind is VerdictKind.DECIDE for verdict in settled):
        return ()
    return tuple(sorted({fact for voice in silent for fact in voice.missing}))


def _weigh(bench: Bench, heard: Sequence[Heard], policy: Policy) -> Verdict:
    """Make the whole decision for answers taken as they are, collecting every reason against it."""
    counted = tally(bench, heard)
    leading = lead(bench, counted)
    disagreement = measure(counted.weights, counted.distributions) if len(counted.voices) > 1 else None
    reasons = [
        *_standing_reasons(bench),
        *(record_reasons(bench, heard) if bench.settings.strategy is Strategy.POSTERIOR else ()),
        *_unanswered_reasons(bench, heard),
        *quorum_reasons(bench, heard, counted),
        *veto_reasons(bench, heard, leading.option),
        *_disagreement_reasons(bench, disagreement),
        *(_lead_reasons(leading) if counted.voices else ()),
        *_policy_reasons(bench, leading.option, policy(facets_heard(bench, heard), count_valid(heard))),
    ]
    kind = VerdictKind.ESCALATE if reasons or leading.option is None else VerdictKind.DECIDE
    return Verdict(
        kind=kind,
        option=leading.option if kind is VerdictKind.DECIDE else None,
        leading=leading.option,
        reasons=_in_order(reasons),
        wanted=(),
        numbers=(*_numbers(bench, counted, disagreement), *_certainty(bench, counted, leading)),
    )


def _standing_reasons(bench: Bench) -> Iterable[Reason]:
    if not bench.settings.automatic:
        yield Reason(ReasonCode.NEVER_AUTOMATIC, "")
    if bench.stopped:
        # Why is for whoever lifts it: a reviewer who knows how often the panel errs no longer judges independently of it.
        yield Reason(ReasonCode.STOPPED, "")
    if bench.human_required:
        yield Reason(ReasonCode.HUMAN_REQUIRED, "")
    if bench.lacks_error_rate:
        yield Reason(ReasonCode.NO_ERROR_RATE, bench.settings.strategy.value)


def _unanswered_reasons(bench: Bench, heard: Sequence[Heard]) -> Iterable[Reason]:
    """Say what a panel that only advises lacked; nobody asks for it, since a clinician decides with or without it."""
    if not bench.only_advises:
        return
    names = sorted({name for voice in heard for name in voice.missing})
    if names:
        yield Reason(ReasonCode.FACTS_MISSING, listed([fact_title(bench.protocol, name) for name in names]))


def _disagreement_reasons(bench: Bench, measured: Disagreement | None) -> Iterable[Reason]:
    if measured is None:
        return
    settings = bench.settings
    for code, value, bound in (
        (ReasonCode.DISAGREEMENT_BETWEEN, measured.between, settings.greatest_between),
        (ReasonCode.DISAGREEMENT_WITHIN, measured.within, settings.greatest_within),
    ):
        detail = f"{value:.6f}, at most {bound:.6f} allowed"
        # No disagreement at all is exactly 0 and within any bound; it is not a rounding away from a bound of 0.
        if value == 0.0:
            continue
        if value > bound:
            yield Reason(code, detail)
        if abs(value - float(bound)) <= NEAR:
            yield Reason(ReasonCode.NEAR_THRESHOLD, detail)


def _lead_reasons(leading: Lead) -> Iterable[Reason]:
    if leading.shortfall is not None:
        yield Reason(leading.code, leading.shortfall)


def _policy_reasons(bench: Bench, leading: str | None, outcome: PolicyOutcome) -> Iterable[Reason]:
    if not set(outcome.permitted) <= set(bench.option_ids()):
        raise UndecidableError("policy: expected it to permit only options of the question")
    denying = [hit.rule for hit in outcome.hits if hit.effect is RuleEffect.DENY]
    if denying:
        yield Reason(ReasonCode.POLICY_DENIES, ", ".join(denying))
    # Where only a clinician can decide, a policy that permits nothing else has forgotten nothing.
    if not bench.only_advises and not any(hit.effect is RuleEffect.PERMIT for hit in outcome.hits):
        yield Reason(ReasonCode.POLICY_SILENT, "")
    if outcome.failures:
        yield Reason(ReasonCode.POLICY_FAILED, ", ".join(failure.rule for failure in outcome.failures))
    if not outcome.permitted:
        yield Reason(ReasonCode.POLICY_EXCLUDES_OPTION, "no option is left")
    elif leading is not None and leading not in outcome.permitted:
        left = listed([quoted(option_title(bench.protocol, option)) for option in outcome.permitted])
        yield Reason(ReasonCode.POLICY_EXCLUDES_OPTION, f"only {left} is left")


def _in_order(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    return tuple(sorted(set(reasons), key=lambda reason: (_ORDER[reason.code], reason.detail)))


def _certainty(bench: Bench, counted: Tally, leading: Lead) -> tuple[tuple[str, str], ...]:
    """Return each option's probability, and what is certified of deciding for the one that leads."""
    if counted.posterior is None or bench.calibration is None:
        return ()
    measures: list[tuple[str, float]] = [
        (f"posterior.{option}", probability)
        for option, probability in zip(bench.option_ids(), counted.posterior, strict=True)
    ]
    stratum = None if leading.option is None else bench.calibration.stratum(leading.option)
    if stratum is not None and stratum.certified is not None:
        level = stratum.certified
        measures += [
            ("certified.threshold", float(level.threshold)),
            ("certified.alpha", float(stratum.alpha)),
            ("certified.delta", float(bench.calibration.delta)),
            ("certified.cases", level.accepted),
            ("certified.errors", level.errors),
            ("certified.bound", float(level.bound)),
        ]
    return tuple((name, f"{value:.6f}") for name, value in measures)


def _numbers(bench: Bench, counted: Tally, disagreement: Disagreement | None) -> tuple[tuple[str, str], ...]:
    """Return the measures in a fixed order; what was not measured is left out rather than given as zero."""
    if bench.only_advises:
        return ()
    measures: list[tuple[str, float]] = [
        ("valid", len(counted.voices)),
        ("families", len({voice.seat.family for voice in counted.voices})),
        ("effective", float(counted.effective)),
    ]
    if counted.voices:
        measures += [
            (f"share.{option}", share)
            for option, share in zip(bench.option_ids(), counted.shares, strict=True)
        ]
    if disagreement is not None:
        measures += [
            ("total", disagreement.total),
            ("between", disagreement.between),
            ("within", disagreement.within),
        ]
    for voice, weight, shares in zip(counted.voices, counted.weights, counted.distributions, strict=True):
        measures.append((f"weight.{voice.seat.member}", weight))
        measures.append((f"consistency.{voice.seat.member}", self_consistency(shares)))
    return tuple((name, f"{value:.6f}") for name, value in measures)
