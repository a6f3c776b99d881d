"""Puts the report together from what was heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from arbiter import __version__
from arbiter.calibration import is_synthetic
from arbiter.documents.scalars import instant_text
from arbiter.evaluation.agreeing import agreement
from arbiter.evaluation.asking import TAKEN_AT
from arbiter.evaluation.ballots import ballots_of
from arbiter.evaluation.cases import Case, Cases
from arbiter.evaluation.counting import members, most_first, seen
from arbiter.evaluation.deciding import decisions, settings_of
from arbiter.evaluation.figures.members import Agreement, Counted
from arbiter.evaluation.figures.report import Provenance, Report, ServiceCalibration
from arbiter.evaluation.hearing import Came, Hearing, panel_hash
from arbiter.evaluation.running import Heard
from arbiter.evaluation.summary import summary
from arbiter.protocols.bundle import CALIBRATION_FILE
from arbiter.question import QUESTION, Protocol, Strategy
from arbiter.workflow.shelf import Shelved

FORMAT: Final = "arbiter-evaluation-1"
_MOST_LABELS: Final = 20


def report_of(
    shelved: Shelved,
    cases: Cases,
    cases_file: str,
    heard: Heard,
    now: datetime,
) -> Report:
    """Return the report.

    Raises:
        RefusedError: when there are too few cases to say anything of the answers to the question.
    """
    protocol = shelved.protocol
    asked = [(case, hearing) for case, hearing in heard.pairs if hearing.came is Came.ASKED]
    votes = any(seat.asks == QUESTION for seat in protocol.seats)
    provenance = _provenance(shelved, cases, cases_file, heard, now)
    counted = seen(heard.pairs)
    seats = members(protocol.seats, asked)
    agreements = _agreements(protocol, asked)
    found = decisions(protocol, heard.pairs, settings_of(protocol)) if votes else None
    told = summary(counted, seats, agreements, found, provenance.calibration)
    return Report(FORMAT, told, provenance, counted, seats, agreements, found)


def _agreements(protocol: Protocol, asked: Sequence[tuple[Case, Hearing]]) -> tuple[Agreement, ...]:
    """Return agreement on the question and on each facet that at least two members answer."""
    sought = [(QUESTION, protocol.question.text), *((facet.id, facet.text) for facet in protocol.facets)]
    return tuple(
        agreement(ballots_of(protocol, asks, asked, labelled=False), asks, title)
        for asks, title in sought
        if sum(seat.asks == asks for seat in protocol.seats) > 1
    )


def service_calibration(shelved: Shelved, cases: Cases) -> ServiceCalibration:
    """Return what the service as configured decided by, or why by nothing."""
    found, protocol = shelved.bundle.calibration, shelved.protocol
    reads = protocol.adjudication.strategy is Strategy.POSTERIOR
    votes = any(seat.asks == QUESTION for seat in protocol.seats)
    if found is not None and reads and votes:
        of_these = found.labels.cases_hash == cases.sha256
        return ServiceCalibration(found.content_hash, None, found.labels.synthetic, of_these)
    if not votes:
        why = "nobody on this panel votes on the question, so nothing is decided alone"
    elif not reads:
        why = f"the protocol decides by {protocol.adjudication.strategy.value}, which reads none"
    elif CALIBRATION_FILE in shelved.bundle.files:
        why = f"the bundle's {CALIBRATION_FILE} is for another version of the protocol, so nothing is decided alone"
    else:
        why = f"the bundle has no {CALIBRATION_FILE}, so nothing is decided alone"
    return ServiceCalibration(None, why, synthetic=False, of_these_cases=False)


def _provenance(shelved: Shelved, cases: Cases, cases_file: str, heard: Heard, now: datetime) -> Provenance:
    protocol = shelved.protocol
    labels = Counter(case.labelled.provenance for case in cases.cases)
    counted = most_first(labels)
    rest = sum(label.count for label in counted[_MOST_LABELS:])
    return Provenance(
        protocol=protocol.id,
        version=protocol.version,
        title=protocol.title,
        question=protocol.question.text,
        content_hash=protocol.content_hash,
        panel_hash=panel_hash(shelved),
        calibration=service_calibration(shelved, cases),
        cases_file=cases_file,
        cases_sha256=cases.sha256,
        opinions_sha256=heard.sha256,
        labels=(*counted[:_MOST_LABELS], *([Counted("others", rest)] if rest else [])),
        synthetic=sum(count for label, count in labels.items() if is_synthetic(label)),
        ages_from=instant_text(TAKEN_AT),
        code_version=__version__,
        generated_at=instant_text(now),
    )
