"""What was learnt of a panel from labelled cases, and what is certified of what it decides alone: frozen values.

A calibration belongs to one protocol, byte for byte, and to the members that answered when it was made: another rule,
another wording or another model is another panel, of which nothing is known. What it says is fitted by
`arbiter.calibrating` and read by `arbiter.adjudication`; its document and hash are in `arbiter.documents.calibrations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from arbiter.model import MemberId

_SYNTHETIC: Final = "synthetic"


def is_synthetic(provenance: str) -> bool:
    """Tell whether a label was invented, by how its provenance begins: so do those of the shipped generators."""
    return provenance.strip().lower().startswith(_SYNTHETIC)


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """How one member answers.

    `identity` is the SHA-256 (hex) of the identity that gave the answers. `reliability` has a row for each option that may be
    the truth and a column for each that the member may say, K x K, its rows summing to 1.
    """

    member: MemberId
    identity: str
    reliability: tuple[tuple[Decimal, ...], ...]


@dataclass(frozen=True, slots=True)
class Level:
    """One threshold that was tested: of the `accepted` cases whose probability lay above it, `errors` were wrong.

    `bound` is the greatest error rate that these numbers do not rule out, at the calibration's delta.
    """

    threshold: Decimal
    accepted: int
    errors: int
    bound: Decimal


@dataclass(frozen=True, slots=True)
class Stratum:
    """What is certified of cases decided for one option.

    `alpha` is the greatest error rate allowed. `tested` are the levels in the order in which they were tried, strict to
    loose, the first that failed among them as the last. `certified` is the loosest that held, None when none did: then no
    case is decided for this option without a clinician.
    """

    option: str
    alpha: Decimal
    certified: Level | None
    tested: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Labels:
    """Where the answers that count as right come from.

    `cases_hash` and `opinions_hash` are SHA-256 (hex) over the labelled cases and over what the panel said of them.
    `provenance` counts cases by how their label came about. The three sets are disjoint: reliability is fitted on the first,
    the temperature on the second, the error rate certified on the third. `synthetic` labels were invented by a generator.
    `marks` are hex digits by which cases of the third set are known again (`arbiter.calibrating.looks`): of invented ones there
    are none.
    """

    cases_hash: str
    opinions_hash: str
    provenance: tuple[tuple[str, int], ...]
    fitting: int
    tempering: int
    guarantee: int
    synthetic: bool
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Calibration:
    """All that deciding reads, and all that whoever approves it must know.

    `options` gives the order of `prior` and of rows and columns; `records` that of `correlations`, whose diagonal is 1.
    `facet_members` are those that answer facets, each with the SHA-256 (hex) of its identity: policy reads what they say, and
    what is certified is the whole decision. `smoothing`, `shrinkage` and `family_correlation` are the fit's settings; `delta` the chance, at most, that a certified
    error rate is exceeded. `content_hash` is the SHA-256 (hex) of the document that holds all the rest.
    """

    protocol: str
    protocol_version: str
    protocol_hash: str
    options: tuple[str, ...]
    prior: tuple[Decimal, ...]
    records: tuple[MemberRecord, ...]
    facet_members: tuple[tuple[MemberId, str], ...]
    correlations: tuple[tuple[Decimal, ...], ...]
    temperature: Decimal
    delta: Decimal
    strata: tuple[Stratum, ...]
    labels: Labels
    smoothing: Decimal
    shrinkage: Decimal
    family_correlation: Decimal
    code_version: str
    content_hash: str

    def __hash__(self) -> int:
        # What is kept of a calibration is looked up by it for every case; its own bytes' hash tells it from all others.
        return hash(self.content_hash)

    def stratum(self, option: str) -> Stratum | None:
        """Return what is certified of deciding for an option, or None where nothing is said of it."""
        return next((stratum for stratum in self.strata if stratum.option == option), None)
