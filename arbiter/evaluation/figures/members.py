"""What became of the cases and of asking each member, how far members agree, and what each adds to the panel."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.evaluation.rates import Estimate


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something came: its `name` and its `count`."""

    name: str
    count: int


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
