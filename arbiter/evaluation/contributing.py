"""What each member adds to the panel, and what smaller panels would give."""

from __future__ import annotations

from arbiter.adjudication.posterior import independence
from arbiter.calibrating.fitting import Fitted
from arbiter.evaluation.ballots import Ballots
from arbiter.evaluation.coalitions import MOST_MEMBERS, best_parts, left_out, shapley, worth_of
from arbiter.evaluation.figures.members import Contribution, Contributions, SmallerPanel
from arbiter.evaluation.rates import mean


def contributions(fitting: Ballots, held_out: Ballots, fitted: Fitted) -> Contributions | None:
    """Return every member's part and the best smaller panels; None for a panel of more than `MOST_MEMBERS`.

    Values and intervals are of the held-out cases; which smaller panel is best is settled on the fitting cases.
    """
    number = len(held_out.seats)
    if number > MOST_MEMBERS or not len(held_out):
        return None
    worth = worth_of(held_out, fitted)
    whole = (1 << number) - 1
    weights = tuple(map(float, independence(fitted.correlations, tuple(range(number)))))
    by_left_out = (left_out(worth.right, number), left_out(worth.log_score, number))
    by_shapley = (shapley(worth.right, number), shapley(worth.log_score, number))
    return Contributions(
        prior_accuracy=float(worth.right[0].mean()),
        prior_log_score=float(worth.log_score[0].mean()),
        whole_accuracy=float(worth.right[whole].mean()),
        whole_log_score=float(worth.log_score[whole].mean()),
        members=tuple(
            Contribution(
                seat.member,
                seat.title,
                weights[at],
                mean(by_left_out[0][at]),
                mean(by_left_out[1][at]),
                mean(by_shapley[0][at]),
                mean(by_shapley[1][at]),
            )
            for at, seat in enumerate(held_out.seats)
        ),
        smaller=tuple(
            SmallerPanel(
                size=part.bit_count(),
                members=tuple(seat.member for at, seat in enumerate(held_out.seats) if part >> at & 1),
                accuracy=mean(worth.right[part]),
                log_score=mean(worth.log_score[part]),
            )
            for part in best_parts(worth_of(fitting, fitted), number)
        ),
    )
