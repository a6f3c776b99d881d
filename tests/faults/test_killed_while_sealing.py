"""A sealing process is killed, or cut off, at everything it does: what left it is committed, and the next finds no gap."""

from __future__ import annotations

import signal

import pytest

from tests.faults.ledger import a_fresh_sealer
from tests.faults.sealers import Sealers
from tests.faults.sealing_process import CUT
from tests.faults.ward import CHAINS, Ward

SEEN = {
    ("before",): ("pg_advisory_xact_lock", "FROM pending", "INTO checkpoint", "COMMIT", "sync"),
    ("answered", "file"): ("sync", "os.rename checkpoint"),
}


# Every point is one of a share's, so that no test takes too long.
@pytest.mark.parametrize(
    ("kinds", "first", "step"),
    [
        (("before",), 0, 3),
        (("before",), 1, 3),
        (("before",), 2, 3),
        (("answered", "file"), 0, 2),
        (("answered", "file"), 1, 2),
    ],
)
async def test_a_sealer_killed_at_anything_it_does_leaves_nothing_that_is_not_committed(
    sealers: Sealers, ward: Ward, kinds: tuple[str, ...], first: int, step: int
) -> None:
    fatal = first
    while await ward.sealed_by(sealers, kinds, fatal) == -signal.SIGKILL:
        fatal += step
        await ward.ledger.check_what_left(of_all=False)
        await a_fresh_sealer(ward.house, ward.folder).round()
        await ward.ledger.check_what_left()
    # Counting went on until a process survived; that what matters was among the points:
    for name in SEEN[kinds]:
        assert any(name in point for point in sealers.trace()), (name, sealers.trace())
    await ward.check_in_a_fresh_house()


async def test_a_sealer_cut_off_before_any_answer_goes_on_from_what_is_committed(
    sealers: Sealers, ward: Ward
) -> None:
    """Whether the server committed is then unknown to it, and what it remembers of the tree may be of the past."""
    ward.entries = len(CHAINS)
    points: list[str] = []
    while await ward.sealed_by(sealers, ("answered",), len(points), cuts=True) == CUT:
        points.append(sealers.trace()[-1])
        await ward.ledger.check_what_left()
    assert points.count("answered sync") > 2
    await ward.check_in_a_fresh_house()
