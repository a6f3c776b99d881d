"""The parser reads a condition as the CEL library does: both must see the same tree, or its guards prove nothing."""

from typing import assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.policy.guards import names, unguarded
from arbiter.policy.syntax import (
    Binary,
    Conditional,
    ConditionSyntaxError,
    Items,
    Literal,
    LiteralKind,
    Name,
    NameKind,
    Node,
    Present,
    Unary,
    parse,
)
from tests.policy.small import compiled


def in_brackets(node: Node) -> str:  # noqa: C901, PLR0911 - one arm a node
    """Spell a tree with a pair of brackets around everything, so that nothing is left to precedence."""
    match node:
        case Literal(kind, text):
            return f'"{text}"' if kind is LiteralKind.TEXT else text
        case Items(items):
            return f"[{', '.join(in_brackets(item) for item in items)}]"
        case Name(NameKind.FACT, name):
            return f"facts.{name}"
        case Name(NameKind.FACET, name):
            return f'facets["{name}"]'
        case Name():
            return node.name
        case Present(NameKind.FACT, name):
            return f"has(facts.{name})"
        case Present():
            return f'("{node.name}" in facets)'
        case Unary(sign, operand):
            return f"({sign}{in_brackets(operand)})"
        case Binary(sign, left, right):
            return f"({in_brackets(left)} {sign} {in_brackets(right)})"
        case Conditional(test, then, otherwise):
            return f"({in_brackets(test)} ? {in_brackets(then)} : {in_brackets(otherwise)})"
        case _:
            assert_never(node)


BOOLEAN = st.sampled_from(
    ["true", "false", "!true", "!false", "1 < 2", "3 - 2 - 1 == 0", "7 - 2 * 3 > 0", "8 / 4 / 2 == 1"]
)
FLAT = st.recursive(
    BOOLEAN,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" && ", " || "]), inner).map("".join),
        st.tuples(inner, st.just(" ? "), inner, st.just(" : "), inner).map("".join),
        st.tuples(st.sampled_from(["true", "false"]), st.sampled_from([" == ", " != "]), st.just("true")).map(
            "".join
        ),
        st.tuples(st.sampled_from(["", "!"]), st.just("("), inner, st.just(")")).map("".join),
    ),
    max_leaves=10,
)
EMPTY = {"facts": {}, "facets": {}, "risk_class": "routine", "members.valid": 3}


@given(source=FLAT)
def test_the_library_gives_the_same_value_to_the_source_and_to_the_tree_in_brackets(source: str) -> None:
    try:
        tree = parse(source)
    except ConditionSyntaxError:
        return
    env = compiled("true").env
    # The library allows 32 levels of brackets; a tree spelled with all of them may go beyond.
    try:
        bracketed = env.compile(in_brackets(tree))
    except RuntimeError as error:
        assert "recursion" in str(error)  # noqa: PT017
        return
    assert env.compile(source).eval(data=EMPTY).value() is bracketed.eval(data=EMPTY).value()


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        ("true || true && false", "(true || (true && false))"),
        ("true && true || false", "((true && true) || false)"),
        ("1 < 2 == true", "((1 < 2) == true)"),
        ("1 - 2 - 3 < 4", "(((1 - 2) - 3) < 4)"),
        ("1 + 2 * 3 == 7", "((1 + (2 * 3)) == 7)"),
        ("!true == false", "((!true) == false)"),
        ("-1 + 2 == 1", "(((-1) + 2) == 1)"),
        ("true ? false : true ? false : true", "(true ? false : (true ? false : true))"),
        (
            "true || false ? false || true : true && true",
            "((true || false) ? (false || true) : (true && true))",
        ),
        ("1 in [1, 2] && true", "((1 in [1, 2]) && true)"),
        ("'a' in facets || facets['a'] == 'b'", '(("a" in facets) || (facets["a"] == "b"))'),
        ("facts . pulse>90.0", "(facts.pulse > 90.0)"),
        ("members.valid\n>=\t2", "(members.valid >= 2)"),
    ],
)
def test_precedence_and_association_are_those_of_cel(source: str, tree: str) -> None:
    assert in_brackets(parse(source)) == tree


def test_names_carry_their_place_in_the_source() -> None:
    source = "has(facts.pulse) && ( facts .pulse > 1.0 || 'x y' in facets || facets[ 'z' ] == risk_class)"
    assert [source[used.start : used.end] for used in names(parse(source))] == [
        "has(facts.pulse)",
        "facts .pulse",
        "'x y' in facets",
        "facets[ 'z' ]",
        "risk_class",
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("true &&", "column 8: expected a value, got end of the condition"),
        ("pulse > 1", "column 1: expected facts, facets, has, risk_class or members.valid, got 'pulse'"),
        ("true # no", "column 6: expected a name, a number, a plain string or an operator"),
        ("has(facts.pulse", "column 16: expected ), got end of the condition"),
        ("(" * 20 + "true", "column 17: expected at most 16 levels of nesting"),
        ("true" + " " * 2000, "column 2001: expected at most 2000 characters, got 2004"),
    ],
)
def test_a_message_says_where_and_what(source: str, message: str) -> None:
    with pytest.raises(ConditionSyntaxError) as refusal:
        parse(source)
    assert str(refusal.value) == message


def test_each_unguarded_use_is_listed_and_guarded_ones_are_not() -> None:
    source = "has(facts.a) && facts.a > 1.0 && facts.b > 1.0 && facts.b < 2.0"
    assert [use.name for use in unguarded(parse(source))] == ["b", "b"]
