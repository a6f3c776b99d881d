"""A draw has the probability that it states, says what its word says, and is made of what is watched alone."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest
from scipy.stats import binomtest

from arbiter.documents.canonical import decode, encode
from arbiter.errors import RefusedError, VerificationError
from arbiter.model import Verdict, VerdictKind
from arbiter.question import Strategy
from arbiter.workflow.watching.drawing import Draw, draw_for, draw_from, is_drawn

DECIDES = Verdict(VerdictKind.DECIDE, "yes", "yes", (), (), ())


class Dice:
    """Seeded chance."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)


def drawn(share: str, seed: int = 7) -> Draw:
    found = draw_for(DECIDES, Strategy.POSTERIOR, Decimal(share), Dice(seed), training=False)
    assert found is not None
    return found


@pytest.mark.parametrize("share", ["0.01", "0.2", "0.5"])
def test_a_draw_has_the_probability_that_it_states(share: str) -> None:
    chance = Dice(1)
    draws = [
        draw_for(DECIDES, Strategy.POSTERIOR, Decimal(share), chance, training=False) for _ in range(4000)
    ]
    hits = sum(draw is not None and draw.drawn for draw in draws)
    assert binomtest(hits, 4000, float(share)).pvalue > 0.001


def test_of_all_decisions_all_are_drawn() -> None:
    assert all(is_drawn(word, Decimal(1)) for word in (b"\x00" * 16, b"\xff" * 16))


def test_the_edge_belongs_to_those_that_are_not_drawn() -> None:
    half = b"\x80" + b"\x00" * 15
    assert not is_drawn(half, Decimal("0.5"))
    assert is_drawn(b"\x7f" + b"\xff" * 15, Decimal("0.5"))


@pytest.mark.parametrize("strategy", [each for each in Strategy if each is not Strategy.POSTERIOR])
def test_what_states_no_error_rate_is_not_drawn(strategy: Strategy) -> None:
    assert draw_for(DECIDES, strategy, Decimal(1), Dice(1), training=False) is None


@pytest.mark.parametrize("kind", [VerdictKind.ESCALATE, VerdictKind.ASK_FACTS])
def test_what_the_panel_does_not_decide_is_not_drawn(kind: VerdictKind) -> None:
    verdict = replace(DECIDES, kind=kind, option=None)
    assert draw_for(verdict, Strategy.POSTERIOR, Decimal(1), Dice(1), training=False) is None


def test_practice_is_not_drawn() -> None:
    assert draw_for(DECIDES, Strategy.POSTERIOR, Decimal(1), Dice(1), training=True) is None


def test_a_draw_is_read_as_it_was_written() -> None:
    for share in ("0.2", "1", "0.000001"):
        made = drawn(share)
        assert draw_from(made.to_bytes()) == made


def test_a_draw_turned_round_is_refused() -> None:
    document = decode(drawn("0.5").to_bytes())
    with pytest.raises(VerificationError, match="word"):
        draw_from(encode(document | {"drawn": not document["drawn"]}))


@pytest.mark.parametrize(
    "change",
    [
        {"word": "zz"},
        {"word": 7},
        {"probability": "often"},
        {"more": "1"},
        {"format": "arbiter/audit-draw/v2"},
    ],
)
def test_what_is_no_draw_is_refused(change: dict[str, object]) -> None:
    document = decode(drawn("0.2").to_bytes())
    with pytest.raises((VerificationError, RefusedError)):
        draw_from(encode(document | change))


@pytest.mark.parametrize("lacking", ["word", "probability", "drawn"])
def test_a_draw_that_lacks_something_is_refused(lacking: str) -> None:
    document = decode(drawn("0.2").to_bytes())
    del document[lacking]
    with pytest.raises(VerificationError):
        draw_from(encode(document))
