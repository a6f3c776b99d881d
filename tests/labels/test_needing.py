"""What labels alone say a certificate still takes: against the exact bound, and the parts that an evaluation makes."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from arbiter.evaluation.splitting import Part, part_of
from arbiter.labels.needing import lacking
from arbiter.protocols.loader import read_shipped
from arbiter.question import Guarantee, Protocol
from tests.labels.hospital import deterioration, patients


def guaranteed(delta: str, **rates: str) -> Protocol:
    protocol = deterioration().protocol
    named = tuple((option.replace("_", "-"), Decimal(rate)) for option, rate in rates.items())
    return replace(
        protocol,
        adjudication=replace(protocol.adjudication, guarantee=Guarantee(Decimal(delta), named)),
    )


@pytest.mark.parametrize(
    ("alpha", "delta"),
    [("0.02", "0.05"), ("0.03", "0.05"), ("0.05", "0.05"), ("0.01", "0.05"), ("0.05", "0.1")],
)
def test_the_fewest_are_those_of_which_none_is_wrong_with_so_small_a_chance(alpha: str, delta: str) -> None:
    """Without an error the bound is exact: (1 - alpha)^n <= delta."""
    (one,) = lacking(guaranteed(delta, urgent_review=alpha), ())
    assert one.least == math.ceil(math.log(float(delta)) / math.log(1 - float(alpha)))
    assert (one.labelled, one.held_out, one.more) == (0, 0, one.least)


def test_only_held_out_cases_of_the_option_count() -> None:
    cases = patients(200)
    for one in lacking(deterioration().protocol, cases):
        own = [case for case in cases if case.label == one.option]
        held = [case for case in own if part_of(case.id) is Part.HELD_OUT]
        assert (one.labelled, one.held_out) == (len(own), len(held))
        assert one.more == max(0, one.least - len(held))
        assert 0 < len(held) < len(own)


def test_enough_is_enough() -> None:
    many = [replace(patients(12)[0], id=f"c{at}", label="urgent-review") for at in range(600)]
    (one,) = lacking(guaranteed("0.05", urgent_review="0.02"), many)
    assert (one.labelled, one.more) == (600, 0)


def test_an_option_that_a_clinician_always_decides_takes_nothing() -> None:
    assert [one.option for one in lacking(guaranteed("0.05", urgent_review="0.02"), ())] == ["urgent-review"]
    assert lacking(read_shipped("surgery-readiness").protocol, ()) == ()
