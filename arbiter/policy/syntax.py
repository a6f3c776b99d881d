"""Reads the part of CEL that a decision table needs, so that a condition can be reasoned about before it ever runs.

Conditions are CEL (github.com/google/cel-spec) and are evaluated by a CEL library; this parser accepts less than CEL
does: comparisons, `in`, `&&`, `||`, `!`, `?:`, arithmetic, lists of literals, `has(facts.NAME)`, and the names below.
There are no functions, macros, escapes or comments. What both this parser and the library accept is a condition.

    facts.NAME   facets["ID"]   has(facts.NAME)   "ID" in facets   risk_class   members.valid
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

LONGEST_SOURCE: Final = 2000
DEEPEST_NESTING: Final = 16
MOST_OPERATORS: Final = 100

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f]+)
      | (?P<double>[0-9]{1,15}\.[0-9]{1,15}(?![0-9A-Za-z_.]))
      | (?P<int>[0-9]{1,15}(?![0-9A-Za-z_.]))
      | (?P<text>"[^"\\\r\n]*" | '[^'\\\r\n]*')
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?!["']))
      | (?P<sign>&& | \|\| | [<>=!]= | [<>!?:.,()\[\]+\-*/%])
    """,
    re.VERBOSE | re.ASCII,
)


class ConditionSyntaxError(ValueError):
    """The source is not a condition; the message says where and why, `column` counts from 1."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__(f"column {column}: {message}")


class NameKind(StrEnum):
    """What a name in a condition stands for."""

    FACT = "fact"
    FACET = "facet"
    RISK_CLASS = "risk_class"
    VALID_MEMBERS = "members.valid"


class LiteralKind(StrEnum):
    """The type of a literal."""

    INT = "int"
    DOUBLE = "double"
    TEXT = "text"
    BOOL = "bool"


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; `text` is a string's content, otherwise the source."""

    kind: LiteralKind
    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """A use of a value; `start` and `end` are its place in the source."""

    kind: NameKind
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Present:
    """The test that a fact or a facet's answer is there."""

    kind: NameKind
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`!` or `-` before an operand."""

    sign: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and the sign between them."""

    sign: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Conditional:
    """`test ? then : otherwise`."""

    test: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Items:
    """A list of literals."""

    items: tuple[Literal, ...]


Node: TypeAlias = Literal | Name | Present | Unary | Binary | Conditional | Items


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


