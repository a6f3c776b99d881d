"""Compiles a protocol's rules and exclusions, and refuses at load whatever could mislead at the bedside.

A condition is compiled twice. A typed twin, in which each `facts.NAME` is a variable of the fact's own type, is only
checked: it finds every error of type. The source itself, over maps in which an absent fact is absent, is what runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cel_expr_python import cel  # type: ignore[import-untyped]  # its stub comes without a py.typed marker

from arbiter.errors import InvalidProtocolError, Problem
from arbiter.model import RiskClass, RuleEffect
from arbiter.policy.guards import Key, Vocabulary, misused, names, unguarded
from arbiter.policy.syntax import ConditionSyntaxError, Name, NameKind, Node, Present, parse
from arbiter.question import Exclusion, FactKind, Protocol, Rule

_TYPES: Final[Mapping[FactKind, cel.Type]] = {
    FactKind.NUMBER: cel.Type.DOUBLE,
    FactKind.CODE: cel.Type.STRING,
    FactKind.FLAG: cel.Type.BOOL,
}
_CHOOSING: Final = frozenset({RuleEffect.REQUIRE, RuleEffect.FORBID})

FACTS: Final = "facts"
FACETS: Final = "facets"
RISK_CLASS: Final = "risk_class"
VALID_MEMBERS: Final = "members.valid"


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its runnable condition."""

    rule: Rule
    condition: cel.Expression


