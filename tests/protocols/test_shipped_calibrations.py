"""The calibrations that come with the shipped protocols: of these very protocols, from the cases they name, and invented."""

from __future__ import annotations

import contextlib
import hashlib
import io

import pytest

from arbiter.calibration import Calibration
from arbiter.documents.opinions import identity_hash
from arbiter.model import MemberId
from arbiter.protocols.loader import shipped
from arbiter.workflow.calibrations.fitness import misfits
from tests.protocols.patients import generator
from tests.protocols.shipping import bundle, shelved

SIZES = {"deterioration": 20_000, "anticoagulation": 40_000}
"""How many of the generator's cases of seed 1 each was made from, as its protocol says."""


def known(name: str) -> Calibration:
    found = bundle(name).calibration
    assert found is not None
    return found


def test_every_protocol_that_may_decide_alone_has_one_and_no_other() -> None:
    assert {name for name in shipped() if bundle(name).protocol.adjudication.automatic} == set(SIZES)
    assert {name for name in shipped() if bundle(name).calibration is not None} == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_it_fits_its_protocol_in_a_demonstration_and_nowhere_else(name: str) -> None:
    assert misfits(known(name), bundle(name).protocol, demonstration=True) == ()
    assert [
        problem.pointer for problem in misfits(known(name), bundle(name).protocol, demonstration=False)
    ] == ["/labels/synthetic"]


@pytest.mark.parametrize("name", SIZES)
def test_it_knows_the_members_that_sit_there(name: str) -> None:
    members = shelved(name).members
    for record in known(name).records:
        assert record.identity == identity_hash(members[MemberId(record.member)].identity)


@pytest.mark.parametrize("name", SIZES)
def test_everything_the_protocol_names_is_certified(name: str) -> None:
    guarantee = bundle(name).protocol.adjudication.guarantee
    assert guarantee is not None
    certified = {stratum.option for stratum in known(name).strata if stratum.certified is not None}
    assert certified == {option for option, _ in guarantee.error_rates}


@pytest.mark.parametrize(("name", "cases"), SIZES.items())
def test_its_cases_are_the_generators_of_seed_one(name: str, cases: int) -> None:
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        generator(name).main(["--seed", "1", "--cases", str(cases)])
    assert hashlib.sha256(written.getvalue().encode()).hexdigest() == known(name).labels.cases_hash
