"""What an evaluation finds, as values: `report.json` holds exactly these, under these names, and the page shows no other number.

Shares are from 0 to 1, times in seconds. A figure that cannot be computed is None, `null` in JSON, and the page says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.evaluation.rates import Estimate, Rate


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something came."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the report rests on.

    `opinions_sha256` is the hash of `opinions.jsonl` as the run left it. `labels` counts where labels come from, `synthetic` how
    many of them are of invented cases. `ages_from` is the instant from which ages of facts were counted.
    """

    protocol: str
    version: str
    title: str
    question: str
    content_hash: str
    panel_hash: str
    cases_file: str
    cases_sha256: str
    opinions_sha256: str
    labels: tuple[Counted, ...]
    synthetic: int
    ages_from: str
    code_version: str
    generated_at: str


@dataclass(frozen=True, slots=True)
class PartCount:
    """How many cases of one part of the split there are, and what became of them."""

    part: str
    cases: int
    asked: int
    excluded: int
    refused: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The cases: by part, why some were never put to the panel, and what the service's verdicts were."""

    cases: int
    parts: tuple[PartCount, ...]
    exclusions: tuple[Counted, ...]
    refusals: tuple[Counted, ...]
    verdicts: tuple[Counted, ...]
    reasons: tuple[Counted, ...]


@dataclass(frozen=True, slots=True)
class MemberFigures:
    """One seat over all cases that were asked about: who sat there, what became of asking, what was said, what it took.

    `identities` has more than one entry where the member changed while opinions were collected. `samples` is what a model
    drew in all, `seconds_median` and `seconds_p95` its time for a case; None for a score, which answers at once.
    """

    member: str
    title: str
    asks: str
    family: str
    kind: str
    identities: tuple[Counted, ...]
    statuses: tuple[Counted, ...]
    answers: tuple[Counted, ...]
    samples: int | None
    seconds_median: float | None
    seconds_p95: float | None


@dataclass(frozen=True, slots=True)
class Pairwise:
    """A number for each pair of members, in the order of `members`; None where there is none, and on the diagonal."""

    members: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    cases: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the members that answer one question or facet agree.

    `alpha` is Krippendorff's, nominal. `agreement` is the share of cases with one same leading option, of those both answered.
    """

    asks: str
    title: str
    cases: int
    alpha: float | None
    agreement: Pairwise


@dataclass(frozen=True, slots=True)
class StrategyFigures:
    """One way to answer, on the held-out cases.

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
    """Accepting what scores at least `score`: the share accepted and the share of wrong among them."""

    score: float
    coverage: float
    risk: float


@dataclass(frozen=True, slots=True)
class CertifiedPoint:
    """What is certified for one decided option: None for all but counts where no threshold passed.

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
    """Risk against coverage, for one decided option or for all together (`option` is None, and nothing is certified)."""

    option: str | None
    title: str
    cases: int
    area: float | None
    points: tuple[RiskPoint, ...]
    certified: CertifiedPoint | None


@dataclass(frozen=True, slots=True)
class Bin:
    """Cases whose confidence lies in one tenth: how sure the posterior was on average, how often it was right."""

    low: float
    high: float
    confidence: float
    right: Rate


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far probabilities can be taken at their word, on the held-out cases that somebody answered.

    `ece` is the expected calibration error over ten bins of equal width, `brier` the mean square of all options' errors
    (0 to 2), `log_score` the mean natural logarithm of what the truth was given.
    """

    cases: int
    ece: float
    brier: float
    log_score: float
    temperature: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one member adds to the posterior of the panel, in accuracy and in log score, on the held-out cases."""

    member: str
    title: str
    weight: float
    left_out_accuracy: Estimate
    left_out_log_score: Estimate
    shapley_accuracy: Estimate
    shapley_log_score: Estimate


@dataclass(frozen=True, slots=True)
class SmallerPanel:
    """The best part of the panel of one size, chosen on the fitting cases, and what it is worth on the held-out ones."""

    size: int
    members: tuple[str, ...]
    accuracy: Estimate
    log_score: Estimate


@dataclass(frozen=True, slots=True)
class Contributions:
    """Every member's part, and every smaller panel; `prior` is what is right without any member."""

    prior_accuracy: float
    prior_log_score: float
    whole_accuracy: float
    whole_log_score: float
    members: tuple[Contribution, ...]
    smaller: tuple[SmallerPanel, ...]


@dataclass(frozen=True, slots=True)
class HardCase:
    """A case to which the posterior gave the truth least: its id, what is right, what led."""

    case: str
    truth: str
    leading: str
    probability: float


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One group of patients, on the held-out cases: is the panel as often right on it, and as often able to answer.

    `gap` is its accuracy less that of all others. `small` marks fewer cases than can say much.
    """

    kind: str
    group: str
    cases: int
    accuracy: Rate
    gap: Estimate
    decided: Rate
    small: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """What was chosen before looking: levels of the guarantee, smoothing of the fit, what a small group is.

    `error_rates` has for each option how often a decision for it may be wrong, None where a clinician always decides; they and
    `delta` are the protocol's where it states a guarantee (`stated`), else those that every evaluation assumes.
    """

    stated: bool
    error_rates: tuple[float | None, ...]
    delta: float
    smoothing: float
    shrinkage: float
    family_prior: float
    small_group: int


@dataclass(frozen=True, slots=True)
class Decisions:
    """All about answers to the question itself; not there for a panel on which nobody votes."""

    settings: Settings
    options: tuple[str, ...]
    option_titles: tuple[str, ...]
    strategies: tuple[StrategyFigures, ...]
    risk: tuple[RiskCurve, ...]
    calibration: Calibration
    error_correlation: Pairwise
    contributions: Contributions | None
    hardest: tuple[HardCase, ...]
    subgroups: tuple[Subgroup, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole: `report.json` is this. `summary` says the most important of it in sentences."""

    format: str
    summary: tuple[str, ...]
    provenance: Provenance
    seen: Seen
    members: tuple[MemberFigures, ...]
    agreement: tuple[Agreement, ...]
    decisions: Decisions | None