@dataclass(frozen=True, slots=True)
class CompiledExclusion:
    """An exclusion with its runnable condition."""

    exclusion: Exclusion
    condition: cel.Expression


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A protocol whose every condition parsed, type-checked and proved its guards.

    `kinds` gives each fact's kind and `words` the words that codes and facets can take.
    """

    protocol: Protocol
    env: cel.Env
    kinds: Mapping[str, FactKind]
    words: Vocabulary
    rules: tuple[CompiledRule, ...]
    exclusions: tuple[CompiledExclusion, ...]


def compile_policy(protocol: Protocol) -> CompiledPolicy:
    """Compile every rule and exclusion of a protocol.

    Raises:
        InvalidProtocolError: with every problem found; a pointer is a file and a JSON pointer in it, such as
            `policy.yaml#/rules/3/when` or `protocol.yaml#/question/exclusions/0/when`.
    """
    checker = _Checker.of(protocol)
    problems: list[Problem] = []
    rules: list[CompiledRule] = []
    exclusions: list[CompiledExclusion] = []
    for index, exclusion in enumerate(protocol.question.exclusions):
        pointer = f"protocol.yaml#/question/exclusions/{index}/when"
        condition = checker.condition(exclusion.when, pointer, _misfits_exclusion, problems)
        if condition is not None:
            exclusions.append(CompiledExclusion(exclusion, condition))
    for index, rule in enumerate(protocol.rules):
        problems.extend(_misfit_effect(rule, index, protocol))
        condition = checker.condition(rule.when, f"policy.yaml#/rules/{index}/when", _misfits_rule, problems)
        if condition is not None:
            rules.append(CompiledRule(rule, condition))
    if problems:
        raise InvalidProtocolError(
            f"protocol {protocol.id}: {len(problems)} problems in its conditions", tuple(problems)
        )
    kinds = {spec.name: spec.kind for spec in protocol.question.facts}
    return CompiledPolicy(protocol, checker.running, kinds, checker.words, tuple(rules), tuple(exclusions))


def _misfit_effect(rule: Rule, index: int, protocol: Protocol) -> list[Problem]:
    """Check what the outcome relies on; a permit that names options would else read as one without limits."""
    pointer = f"policy.yaml#/rules/{index}"
    problems: list[Problem] = []
    if [other.id for other in protocol.rules].index(rule.id) != index:
        problems.append(
            Problem(f"{pointer}/id", "duplicate", f"expected each rule's id once, got {rule.id} again")
        )
    if rule.effect in _CHOOSING and not rule.options:
        problems.append(Problem(f"{pointer}/options", "missing", f"expected options for {rule.effect.value}"))
    if rule.effect not in _CHOOSING and rule.options:
        problems.append(
            Problem(f"{pointer}/options", "unknown", f"expected no options for {rule.effect.value}")
        )
    offered = protocol.question.option_ids()
    problems.extend(
        Problem(f"{pointer}/options/{at}", "unknown", f"expected an option of the question, got {option!r}")
        for at, option in enumerate(rule.options)
        if option not in offered
    )
    return problems


def _misfits_exclusion(tree: Node) -> list[tuple[str, str]]:
    """List the names that nobody knows before the panel is asked."""
    return [
        ("unknown-name", f"expected only facts in an exclusion, got {used.name}")
        for used in names(tree)
        if used.kind is not NameKind.FACT
    ]


def _misfits_rule(tree: Node) -> list[tuple[str, str]]:
    return [
        ("unguarded", f"expected a test that {_spelled(used)} is there before this use: {_guard(used)}")
        for used in unguarded(tree)
    ]


def _spelled(used: Name | Present) -> str:
    return f"facts.{used.name}" if used.kind is NameKind.FACT else f'facets["{used.name}"]'


def _guard(used: Name) -> str:
    return f"has(facts.{used.name})" if used.kind is NameKind.FACT else f'"{used.name}" in facets'


@dataclass(frozen=True, slots=True)
class _Checker:
    """The two environments of one protocol, and the words its names can take."""

    checking: cel.Env
    running: cel.Env
    known: frozenset[Key]
    words: Vocabulary

    @classmethod
    def of(cls, protocol: Protocol) -> _Checker:
        specs, facets = protocol.question.facts, protocol.facets
        variables = {_twin(NameKind.FACT, spec.name): _TYPES[spec.kind] for spec in specs}
        variables |= {_twin(NameKind.FACET, facet.id): cel.Type.STRING for facet in facets}
        variables |= {_twin(NameKind.RISK_CLASS, RISK_CLASS): cel.Type.STRING}
        variables |= {_twin(NameKind.VALID_MEMBERS, VALID_MEMBERS): cel.Type.INT}
        text = cel.Type.STRING
        running = {
            FACTS: cel.Type.Map(text, cel.Type.DYN),
            FACETS: cel.Type.Map(text, text),
            RISK_CLASS: text,
            VALID_MEMBERS: cel.Type.INT,
        }
        words = {
            (NameKind.FACT, spec.name): frozenset(code for code, _ in spec.codes)
            for spec in specs
            if spec.kind is FactKind.CODE
        }
        words |= {
            (NameKind.FACET, facet.id): frozenset(option.id for option in facet.options) for facet in facets
        }
        words |= {(NameKind.RISK_CLASS, RISK_CLASS): frozenset(RiskClass)}
        known = {(NameKind.FACT, spec.name) for spec in specs} | {
            (NameKind.FACET, facet.id) for facet in facets
        }
        known |= {(NameKind.RISK_CLASS, RISK_CLASS), (NameKind.VALID_MEMBERS, VALID_MEMBERS)}
        return cls(cel.NewEnv(variables=variables), cel.NewEnv(variables=running), frozenset(known), words)

    def condition(
        self,
        source: str,
        pointer: str,
        misfits: Callable[[Node], list[tuple[str, str]]],
        problems: list[Problem],
    ) -> cel.Expression | None:
        """Return the runnable condition, or add its problems and return None."""
        try:
            tree = parse(source)
        except ConditionSyntaxError as error:
            problems.append(Problem(pointer, "syntax", str(error)))
            return None
        found = [
            ("unknown-name", f"expected a {used.kind.value} of the protocol, got {used.name!r}")
            for used in names(tree)
            if (used.kind, used.name) not in self.known
        ]
        found = found or [*misfits(tree), *(("misused", misuse) for misuse in misused(tree, self.words))]
        if not found:
            found = self._type_faults(source, tree)
        if not found:
            try:
                return self.running.compile(source)
            except RuntimeError as error:
                found = [("syntax", _cause(error))]
        problems.extend(Problem(pointer, code, detail) for code, detail in found)
        return None

    def _type_faults(self, source: str, tree: Node) -> list[tuple[str, str]]:
        try:
            checked = self.checking.compile(_twin_source(source, tree))
        except RuntimeError as error:
            return [("type", _cause(error))]
        if checked.return_type() != cel.Type.BOOL:
            return [("type", f"expected a condition of type BOOL, got {checked.return_type().name()}")]
        return []


def _twin(kind: NameKind, name: str) -> str:
    """Return the variable that stands for a name in the typed twin; hex keeps any id an identifier, and unique."""
    return f"{kind.name.lower()}_{name.encode().hex()}"


def _twin_source(source: str, tree: Node) -> str:
    text = source
    for used in sorted(names(tree), key=lambda name: name.start, reverse=True):
        # A test of presence is true or false whatever its fact's type, so any boolean stands for it.
        stand_in = "true" if isinstance(used, Present) else _twin(used.kind, used.name)
        text = text[: used.start] + stand_in + text[used.end :]
    return text


def _cause(error: RuntimeError) -> str:
    """Return the checker's own words without its drawing of the place, and what usually helps."""
    line = str(error).partition("\n")[0]
    cause = line.rpartition("<input>:")[2].partition(": ")[2] or line
    cause = cause.removesuffix(" [INVALID_ARGUMENT]")
    if "double" in cause and "int" in cause:
        cause += "; write a number fact's bounds with a point, such as 90.0"
    return cause
