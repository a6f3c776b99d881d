"""How right the answers are, by each way to answer and for each group of patients, and how far probabilities hold."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.evaluation.rates import Estimate, Rate


@dataclass(frozen=True, slots=True)
class StrategyFigures:
    """One way to answer, on the held-out cases.

    `name` tells it from the others, `title` says it in words, `kind` is service, strategy or member.
    `accuracy` is right of answered, `coverage` answered of those put to the panel, `to_human` of all held-out cases those that
    a clinician would see: not answered, excluded, or refused by intake. `confusion` has a row a truth and a column an option,
    the last column not answered; of the held-out cases put to the panel. `samples_per_case` and `seconds_per_case` are what
    models took, None where none sits there. `wrong_by_truth` says of each option's cases how many were answered with another:
    what nobody would have seen before it was too late.
    """

    name: str
    title: str
    kind: str
    accuracy: Rate
    coverage: Rate
    to_human: Rate
    wrong_by_truth: tuple[Rate, ...]
    confusion: tuple[tuple[int, ...], ...]
    samples_per_case: float | None
    seconds_per_case: float | None


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """Accepting what scores at least `score`: `coverage` is the share accepted, `risk` the share of wrong among them."""

    score: float
    coverage: float
    risk: float


@dataclass(frozen=True, slots=True)
class CertifiedPoint:
    """What is certified for one decided option, for the posterior alone, without quorum and policy.

    `threshold` is what the posterior must exceed; it, `bound`, `coverage` and `risk` are None where nothing is certified, be it that
    there are too few cases. Of the `accepted` above it, `errors` were wrong, which is a share of `risk`.

    `alpha` is the error rate to stay within, None where the protocol lets nobody but a clinician decide for the option; `bound`
    the upper bound that holds at confidence 1 - delta; `coverage` is of the cases that lead with the option.
    """

    alpha: float | None
    threshold: float | None
    accepted: int
    errors: int
    bound: float | None
    coverage: float | None
    risk: float | None


@dataclass(frozen=True, slots=True)
class RiskCurve:
    """Risk against coverage, for one decided option or for all together (`option` is None, and nothing is `certified`).

    `title` is the option's, `cases` counts those that lead with it. `points` go from strict to loose, at most a hundred of them;
    `area` is the mean risk over coverage.
    """

    option: str | None
    title: str
    cases: int
    area: float | None
    points: tuple[RiskPoint, ...]
    certified: CertifiedPoint | None


@dataclass(frozen=True, slots=True)
class Bin:
    """Cases whose confidence lies in one tenth, from `low` to `high`.

    `confidence` is how sure the posterior was on average, `right` how often it was right.
    """

    low: float
    high: float
    confidence: float
    right: Rate


@dataclass(frozen=True, slots=True)
class CalibrationFigures:
    """How far probabilities can be taken at their word, on the held-out `cases` that somebody answered.

    `ece` is the expected calibration error over ten bins of equal width, `brier` the mean square of all options' errors
    (0 to 2), `log_score` the mean natural logarithm of what the truth was given. `temperature` is what the posterior's logarithm
    was divided by, fitted on cases of their own; `bins` are those that hold a case.
    """

    cases: int
    ece: float
    brier: float
    log_score: float
    temperature: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class HardCase:
    """A case to which the posterior gave the truth least.

    `case` is its id, `truth` the option that is right, `leading` the one that led, empty where several did, `probability` what the
    truth was given.
    """

    case: str
    truth: str
    leading: str
    probability: float


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One group of patients, on the held-out cases: is the panel as often right on it, and as often able to answer.

    `kind` is age, sex or site and `group` the band or the value; it has `cases`. `accuracy` is the posterior's, `gap` that less the
    accuracy of all others. `decided` is how often the service would have decided. `small` marks fewer cases than can say much.
    """

    kind: str
    group: str
    cases: int
    accuracy: Rate
    gap: Estimate
    decided: Rate
    small: bool


@dataclass(frozen=True, slots=True)
class UnshownGroups:
    """The groups too small to show, of which figures would be figures of persons: how many `groups`, with how many `cases`.

    A case counts once for each of its groups.
    """

    groups: int
    cases: int
