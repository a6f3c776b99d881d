"""What needs two places of a bundle to be judged: references, uniqueness, bounds, coverage.

Each check takes the parsed file and a `Finder` that turns a path into a line; it reports and goes on, so that one
run tells everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from arbiter.files.faults import Finder
from arbiter.files.reading import Path, quoted
from arbiter.model import FactValue, RiskClass, RuleEffect
from arbiter.protocols.adjudication_checks import check_adjudication
from arbiter.protocols.schema import (
    FactPart,
    ModelPart,
    PolicyFile,
    ProtocolFile,
    RulePart,
    RuleTestPart,
    SeatPart,
)
from arbiter.question import ABSTAIN, QUESTION, VLLM, FactKind

_LEAST_TEMPERATURE: Final = Decimal("0.01")
_BACKENDS: Final = ("score", VLLM)


def check_protocol(protocol: ProtocolFile, finder: Finder) -> None:
    """Check `protocol.yaml` in itself."""
    _check_facts(protocol.question.facts, finder)
    _check_options(protocol, finder)
    exclusions = protocol.question.exclusions
    finder.unique(("question", "exclusions"), "id", (exclusion.id for exclusion in exclusions))
    for risk_class in RiskClass:
        if risk_class not in protocol.question.timers:
            finder.report(
                ("question", "timers"), "missing", f"expected timers for {risk_class.value!r}, there are none"
            )
    _check_seats(protocol, finder)
    check_adjudication(protocol, finder)


def _check_options(protocol: ProtocolFile, finder: Finder) -> None:
    finder.unique(("question", "options"), "id", (option.id for option in protocol.question.options))
    finder.unique(("facets",), "id", (facet.id for facet in protocol.facets))
    for index, facet in enumerate(protocol.facets):
        finder.unique(("facets", index, "options"), "id", (option.id for option in facet.options))
        if facet.id == QUESTION:
            finder.report(
                ("facets", index, "id"), "value", f"expected another id, {QUESTION!r} is the question's"
            )
        if all(seat.asks != facet.id for seat in protocol.panel):
            finder.report(
                ("facets", index), "reference", f"expected a seat that answers {facet.id!r}, none does"
            )


def _check_facts(facts: list[FactPart], finder: Finder) -> None:
    finder.unique(("question", "facts"), "name", (fact.name for fact in facts))
    for index, fact in enumerate(facts):
        path: Path = ("question", "facts", index)
        for key in _keys_out_of_place(fact):
            finder.report(
                (*path, key), "unknown-key", f"expected no {key!r} for a fact of kind {fact.kind.value!r}"
            )
        match fact.kind:
            case FactKind.NUMBER:
                _check_number(fact, path, finder)
            case FactKind.CODE:
                if not fact.codes:
                    finder.report(path, "missing", "expected the key 'codes' with at least one code")
                finder.unique((*path, "codes"), "code", (code.code for code in fact.codes or ()))
            case FactKind.FLAG:
                pass


def _keys_out_of_place(fact: FactPart) -> Iterator[str]:
    numeric = ("unit", "conversions", "low", "high", "decimals", "reference")
    unfit = {
        FactKind.NUMBER: ("codes",),
        FactKind.CODE: numeric,
        FactKind.FLAG: (*numeric, "codes"),
    }[fact.kind]
    return (key for key in unfit if key in fact.model_fields_set)


def _check_number(fact: FactPart, path: Path, finder: Finder) -> None:
    for key in ("unit", "low", "high", "decimals"):
        if getattr(fact, key) is None:
            finder.report(path, "missing", f"expected the key {key!r} for a number, it is not there")
    if fact.low is not None and fact.high is not None and fact.low >= fact.high:
        finder.report((*path, "high"), "value", f"expected a number above low ({fact.low}), {fact.high} came")
    taken = {fact.unit}
    for index, conversion in enumerate(fact.conversions or ()):
        place = (*path, "conversions", index)
        if conversion.unit in taken:
            finder.report(
                (*place, "unit"), "duplicate", f"expected each unit once, {conversion.unit!r} came again"
            )
        taken.add(conversion.unit)
        if conversion.factor == 0:
            finder.report((*place, "factor"), "value", "expected a factor other than zero")
    _check_reference(fact, path, finder)


def _check_reference(fact: FactPart, path: Path, finder: Finder) -> None:
    """Check that the range has an end, that its ends are in order, and that each can be a value of the fact."""
    range_ = fact.reference
    if range_ is None:
        return
    place: Path = (*path, "reference")
    if range_.low is None and range_.high is None:
        finder.report(place, "missing", "expected the key 'low' or 'high', neither is there")
    if range_.low is not None and range_.high is not None and range_.low >= range_.high:
        finder.report(
            (*place, "high"), "value", f"expected a number above low ({range_.low}), {range_.high} came"
        )
    for key, end in (("low", range_.low), ("high", range_.high)):
        below = end is not None and fact.low is not None and end < fact.low
        above = end is not None and fact.high is not None and end > fact.high
        if below or above:
            finder.report(
                (*place, key), "value", f"expected a value the fact can take ({fact.low} to {fact.high})"
            )


def _check_seats(protocol: ProtocolFile, finder: Finder) -> None:
    finder.unique(("panel",), "member", (seat.member for seat in protocol.panel))
    offered = {QUESTION: {option.id for option in protocol.question.options}}
    offered |= {facet.id: {option.id for option in facet.options} for facet in protocol.facets}
    _check_backends(protocol.panel, finder)
    for index, seat in enumerate(protocol.panel):
        if seat.asks not in offered:
            known = ", ".join(sorted(offered))
            finder.report(
                ("panel", index, "asks"), "reference", f"expected one of {known}, {seat.asks!r} came"
            )
            continue
        if seat.model is not None and ABSTAIN in offered[seat.asks]:
            finder.report(
                ("panel", index, "asks"),
                "value",
                f"expected no option {ABSTAIN!r} where a model answers: it is how one gives no answer",
            )
        finder.unique(("panel", index), "veto", seat.veto)
        for at, option in enumerate(seat.veto):
            if option not in offered[seat.asks]:
                finder.report(
                    ("panel", index, "veto", at),
                    "reference",
                    f"expected an option of {seat.asks!r}, {option!r} came",
                )
        if seat.asks != QUESTION and (seat.veto or seat.required):
            key = "veto" if seat.veto else "required"
            finder.report(
                ("panel", index, key), "value", f"expected {key!r} only on a seat that answers the question"
            )
    if protocol.adjudication.automatic and all(seat.asks != QUESTION for seat in protocol.panel):
        finder.report(
            ("panel",),
            "reference",
            "expected a seat that answers the question, or 'automatic: false'; there is neither",
        )


def _check_backends(panel: list[SeatPart], finder: Finder) -> None:
    """Check that a score has an implementation and a model its part, and that each model can be asked as it stands."""
    for index, seat in enumerate(panel):
        path: Path = ("panel", index)
        if seat.backend not in _BACKENDS:
            finder.report(
                (*path, "backend"),
                "value",
                f"expected one of {', '.join(_BACKENDS)}, {quoted(seat.backend)} came",
            )
            continue
        needed, unfit = ("model", "implementation") if seat.backend == VLLM else ("implementation", "model")
        if getattr(seat, needed) is None:
            finder.report(path, "missing", f"expected the key {needed!r} for the backend {seat.backend!r}")
        if getattr(seat, unfit) is not None:
            finder.report(
                (*path, unfit), "unknown-key", f"expected no {unfit!r} for the backend {seat.backend!r}"
            )
        if seat.model is not None:
            _check_model(seat.model, (*path, "model"), finder)
    models = [seat.model for seat in panel if seat.model is not None]
    adapted = {model.server for model in models if model.adapter is not None}
    for index, seat in enumerate(panel):
        if seat.model is not None and seat.model.adapter is None and seat.model.server in adapted:
            # vLLM computes a base model wrongly in a batch that it shares with adapters.
            finder.report(
                ("panel", index, "model"),
                "missing",
                f"expected the key 'adapter', as other seats on {seat.model.server!r} have: a base model is not asked "
                "beside its adapters",
            )


def _check_model(model: ModelPart, path: Path, finder: Finder) -> None:
    if 0 < model.temperature < _LEAST_TEMPERATURE:
        # vLLM would take the least it knows, and the protocol would say another.
        finder.report(
            (*path, "temperature"),
            "value",
            f"expected 0, or a number of at least {_LEAST_TEMPERATURE}, {model.temperature} came",
        )
    if model.temperature == 0 and model.samples != 1:
        # Samples drawn at temperature zero are all the same, and vLLM refuses to draw them.
        finder.report((*path, "samples"), "value", f"expected 1 at temperature 0, {model.samples} came")


def check_policy(policy: PolicyFile, protocol: ProtocolFile, finder: Finder) -> None:
    """Check `policy.yaml` against a protocol that is sound in itself."""
    finder.unique(("rules",), "id", (rule.id for rule in policy.rules))
    for index, rule in enumerate(policy.rules):
        path: Path = ("rules", index)
        _check_effect(rule, path, protocol, finder)
        finder.unique((*path, "tests"), "title", (test.title for test in rule.tests))
        for at, test in enumerate(rule.tests):
            _check_test(test, (*path, "tests", at), protocol, finder)
        for outcome, words in ((True, "in which it hits"), (False, "in which it does not hit")):
            if all(test.hits is not outcome for test in rule.tests):
                finder.report(
                    (*path, "tests"), "missing", f"expected a test of {rule.id!r} {words}, there is none"
                )


def _check_effect(rule: RulePart, path: Path, protocol: ProtocolFile, finder: Finder) -> None:
    known = {option.id for option in protocol.question.options}
    for at, option in enumerate(rule.options):
        if option not in known:
            finder.report(
                (*path, "options", at), "reference", f"expected an option of the question, {option!r} came"
            )
        if option in rule.options[:at]:
            finder.report((*path, "options", at), "duplicate", f"expected {option!r} once, it came again")
    takes_options = rule.effect in {RuleEffect.REQUIRE, RuleEffect.FORBID}
    if takes_options and not rule.options:
        finder.report(path, "missing", f"expected the key 'options' for the effect {rule.effect.value!r}")
    if not takes_options and rule.options:
        finder.report(
            (*path, "options"), "unknown-key", f"expected no options for the effect {rule.effect.value!r}"
        )
    if rule.effect is RuleEffect.FORBID and known and known.issubset(rule.options):
        finder.report((*path, "options"), "value", "expected at least one option left, all are forbidden")


def _check_test(test: RuleTestPart, path: Path, protocol: ProtocolFile, finder: Finder) -> None:
    specs = {fact.name: fact for fact in protocol.question.facts}
    for name, value in test.facts.items():
        fault = (
            f"expected a fact of the question, {name!r} came"
            if name not in specs
            else unfit(value, specs[name])
        )
        if fault is not None:
            finder.report((*path, "facts", name), "reference" if name not in specs else "value", fault)
    facets = {facet.id: {option.id for option in facet.options} for facet in protocol.facets}
    for facet, option in test.facets.items():
        if facet not in facets:
            finder.report(
                (*path, "facets", facet), "reference", f"expected a facet of the protocol, {facet!r} came"
            )
        elif option not in facets[facet]:
            finder.report(
                (*path, "facets", facet), "reference", f"expected an option of {facet!r}, {option!r} came"
            )


def unfit(value: FactValue, fact: FactPart) -> str | None:
    """Return why a value in the fact's own unit does not fit the fact, or None."""
    match fact.kind:
        case FactKind.FLAG:
            return None if isinstance(value, bool) else f"expected true or false for {fact.name!r}"
        case FactKind.CODE:
            codes = [code.code for code in fact.codes or ()]
            return None if value in codes else f"expected one of {', '.join(codes)} for {fact.name!r}"
        case FactKind.NUMBER:
            if isinstance(value, bool) or not isinstance(value, Decimal):
                return f"expected a number for {fact.name!r}"
            low, high = fact.low or Decimal(0), fact.high or Decimal(0)
            return None if low <= value <= high else f"expected {low} to {high} for {fact.name!r}"
