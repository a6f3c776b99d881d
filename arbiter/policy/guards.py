"""Proves at load that a condition never reads what may be absent, and never does what may fail or mean nothing.

Every fact and every facet's answer is optional when a rule runs. `unguarded` follows the flow of `&&`, `||`, `!` and
`?:` and lists each use that no test of presence stands before. `misused` lists what the type checker lets pass and a
clinician would not: codes that do not exist, an order among words, a division that may be by zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from arbiter.policy.syntax import (
    Binary,
    Conditional,
    Items,
    Literal,
    LiteralKind,
    Name,
    NameKind,
    Node,
    Present,
    Unary,
)

Key: TypeAlias = tuple[NameKind, str]
Vocabulary: TypeAlias = Mapping[Key, frozenset[str]]
"""The words that a name of words (a code fact, a facet, the risk class) can take."""

MOST_PRODUCTS: Final = 8
"""With literals of 15 digits, too few to leave the range of a double: infinity less infinity would compare false."""

_OPTIONAL = frozenset({NameKind.FACT, NameKind.FACET})
_NOTHING: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class _Flow:
    """What is surely present once a condition turned out true, and once it turned out false."""

    when_true: frozenset[Key]
    when_false: frozenset[Key]


def unguarded(tree: Node) -> tuple[Name, ...]:
    """Return each use of a fact or facet that is reached without its presence having been tested before."""
    found: list[Name] = []
    _flow(tree, _NOTHING, found)
    return tuple(found)


def _flow(node: Node, known: frozenset[Key], found: list[Name]) -> _Flow:
    match node:
        case Literal() | Items():
            return _Flow(_NOTHING, _NOTHING)
        case Name():
            if node.kind in _OPTIONAL and (node.kind, node.name) not in known:
                found.append(node)
            return _Flow(_NOTHING, _NOTHING)
        case Present():
            return _Flow(frozenset({(node.kind, node.name)}), _NOTHING)
        case Unary(sign, operand):
            inner = _flow(operand, known, found)
            return _Flow(inner.when_false, inner.when_true) if sign == "!" else _Flow(_NOTHING, _NOTHING)
        case Binary(sign, left, right):
            return _flow_binary(sign, _flow(left, known, found), right, known, found)
        case Conditional(test, then, otherwise):
            asked = _flow(test, known, found)
            yes = _flow(then, known | asked.when_true, found)
            no = _flow(otherwise, known | asked.when_false, found)
            return _Flow(
                (asked.when_true | yes.when_true) & (asked.when_false | no.when_true),
                (asked.when_true | yes.when_false) & (asked.when_false | no.when_false),
            )
        case _:
            assert_never(node)


def _flow_binary(sign: str, first: _Flow, right: Node, known: frozenset[Key], found: list[Name]) -> _Flow:
    match sign:
        case "&&":
            second = _flow(right, known | first.when_true, found)
            return _Flow(
                first.when_true | second.when_true,
                first.when_false & (first.when_true | second.when_false),
            )
        case "||":
            second = _flow(right, known | first.when_false, found)
            return _Flow(
                first.when_true & (first.when_false | second.when_true),
                first.when_false | second.when_false,
            )
        case _:
            _flow(right, known, found)
            return _Flow(_NOTHING, _NOTHING)


def names(node: Node) -> Iterator[Name | Present]:
    """Yield every use of a value and every test of presence, in the order of the source."""
    if isinstance(node, Name | Present):
        yield node
    for child in _children(node):
        yield from names(child)


def _children(node: Node) -> tuple[Node, ...]:
    match node:
        case Literal() | Name() | Present():
            return ()
        case Items(items):
            return items
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Conditional(test, then, otherwise):
            return (test, then, otherwise)
        case _:
            assert_never(node)


def misused(tree: Node, words: Vocabulary) -> tuple[str, ...]:
    """Return in words what the condition does that could fail, never hold, or mean nothing."""
    found = list(_misuses(tree, words))
    if _products(tree) > MOST_PRODUCTS:
        found.append(f"expected at most {MOST_PRODUCTS} multiplications and divisions")
    return tuple(found)


def _products(node: Node) -> int:
    own = isinstance(node, Binary) and node.sign in {"*", "/", "%"}
    return own + sum(_products(child) for child in _children(node))


def _misuses(node: Node, words: Vocabulary) -> Iterator[str]:
    for child in _children(node):
        yield from _misuses(child, words)
    match node:
        case Binary("==" | "!=", left, right):
            yield from _strange_words(left, (right,), words)
            yield from _strange_words(right, (left,), words)
        case Binary("in", left, Items(items)):
            yield from _strange_words(left, items, words)
        case Binary(sign, left, right):
            if sign not in {"&&", "||"} and (_is_text(left, words) or _is_text(right, words)):
                yield f"expected numbers around {sign}, got words, which have no order"
            if sign in {"/", "%"} and not _is_nonzero(right):
                yield f"expected a literal other than zero after {sign}"
        case _:
            return


def _strange_words(name: Node, others: tuple[Node, ...], words: Vocabulary) -> Iterator[str]:
    if not isinstance(name, Name) or (name.kind, name.name) not in words:
        return
    known = words[name.kind, name.name]
    for other in others:
        if isinstance(other, Literal) and other.kind is LiteralKind.TEXT and other.text not in known:
            yield f"expected one of {', '.join(sorted(known))} for {name.name}, got {other.text!r}"


def _is_text(node: Node, words: Vocabulary) -> bool:
    match node:
        case Literal(kind, _):
            return kind is LiteralKind.TEXT
        case Name():
            return (node.kind, node.name) in words
        case Conditional(_, then, otherwise):
            return _is_text(then, words) or _is_text(otherwise, words)
        case _:
            return False


def _is_nonzero(node: Node) -> bool:
    numbers = {LiteralKind.INT, LiteralKind.DOUBLE}
    return isinstance(node, Literal) and node.kind in numbers and node.text.strip("0.") != ""
