"""The report as a whole: what it rests on, what was chosen before looking, and all about decisions together."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.evaluation.figures.answers import (
    CalibrationFigures,
    HardCase,
    RiskCurve,
    StrategyFigures,
    Subgroup,
    UnshownGroups,
)
from arbiter.evaluation.figures.members import (
    Agreement,
    Contributions,
    Counted,
    MemberFigures,
    Pairwise,
    Seen,
)
from arbiter.evaluation.figures.unseated import ColdStartFigures, StackerFigures


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
    ways to answer, `risk` the curves of risk against coverage, `calibration` is of the probabilities. `cold_start` is what a fit
    without labels is worth, `stacker` what further signs add to the posterior; each is None where these cases let none be fitted,
    and no service decides by either. `error_correlation` is of the members' errors. `contributions` is None for a panel with
    too many members. `hardest` are single cases, `subgroups` groups of patients, `unshown` those too small to show.
    """

    settings: Settings
    options: tuple[str, ...]
    option_titles: tuple[str, ...]
    strategies: tuple[StrategyFigures, ...]
    risk: tuple[RiskCurve, ...]
    calibration: CalibrationFigures
    cold_start: ColdStartFigures | None
    stacker: StackerFigures | None
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
