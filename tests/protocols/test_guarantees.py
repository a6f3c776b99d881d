"""What a protocol that decides by its posterior must state, and what it cannot."""

from decimal import Decimal

import pytest

from arbiter.protocols.loader import load_bundle
from arbiter.question import Guarantee, Strategy
from tests.protocols.small import PROTOCOL, files, problems_of, spoiled

CERTIFIED = PROTOCOL.replace(
    "  threshold: 0.5\n", "  guarantee:\n    delta: 0.05\n    error_rates:\n      yes: 0.02\n"
).replace("strategy: unanimous", "strategy: posterior")


def test_a_guarantee_names_the_options_that_may_be_decided_and_how_often_they_may_be_wrong() -> None:
    source = CERTIFIED.replace("yes: 0.02", '"yes": 0.02')
    settings = load_bundle(files(protocol=source)).protocol.adjudication
    assert (settings.strategy, settings.threshold) == (Strategy.POSTERIOR, None)
    assert settings.guarantee == Guarantee(Decimal("0.05"), (("yes", Decimal("0.02")),))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"yes": 0.02', "maybe: 0.02", "an option of the question, 'maybe' came"),
        ('"yes": 0.02', '"yes": 0', "above 0"),
        ('"yes": 0.02', '"yes": 1', "less than 1"),
        ('"yes": 0.02', '"yes": often', "a number"),
        ("delta: 0.05", "delta: 0", "above 0"),
        ("delta: 0.05", "delta: 1", "less than 1"),
        ("    delta: 0.05\n", "", "delta"),
        (
            "  greatest_between",
            "  threshold: 0.5\n  greatest_between",
            "no 'threshold' with the strategy 'posterior'",
        ),
    ],
)
def test_a_guarantee_that_bounds_nothing_is_refused(old: str, new: str, words: str) -> None:
    sound = CERTIFIED.replace("yes: 0.02", '"yes": 0.02')
    assert old in sound
    problems = problems_of(files(protocol=sound.replace(old, new, 1)))
    assert any(words in problem.detail for problem in problems), problems


# (text that stands once in protocol.yaml, what replaces it, lines below the replacement, words of the refusal)
FAULTS = {
    "no threshold": ("  threshold: 0.5\n", "", -2, "the key 'threshold' with the strategy 'unanimous'"),
    "guarantee of another strategy": (
        "  threshold: 0.5\n",
        "  threshold: 0.5\n  guarantee: {delta: 0.05, error_rates: {}}\n",
        1,
        "no 'guarantee' with the strategy 'unanimous'",
    ),
    "posterior without a guarantee": (
        "strategy: unanimous",
        "strategy: posterior",
        0,
        "the key 'guarantee' with the strategy 'posterior'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_strategy_states_how_much_is_enough_in_its_own_way_alone(fault: str) -> None:
    old, new, below, words = FAULTS[fault]
    source, line = spoiled(PROTOCOL, old, new)
    problems = problems_of(files(protocol=source))
    named = [problem for problem in problems if words in problem.detail]
    assert named, problems
    assert named[0].pointer.startswith(f"protocol.yaml:{line + below}:"), (named, line)