_END: Final = "end of the condition"
_LEVELS: Final = (
    frozenset({"||"}),
    frozenset({"&&"}),
    frozenset({"<", "<=", ">", ">=", "==", "!=", "in"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)


def parse(source: str) -> Node:
    """Return the tree of a condition.

    Raises:
        ConditionSyntaxError: when it is too long, nested too deep, or not in the accepted part of CEL.
    """
    if len(source) > LONGEST_SOURCE:
        raise ConditionSyntaxError(
            LONGEST_SOURCE + 1, f"expected at most {LONGEST_SOURCE} characters, got {len(source)}"
        )
    reader = _Parser(_tokens(source))
    tree = reader.expression()
    reader.expect(_END)
    return tree


def _tokens(source: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            raise ConditionSyntaxError(at + 1, "expected a name, a number, a plain string or an operator")
        kind = found.lastgroup or ""
        if kind != "space":
            tokens.append(_Token(kind, found.group(), at, found.end()))
        at = found.end()
    tokens.append(_Token("end", _END, at, at))
    return tokens


class _Parser:
    """Recursive descent over the tokens, with CEL's precedence; every operator associates to the left."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._operators = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += 1
        return token

    def _accept(self, text: str) -> bool:
        if self._next.text == text:
            self._at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        """Take the sign or word that must come next."""
        token = self._next
        if token.text != text:
            raise ConditionSyntaxError(token.start + 1, f"expected {text}, got {_shown(token)}")
        self._at += 1

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST_NESTING:
            raise ConditionSyntaxError(
                self._next.start + 1, f"expected at most {DEEPEST_NESTING} levels of nesting"
            )

    def expression(self) -> Node:
        """Read `or [? or : expression]`."""
        self._descend()
        node = self._binary(0)
        if self._accept("?"):
            then = self._binary(0)
            self.expect(":")
            node = Conditional(node, then, self.expression())
        self._depth -= 1
        return node

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._binary(level + 1)
        while self._next.text in _LEVELS[level]:
            self._operators += 1
            if self._operators > MOST_OPERATORS:
                raise ConditionSyntaxError(
                    self._next.start + 1, f"expected at most {MOST_OPERATORS} operators"
                )
            sign = self._take().text
            if sign == "in" and self._next.text == "facets":
                node = self._facet_present(node)
            else:
                node = Binary(sign, node, self._binary(level + 1))
        return node

    def _facet_present(self, asked: Node) -> Node:
        word = self._take()
        before = self._tokens[self._at - 3]
        if not (isinstance(asked, Literal) and asked.kind is LiteralKind.TEXT and before.kind == "text"):
            raise ConditionSyntaxError(
                word.start + 1, "expected a facet's id as a plain string before in facets"
            )
        return Present(NameKind.FACET, asked.text, before.start, word.end)

    def _unary(self) -> Node:
        if self._next.kind == "sign" and self._next.text in {"!", "-"}:
            self._descend()
            node = Unary(self._take().text, self._unary())
            self._depth -= 1
            return node
        return self._primary()

    def _primary(self) -> Node:
        token = self._take()
        match token.kind, token.text:
            case "int", _:
                return Literal(LiteralKind.INT, token.text)
            case "double", _:
                return Literal(LiteralKind.DOUBLE, token.text)
            case "text", _:
                return Literal(LiteralKind.TEXT, token.text[1:-1])
            case "sign", "(":
                node = self.expression()
                self.expect(")")
                return node
            case "sign", "[":
                return self._items()
            case "word", _:
                return self._word(token)
            case _:
                raise ConditionSyntaxError(token.start + 1, f"expected a value, got {_shown(token)}")

    def _word(self, token: _Token) -> Node:
        match token.text:
            case "true" | "false":
                return Literal(LiteralKind.BOOL, token.text)
            case "risk_class":
                return Name(NameKind.RISK_CLASS, token.text, token.start, token.end)
            case "facts":
                return Name(NameKind.FACT, self._member(), token.start, self._end)
            case "members":
                if self._member() != "valid":
                    raise ConditionSyntaxError(token.start + 1, "expected members.valid")
                return Name(NameKind.VALID_MEMBERS, "members.valid", token.start, self._end)
            case "facets":
                self.expect("[")
                facet = self._plain_text("a facet's id as a plain string")
                self.expect("]")
                return Name(NameKind.FACET, facet, token.start, self._end)
            case "has":
                self.expect("(")
                self.expect("facts")
                fact = self._member()
                self.expect(")")
                return Present(NameKind.FACT, fact, token.start, self._end)
            case _:
                raise ConditionSyntaxError(
                    token.start + 1,
                    f"expected facts, facets, has, risk_class or members.valid, got {token.text!r}",
                )

    @property
    def _end(self) -> int:
        return self._tokens[self._at - 1].end

    def _member(self) -> str:
        self.expect(".")
        token = self._take()
        if token.kind != "word":
            raise ConditionSyntaxError(
                token.start + 1, f"expected a name after the point, got {_shown(token)}"
            )
        return token.text

    def _plain_text(self, expected: str) -> str:
        token = self._take()
        if token.kind != "text":
            raise ConditionSyntaxError(token.start + 1, f"expected {expected}, got {_shown(token)}")
        return token.text[1:-1]

    def _items(self) -> Items:
        items: list[Literal] = []
        while True:
            token = self._next
            item = self._unary()
            if not isinstance(item, Literal):
                raise ConditionSyntaxError(token.start + 1, "expected only literals in a list")
            # CEL takes a list of mixed types for one of any type, and would then compare anything with it.
            if items and item.kind is not items[0].kind:
                raise ConditionSyntaxError(token.start + 1, "expected literals of one type in a list")
            items.append(item)
            if self._accept("]"):
                return Items(tuple(items))
            self.expect(",")


def _shown(token: _Token) -> str:
    return token.text if token.kind == "end" else repr(token.text)
