"""What is made from labelled cases that were looked at before is proposed only as far as the protocol's delta goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import beta

from arbiter.calibrating.looks import marks, share
from arbiter.calibration import Calibration, Labels, Stratum
from arbiter.documents.calibrations import calibration_bytes
from arbiter.errors import ConflictError, VerificationError
from arbiter.store.calibration_steps import load_steps
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.workflow.calibrations.approving import approve, withdraw
from arbiter.workflow.house import House
from tests.adjudication.calibrations import LABELS, level
from tests.conftest import an_insider
from tests.houses import a_house, types_of
from tests.workflow.calibrations.certified import (
    Court,
    bundle_in,
    fitting,
    real,
    settings_of,
    spotless,
)

DELTA = Decimal("0.05")
"""What the protocol promises."""

HALF, SIXTH, TWELFTH = (share(DELTA, look) for look in (1, 2, 3))


def of(numbers: Iterable[int], name: str) -> Labels:
    """Labels of these cases, in a file of this name: held out are 450 or more of them."""
    return replace(real(name), marks=marks(f"case {number}".encode() for number in numbers))


THESE = of(range(450), "these")


def looking(house: House, delta: Decimal = DELTA, labels: Labels = THESE, **changes: Any) -> Calibration:
    """Return a calibration certified at `delta` on these cases, by SciPy's bound of two errors in 200."""
    bound = Decimal(float(beta.ppf(1 - float(delta), 3, 198))).quantize(Decimal("0.000001"), ROUND_CEILING)
    held = level("0.8", bound=str(bound))
    strata = () if bound > DELTA else (Stratum("urgent-review", Decimal("0.05"), held, (held,)),)
    standard: dict[str, Any] = {"delta": delta, "labels": labels, "strata": strata}
    return fitting(house, **(standard | changes))


async def proposals(house: House) -> int:
    rows, entries = await load_steps(house.store), await types_of(house, HOUSE_CHAIN)
    assert len(rows) == entries.count("calibration.proposed"), "what is refused is not entered"
    return len(rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"code_version": "2"},
        {"delta": SIXTH},
        {"delta": share(DELTA, 40)},
        {"labels": of(range(450), "written anew")},
        {"labels": of(range(470), "some more of them")},
        {"labels": of(range(400, 850), "a ninth of them, and others")},
    ],
    ids=["another fit", "a later look", "a late look", "another file", "a set that grew", "a part of it"],
)
async def test_after_the_only_look_there_is_no_other_at_the_same_cases(
    changes: dict[str, Any], bench: Court
) -> None:
    await bench.propose(looking(bench.house))
    with pytest.raises(
        ConflictError, match=r"looked at the same labelled cases and left 0 of .* 0\.05, this one"
    ) as no:
        await bench.propose(looking(bench.house, **changes))
    assert "--look" not in str(no.value), "nothing is left for any"
    assert await proposals(bench.house) == 1


async def test_looks_that_leave_enough_follow_each_other_and_what_spends_more_is_refused(
    bench: Court,
) -> None:
    house = bench.house
    await bench.propose(looking(house, HALF))
    with pytest.raises(ConflictError, match=r"left 0\.025 .* `arbiter calibrate --look 1`"):
        await bench.propose(looking(house, HALF + Decimal("0.000001")))
    await bench.propose(looking(house, SIXTH, of(range(600), "grown")))
    with pytest.raises(
        ConflictError, match=r"2 calibrations .* left 0\.016667 .* `arbiter calibrate --look 2`"
    ):
        await bench.propose(looking(house, HALF, code_version="2"))
    await bench.propose(looking(house, TWELFTH, code_version="3"))
    assert await proposals(house) == 3


async def test_other_cases_are_looked_at_with_all_of_delta(bench: Court) -> None:
    await bench.propose(looking(bench.house))
    await bench.propose(looking(bench.house, labels=of(range(1_000, 1_450), "others")))
    assert await proposals(bench.house) == 2


async def test_what_was_withdrawn_or_replaced_was_looked_at_all_the_same(bench: Court) -> None:
    named = await bench.put_in_force(looking(bench.house))
    await withdraw(bench.house, bench.paula, named, "worse than hoped")
    with pytest.raises(ConflictError, match="same labelled cases"):
        await bench.propose(looking(bench.house, code_version="2"))


async def test_what_another_version_of_the_protocol_was_certified_on_was_looked_at(
    bench: Court, database: Database, tmp_path: Path
) -> None:
    await bench.propose(looking(bench.house))
    settings = settings_of(tmp_path / "data", bundle_in(tmp_path, "1.0.1"))
    async with a_house(tmp_path / "data", database, settings=settings, running=False) as house:
        with pytest.raises(ConflictError, match="same labelled cases"):
            await replace(bench, house=house).propose(looking(house))
        await replace(bench, house=house).propose(looking(house, labels=of(range(1_000, 1_450), "others")))


async def test_another_protocols_delta_is_its_own(bench: Court) -> None:
    await bench.propose(looking(bench.house))
    other = bench.house.shelf.in_force("deterioration").protocol
    await bench.propose(fitting(bench.house, other.id, labels=THESE, strata=spotless(other)))
    assert await proposals(bench.house) == 2


async def test_invented_cases_are_counted_by_their_file(bench: Court) -> None:
    await bench.propose(looking(bench.house, labels=LABELS))
    with pytest.raises(ConflictError, match="same labelled cases"):
        await bench.propose(looking(bench.house, labels=LABELS, code_version="2"))
    await bench.propose(looking(bench.house, labels=replace(LABELS, cases_hash="c" * 64)))


async def test_of_two_looks_at_once_one_is_proposed(bench: Court) -> None:
    made = [looking(bench.house, code_version=version) for version in "12"]
    ended = await asyncio.gather(*(bench.propose(each) for each in made), return_exceptions=True)
    assert [type(each) for each in ended if isinstance(each, BaseException)] == [ConflictError]
    assert await proposals(bench.house) == 1


async def test_one_that_is_not_what_was_proposed_any_more_lets_no_other_through(
    bench: Court, server: EmbeddedPostgres, database: Database
) -> None:
    """Nobody knows which cases it looked at."""
    await bench.propose(looking(bench.house))
    forged = calibration_bytes(looking(bench.house, labels=of(range(2_000, 2_450), "never proposed")))
    with an_insider(server, database) as connection:
        connection.execute("ALTER TABLE calibration DISABLE TRIGGER ALL")
        connection.execute("UPDATE calibration SET document = %s", (forged,))
    with pytest.raises(VerificationError, match="has another hash now"):
        await bench.propose(looking(bench.house, labels=of(range(1_000, 1_450), "others")))
    assert await proposals(bench.house) == 1


async def test_a_first_look_that_certified_nothing_has_spent_as_well(bench: Court) -> None:
    await approve(bench.house, bench.paula, await bench.propose(looking(bench.house, strata=())))
    with pytest.raises(ConflictError, match="same labelled cases"):
        await bench.propose(looking(bench.house))
