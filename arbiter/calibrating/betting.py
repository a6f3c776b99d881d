"""Watches the error rate of what is decided automatically, audit by audit, and alarms when it exceeds its limit.

    E_t = prod_i (1 + b_i (err_i - alpha)),   0 < b_i < 1 / alpha, chosen from the audits before i

While the chance of an error, given all before, is at most alpha, E is expected never to grow. So it reaches 1 / delta
with probability at most delta, however long one watches and whenever one looks (Ville 1939; betting: Waudby-Smith and
Ramdas, JRSS-B 2024, arXiv 2010.09686). Nothing else is assumed: cases may differ, and the rate may move below its
limit.

The bet is that of a mixture: three stakes, each of which bets all along as if the odds of an error were so many times
what they may be (`STAKES`), and E is what they own together. `bet` is then the mean of the three, each weighed by what
it owns. Twice the odds has half of all, since that is what to look for; at alpha 5% and a true rate of 10% the mixture
takes 6% longer on average than the one bet that would be best there, at 7.5% it takes about half as long as that bet,
and at 15% and above it is faster. Mixtures over 16 or 20 bets took half as long again. Since stakes are constant, E
depends on how many audits and errors there were and on nothing else, and the delay can be computed exactly.

What E loses in good times it must win back: after a long quiet time an alarm takes longer, see `expected_delay`. A
watch can be begun at any time, beside an older one, with a share of delta of its own; the sum of all shares is what is
spent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Final

STAKES: Final = ((1.5, 0.25), (2.0, 0.5), (4.0, 0.25))
"""How many times the odds of alpha each stake bets on, and its share at the beginning."""

_UNSEEN: Final = 1e-16
_REST: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Evidence:
    """What audits so far say against the claim that the error rate is at most `alpha`.

    `logs` has the logarithm of what each stake owns, `highest` that of the most that E has been, 0 before any audit.
    """

    alpha: float
    delta: float
    audits: int
    logs: tuple[float, ...]
    highest: float

    def after(self, error: float) -> Evidence:
        """Return the evidence after one more audit.

        Args:
            error: whether the decision was wrong; or how wrong, from 0 to 1, whose mean is then what is watched.

        Raises:
            ValueError: when it is none of these.
        """
        if not 0.0 <= error <= 1.0:
            raise ValueError(f"expected an error from 0 to 1, got {error!r}")
        logs = tuple(
            own + math.log1p(bet * (float(error) - self.alpha))
            for own, bet in zip(self.logs, _bets(self.alpha), strict=True)
        )
        return replace(self, audits=self.audits + 1, logs=logs, highest=max(self.highest, _log_sum(logs)))

    def after_all(self, errors: Sequence[bool]) -> Evidence:
        """Return the evidence after so many more audits, one after another: what `after` gives, to the bit, in far less time."""
        bets = _bets(self.alpha)
        moves = {
            wrong: [math.log1p(bet * (float(wrong) - self.alpha)) for bet in bets] for wrong in (False, True)
        }
        logs, highest = self.logs, self.highest
        for wrong in errors:
            logs = tuple(own + move for own, move in zip(logs, moves[wrong], strict=True))
            if wrong:
                # By a decision that was right E falls, whatever was bet.
                highest = max(highest, _log_sum(logs))
        return replace(self, audits=self.audits + len(errors), logs=logs, highest=highest)

    @property
    def log_value(self) -> float:
        """The logarithm of E now."""
        return _log_sum(self.logs)

    @property
    def bet(self) -> float:
        """What will be bet on the next audit: b_t, above 0 and below 1 / alpha."""
        most = max(self.logs)
        owned = [math.exp(own - most) for own in self.logs]
        return math.fsum(own * bet for own, bet in zip(owned, _bets(self.alpha), strict=True)) / math.fsum(
            owned
        )

    @property
    def alarmed(self) -> bool:
        """Whether E has ever reached 1 / delta: an alarm is not taken back by better audits."""
        return self.highest >= -math.log(self.delta)


def begin(alpha: float, delta: float) -> Evidence:
    """Return the evidence before any audit.

    Args:
        alpha: the error rate that may not be exceeded.
        delta: the probability that an alarm may be false, over all time.

    Raises:
        ValueError: when one of them does not lie between 0 and 1.
    """
    _between("alpha", alpha)
    _between("delta", delta)
    return Evidence(alpha, delta, 0, _shares(), 0.0)


def delta_after(lifts: int, delta: float) -> float:
    """Return the delta of the watch that begins after so many lifted alarms, halved each time: in all `delta` at most.

    Raises:
        ValueError: when `lifts` is below 0 or `delta` does not lie between 0 and 1.
    """
    _between("delta", delta)
    if lifts < 0:
        raise ValueError(f"expected lifts from 0, got {lifts}")
    return delta / 2.0 ** (lifts + 1)


def expected_delay(
    alpha: float, rate: float, delta: float, *, quiet: int = 0, before: float = 0.0, most: int = 10_000
) -> float | None:
    """Return how many audits it takes on average until the alarm when decisions err independently at `rate`.

    Computed from the distribution of the errors so far among watches that have not alarmed, audit by audit.

    Args:
        alpha: the error rate that may not be exceeded.
        rate: the true one.
        delta: the probability that an alarm may be false.
        quiet: how many audits came before the rate rose, which are not counted; no alarm fell among them.
        before: the rate among those.
        most: how many audits to follow.

    Returns:
        None when more than one watch in a million goes on for longer than `most`, as it does when `rate` is not above
        `alpha`, where most watches never end.

    Raises:
        ValueError: when `alpha` or `delta` does not lie between 0 and 1, a rate lies outside, or a count is negative.
    """
    if quiet < 0 or most < 0:
        raise ValueError(f"expected numbers of audits from 0, got {quiet} quiet and {most} at most")
    _between("alpha", alpha)
    _rate(rate)
    _rate(before)
    if rate <= alpha:
        return None
    watching = chain([1.0], _watching(alpha, delta, chain(repeat(before, quiet), repeat(rate, most))))
    left = [share for at, share in enumerate(watching) if at >= quiet]
    if not left[0] or left[-1] > _REST * left[0]:
        return None
    # The mean of a count is the sum, over all counts, of the probability to go beyond.
    return math.fsum(left) / left[0]


def alarm_probability(alpha: float, rate: float, delta: float, audits: int) -> float:
    """Return the probability of an alarm within so many audits when decisions err independently at `rate`.

    Raises:
        ValueError: when `alpha` or `delta` does not lie between 0 and 1, the rate lies outside, or `audits` is below 0.
    """
    if audits < 0:
        raise ValueError(f"expected audits from 0, got {audits}")
    _rate(rate)
    left = 1.0
    for share in _watching(alpha, delta, repeat(rate, audits)):
        left = share
    return max(0.0, 1.0 - left)


def decisions(audits: float, sampling: float) -> float:
    """Return how many automatic decisions it takes to have so many audits when a share of them is audited.

    Raises:
        ValueError: when `audits` is negative or `sampling` is not above 0 and at most 1.
    """
    if not audits >= 0.0:
        raise ValueError(f"expected audits from 0, got {audits!r}")
    if not 0.0 < sampling <= 1.0:
        raise ValueError(f"expected a sampling probability above 0 and at most 1, got {sampling!r}")
    return audits / sampling


def _watching(alpha: float, delta: float, rates: Iterable[float]) -> Iterator[float]:
    """Yield, after each audit at each of these rates, the probability that no alarm has come, while there is any."""
    _between("delta", delta)
    _between("alpha", alpha)
    right = [math.log1p(-bet * alpha) for bet in _bets(alpha)]
    wrong = [math.log1p(bet * (1.0 - alpha)) for bet in _bets(alpha)]
    enough = -math.log(delta)
    # `shares[i]` is the probability of `fewest + i` errors and no alarm; an alarm comes with `alarming` errors or more.
    shares, fewest, alarming = [1.0], 0, 1
    for audits, rate in enumerate(rates, 1):
        shares = [
            stayed * (1.0 - rate) + rose * rate
            for stayed, rose in zip([*shares, 0.0], [0.0, *shares], strict=True)
        ]
        while alarming <= audits and _log_value(alarming, audits, wrong, right) < enough:
            alarming += 1
        del shares[max(0, alarming - fewest) :]
        while shares and shares[0] < _UNSEEN:
            del shares[0]
            fewest += 1
        yield math.fsum(shares)
        if not shares:
            return


def _log_value(errors: int, audits: int, wrong: Iterable[float], right: Iterable[float]) -> float:
    return _log_sum(
        tuple(
            share + errors * gain + (audits - errors) * loss
            for share, gain, loss in zip(_shares(), wrong, right, strict=True)
        )
    )


def _bets(alpha: float) -> tuple[float, ...]:
    """Return the bet of each stake: the best of all constant bets, if the odds of an error are those it bets on."""
    # (q - alpha) / (alpha (1 - alpha)) with q the rate of those odds: below 1 / alpha for any alpha and any odds.
    return tuple((times - 1.0) / (1.0 - alpha + times * alpha) for times, _ in STAKES)


def _shares() -> tuple[float, ...]:
    return tuple(math.log(share) for _, share in STAKES)


def _log_sum(logs: tuple[float, ...]) -> float:
    most = max(logs)
    return most + math.log(math.fsum(math.exp(each - most) for each in logs))


def _between(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ValueError(f"expected {name} between 0 and 1, got {value!r}")


def _rate(value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"expected a rate from 0 to 1, got {value!r}")
