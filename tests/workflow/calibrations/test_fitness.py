"""What a calibration states is held against the protocol's promises, and each bound against the counts it follows from."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

import pytest
from scipy.stats import beta

from arbiter.calibration import Calibration, Labels, Stratum
from arbiter.model import MemberId
from arbiter.protocols.bundle import POLICY_FILE, PROTOCOL_FILE
from arbiter.protocols.loader import load_bundle
from arbiter.question import Protocol
from arbiter.workflow.calibrations.fitness import misfits
from tests.adjudication.calibrations import LABELS, calibration, level
from tests.panels.model_bundles import shipped_text
from tests.workflow.calibrations.certified import BOUND, REAL, SPOTLESS, posterior_text, strata

FILES = {
    PROTOCOL_FILE: posterior_text().encode(),
    POLICY_FILE: shipped_text(POLICY_FILE).encode(),
}
PANEL = load_bundle(FILES).protocol
URGENT, WATCH = PANEL.question.option_ids()


def fitting(**changes: Any) -> Calibration:
    standard: dict[str, Any] = {"strata": strata(URGENT, WATCH), "labels": REAL}
    return replace(calibration(PANEL), **(standard | changes))


def pointers(
    made: Calibration, protocol: Protocol | None = PANEL, *, demonstration: bool = False
) -> list[str]:
    return [problem.pointer for problem in misfits(made, protocol, demonstration=demonstration)]


def exact(errors: int, accepted: int, delta: str = "0.05") -> str:
    """Clopper and Pearson's upper bound, by SciPy, rounded up to six decimals."""
    bound = beta.ppf(1 - float(delta), errors + 1, accepted - errors)
    return str(Decimal(float(bound)).quantize(Decimal("0.000001"), ROUND_CEILING))


def test_one_that_fits_has_nothing_against_it() -> None:
    assert exact(2, 200) == BOUND
    assert exact(0, 200) == SPOTLESS
    assert pointers(fitting()) == []
    assert pointers(fitting(labels=LABELS), demonstration=True) == []


def test_stricter_than_promised_fits() -> None:
    held = level("0.9", 200, 0, exact(0, 200, "0.01"))
    strict = (Stratum(URGENT, Decimal("0.03"), held, (held,)),)
    assert pointers(fitting(delta=Decimal("0.01"), strata=strict)) == []
    assert pointers(fitting(strata=())) == [], "certifying nothing is no fault"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"protocol_hash": "f" * 64}, ["/protocol/hash"]),
        ({"protocol_version": "9.9.9"}, ["/protocol"]),
        ({"options": (WATCH, URGENT)}, ["/options"]),
        ({"options": (URGENT, "wait")}, ["/options"]),
        ({"delta": Decimal("0.051")}, ["/delta"]),
        ({"labels": LABELS}, ["/labels/synthetic"]),
        ({"labels": replace(LABELS, synthetic=False)}, ["/labels/synthetic"]),
        ({"labels": replace(REAL, fitting=359)}, ["/labels/provenance"]),
        ({"labels": replace(REAL, provenance=(("blind-reader", 1800),))}, ["/labels/provenance"]),
        ({"labels": replace(REAL, guarantee=399, fitting=411)}, ["/strata"]),
        ({"labels": replace(REAL, marks=())}, ["/labels/marks"]),
        ({"labels": replace(REAL, marks=REAL.marks[1:])}, ["/labels/marks"]),
        ({"labels": replace(REAL, marks=REAL.marks[::-1])}, ["/labels/marks"]),
        ({"labels": replace(REAL, marks=(*REAL.marks[:-1], REAL.marks[-2]))}, ["/labels/marks"]),
        ({"labels": replace(REAL, marks=(*REAL.marks[:-1], "g" * 16))}, ["/labels/marks"]),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], found: list[str]) -> None:
    assert pointers(fitting(**changes)) == found


def test_a_claim_of_real_labels_is_not_believed_against_its_own_provenance_in_a_demonstration_either() -> (
    None
):
    mixed = Labels(
        "a" * 64, "b" * 64, (("blind-reader", 800), ("synthetic-7", 100)), 360, 90, 450, synthetic=False
    )
    assert pointers(fitting(labels=mixed), demonstration=True) == ["/labels/synthetic"]


def test_members_who_do_not_vote_or_are_missing_are_named() -> None:
    records = fitting().records
    assert pointers(fitting(records=records[1:])) == ["/members"]
    stranger = replace(records[0], member=MemberId("qsofa"))
    assert pointers(fitting(records=(stranger, *records[1:]))) == ["/members"]
    assert pointers(fitting(records=records[::-1])) == [], "their order is the calibration's own"


def test_a_rate_looser_than_the_protocols_is_refused() -> None:
    held = level("0.8", 200, 2, BOUND)
    loose = Stratum(WATCH, Decimal("0.06"), held, (held,))
    assert pointers(fitting(strata=(*strata(URGENT), loose))) == ["/strata/1/alpha"]


def test_an_option_that_a_clinician_always_decides_is_refused() -> None:
    assert PANEL.adjudication.guarantee is not None
    one = replace(PANEL.adjudication.guarantee, error_rates=((URGENT, Decimal("0.05")),))
    protocol = replace(PANEL, adjudication=replace(PANEL.adjudication, guarantee=one))
    assert pointers(fitting(), protocol) == ["/strata/1/option"]


@pytest.mark.parametrize(
    ("errors", "accepted", "bound"),
    [(2, 200, "0.031142"), (0, 0, "0"), (5, 200, BOUND), (2, 100, BOUND), (0, 58, "0.05")],
)
def test_a_bound_lower_than_its_counts_leave_possible_is_refused(
    errors: int, accepted: int, bound: str
) -> None:
    claimed = level("0.8", accepted, errors, bound)
    made = fitting(strata=(Stratum(URGENT, Decimal("0.05"), claimed, (claimed,)),))
    assert pointers(made) == ["/strata/0/tested/0/bound"]


@pytest.mark.parametrize(("errors", "accepted"), [(0, 59), (1, 93), (3, 153), (5, 208), (40, 450)])
def test_the_exact_bound_is_taken(errors: int, accepted: int) -> None:
    tested = level("0.8", accepted, errors, exact(errors, accepted))
    held = tested if tested.bound <= Decimal("0.05") else None
    assert pointers(fitting(strata=(Stratum(URGENT, Decimal("0.05"), held, (tested,)),))) == []


def test_a_protocol_that_is_not_there_or_decides_otherwise_is_named() -> None:
    assert pointers(fitting(), None) == ["/protocol/id"]
    weighted = replace(PANEL, adjudication=replace(PANEL.adjudication, guarantee=None))
    assert pointers(fitting(), weighted) == ["/protocol/id"]
