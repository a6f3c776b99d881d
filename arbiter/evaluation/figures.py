"""What an evaluation finds, as values: `report.json` holds exactly these, under these names, and the page shows no other number.

Shares are from 0 to 1, times in seconds. A figure that cannot be computed is None, `null` in JSON, and the page says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.evaluation.rates import Estimate, Rate


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something came: its `name` and its `count`."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class ServiceCalibration:
    """The calibration that the service as configured decided by: the one in the bundle.

    Which ones persons approved, and the mode of an installation, are not considered. `content_hash` is the hash (hex) of its
    content; None where there is none, for which `why_none` gives the reason. `synthetic` tells that its labels were invented,
    `of_these_cases` that it was made of the very file of cases evaluated here: figures of the service are then of the cases that
    certified it.
    """

    content_hash: str | None
    why_none: str | None
    synthetic: bool
    of_these_cases: bool


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the report rests on.

    `protocol` is its id, `version`, `title` and `question` are as it words them. `content_hash` is that of its files, `panel_hash`
    that of them and the scores' tables together. `calibration` is what the service as configured decided by. `cases_file` is the
    file's name, `cases_sha256` its hash, `opinions_sha256` that of these cases' lines, with which `opinions.jsonl` begins. `labels`
    counts where labels come from, `synthetic` how many of them are of invented cases. `ages_from` is the instant from which ages
    of facts were counted, `code_version` that of the program, `generated_at` when the report was made.
    """

    protocol: str
    version: str
    title: str
    question: str
    content_hash: str
    panel_hash: str
    calibration: ServiceCalibration
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
    """How many cases of one part of the split there are, and what became of them.

    `part` is its name. Of its `cases`, `asked` were put to the panel, `excluded` the question sends to a clinician before, and
    `refused` intake would not have taken.
    """

    part: str
    cases: int
    asked: int
    excluded: int
    refused: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The `cases`: in `parts` of the split, why some were never put to the panel, and what the service's verdicts were.

    `exclusions` are the reasons for which the question sends a case to a clinician, `refusals` what intake found at which place.
    `verdicts` are of the cases put to the panel, `reasons` why a clinician would see them; a case may have several.
    """

    cases: int
    parts: tuple[PartCount, ...]
    exclusions: tuple[Counted, ...]
    refusals: tuple[Counted, ...]
    verdicts: tuple[Counted, ...]
    reasons: tuple[Counted, ...]


@dataclass(frozen=True, slots=True)
class MemberFigures:
    """One seat over all cases that were asked about: who sat there, what became of asking, what was said, what it took.

    `member` is the seat's id and `title` its name, `asks` the question or facet that it answers, `family` what errs together, `kind`
    what sits there. `statuses` counts what came of asking, `answers` the option that led where the answer was valid.
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
    """A number for each pair of members, in the order of `members`.

    `values` has a row and a column for each; None where there is no number, and on the diagonal. `cases` counts those that both
    answered.
    """

    members: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    cases: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the members that answer one question or facet agree, over `cases` that were put to the panel.

    `asks` is the facet's id, or that of the question, `title` its text.
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
class Calibration:
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
class Contribution:
    """What one member adds to the posterior of the panel, in accuracy and in log score, on the held-out cases.

    `member` is its id, `title` its name, `weight` what its word counts for among all others'. `left_out_accuracy` and
    `left_out_log_score` are lost where it alone leaves, `shapley_accuracy` and `shapley_log_score` its fair share of all that the
    panel gains.
    """

    member: str
    title: str
    weight: float
    left_out_accuracy: Estimate
    left_out_log_score: Estimate
    shapley_accuracy: Estimate
    shapley_log_score: Estimate


@dataclass(frozen=True, slots=True)
class SmallerPanel:
    """The best part of the panel of one `size`, its `members` chosen on the fitting cases.

    `accuracy` and `log_score` are what it is worth on the held-out ones.
    """

    size: int
    members: tuple[str, ...]
    accuracy: Estimate
    log_score: Estimate


@dataclass(frozen=True, slots=True)
class Contributions:
    """Every member's part (`members`), and the best panel of each size (`smaller`).

    `prior_accuracy` and `prior_log_score` are of guessing by how frequent options are, without any member; `whole_accuracy` and
    `whole_log_score` of the whole panel.
    """

    prior_accuracy: float
    prior_log_score: float
    whole_accuracy: float
    whole_log_score: float
    members: tuple[Contribution, ...]
    smaller: tuple[SmallerPanel, ...]


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


@dataclass(frozen=True, slots=True)
class Settings:
    """What was chosen before looking: levels of the guarantee, smoothing of the fit, what a small group is.

    `error_rates` has for each option how often a decision for it may be wrong, None where a clinician always decides; they and
    `delta` are the protocol's where it states a guarantee (`stated`), else those that every evaluation assumes. `smoothing`,
    `shrinkage` and `family_prior` are the fit's. A group of fewer cases than `small_group` is marked as small, one of fewer than
    `least_group` is not shown.
    """

    stated: bool
    error_rates: tuple[float | None, ...]
    delta: float
    smoothing: float
    shrinkage: float
    family_prior: float
    small_group: int
    least_group: int


@dataclass(frozen=True, slots=True)
class Decisions:
    """All about answers to the question itself; not there for a panel on which nobody votes.

    `settings` were chosen before looking. `options` are the ids, `option_titles` their names in the same order. `strategies` are the
    ways to answer, `risk` the curves of risk against coverage, `calibration` is of the probabilities, `error_correlation` of the
    members' errors. `contributions` is None for a panel with too many members. `hardest` are single cases, `subgroups` groups of
    patients, `unshown` those too small to show.
    """

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
    unshown: UnshownGroups


@dataclass(frozen=True, slots=True)
class Report:
    """The whole: `report.json` is this.

    `format` names its shape, `summary` says the most important of it in sentences, `provenance` what it rests on. `seen` is what became
    of the cases, `members` of asking each seat, `agreement` how far they say the same, `decisions` what the answers to the question
    are worth, None where nobody gives one.
    """

    format: str
    summary: tuple[str, ...]
    provenance: Provenance
    seen: Seen
    members: tuple[MemberFigures, ...]
    agreement: tuple[Agreement, ...]
    decisions: Decisions | None
