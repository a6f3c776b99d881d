"""A calibration made from a fit and its candidates: nothing is certified that did not hold, and what is printed did."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from scipy.stats import beta

from arbiter.calibrating.fitting import FitSettings, Fitted
from arbiter.calibrating.making import Candidate, certified, provisional
from arbiter.calibration import Calibration
from arbiter.documents.calibrations import calibration_bytes, calibration_from
from arbiter.errors import RefusedError
from arbiter.model import MemberId
from arbiter.question import Guarantee, Strategy
from tests.adjudication.calibrations import LABELS
from tests.adjudication.small import bench

SETTINGS = FitSettings(2.0, 50.0, 0.5)
SHARP = ((0.9, 0.1), (0.2, 0.8))
FITTED = Fitted((0.3, 0.7), (SHARP,) * 3, ((1.0, 0.25, 0.0), (0.25, 1.0, 0.0), (0.0, 0.0, 1.0)), 1.5)
PANEL = bench(
    strategy=Strategy.POSTERIOR,
    threshold=None,
    guarantee=Guarantee(Decimal("0.05"), (("urgent", Decimal("0.05")), ("watch", Decimal("0.02")))),
).protocol
IDENTITIES = {MemberId(member): member * 64 for member in "abc"}


def weighed() -> Calibration:
    return provisional(PANEL, IDENTITIES, FITTED, SETTINGS, LABELS, "0")


def candidates(option: str, *runs: tuple[float, int, int]) -> list[Candidate]:
    """Cases of an option: (probability, how many, how many of them wrong)."""
    return [
        Candidate(option, probability, at >= wrong) for probability, many, wrong in runs for at in range(many)
    ]


def test_the_fit_stands_in_it_as_it_was_rounded_in_the_order_of_seats_and_options() -> None:
    made = weighed()
    assert made.options == ("urgent", "watch")
    assert made.prior == (Decimal("0.300000"), Decimal("0.700000"))
    assert [record.member for record in made.records] == ["a", "b", "c"]
    assert [record.identity for record in made.records] == ["a" * 64, "b" * 64, "c" * 64]
    assert made.records[0].reliability[1] == (Decimal("0.200000"), Decimal("0.800000"))
    assert made.correlations[0] == (Decimal(1), Decimal("0.25"), Decimal(0))
    assert made.temperature == Decimal("1.5")


def test_what_finds_candidates_has_no_name_and_can_not_be_read_back_as_certified() -> None:
    """Nothing was tested at its thresholds: its own bytes are believed, but its hash is nobody's."""
    assert weighed().content_hash == ""


def test_a_level_that_holds_is_certified_with_its_exact_bound_rounded_up() -> None:
    fitting = candidates("urgent", (0.99, 200, 0), (0.8, 100, 20))
    guarantee = candidates("urgent", (0.99, 400, 4), (0.8, 200, 40))
    made = certified(weighed(), fitting, guarantee)
    urgent = made.stratum("urgent")
    assert urgent is not None
    assert urgent.certified is not None
    exact = beta.ppf(0.95, 5, 396)
    assert Decimal("0.8") < urgent.certified.threshold < Decimal("0.99")
    assert (urgent.certified.accepted, urgent.certified.errors) == (400, 4)
    assert 0 <= float(urgent.certified.bound) - exact < 1e-6
    assert len(urgent.tested) == 2
    assert float(urgent.tested[-1].bound) > 0.05
    assert calibration_from(calibration_bytes(made)) == made


def test_an_option_of_which_too_little_was_seen_is_never_certified() -> None:
    few = candidates("urgent", (0.99, 58, 0))
    made = certified(weighed(), few, few)
    urgent = made.stratum("urgent")
    assert urgent is not None
    assert urgent.certified is None
    assert [level.accepted for level in urgent.tested] == [58]


@pytest.mark.parametrize(
    ("fitting", "guarantee"),
    [
        ([], candidates("urgent", (0.9, 300, 0))),
        (candidates("urgent", (0.9, 300, 0)), []),
        (candidates("watch", (0.9, 300, 0)), candidates("watch", (0.9, 300, 0))),
    ],
)
def test_an_option_that_no_case_was_decided_for_is_not_tested(
    fitting: list[Candidate], guarantee: list[Candidate]
) -> None:
    urgent = certified(weighed(), fitting, guarantee).stratum("urgent")
    assert urgent is not None
    assert (urgent.certified, urgent.tested) == (None, ())


def test_each_option_is_held_to_its_own_rate() -> None:
    """Three in a hundred are wrong about either: within 5 %, and not within 2 %."""
    both = [
        *candidates("urgent", (0.9, 1000, 30)),
        *candidates("watch", (0.9, 1000, 30)),
    ]
    made = certified(weighed(), both, both)
    kept = {stratum.option: stratum.certified is not None for stratum in made.strata}
    assert kept == {"urgent": True, "watch": False}


def test_an_option_that_the_protocol_does_not_name_has_no_stratum() -> None:
    only = replace(PANEL.adjudication, guarantee=Guarantee(Decimal("0.05"), (("watch", Decimal("0.02")),)))
    made = provisional(replace(PANEL, adjudication=only), IDENTITIES, FITTED, SETTINGS, LABELS, "0")
    assert made.stratum("urgent") is None


def test_a_protocol_that_states_no_guarantee_is_refused() -> None:
    with pytest.raises(ValueError, match="states a guarantee"):
        provisional(bench().protocol, IDENTITIES, FITTED, SETTINGS, LABELS, "0")


def test_a_member_whose_identity_nobody_gives_is_refused() -> None:
    with pytest.raises(KeyError):
        provisional(PANEL, {}, FITTED, SETTINGS, LABELS, "0")


def test_a_bound_that_fails_by_less_than_a_millionth_is_not_printed_as_held() -> None:
    made = certified(weighed(), candidates("urgent", (0.9, 59, 0)), candidates("urgent", (0.9, 59, 0)))
    urgent = made.stratum("urgent")
    assert urgent is not None
    assert urgent.certified is not None
    spoilt = replace(
        urgent,
        tested=(replace(urgent.tested[0], bound=Decimal("0.050001")),),
    )
    with pytest.raises(RefusedError):
        calibration_from(calibration_bytes(replace(made, strata=(spoilt,))))
