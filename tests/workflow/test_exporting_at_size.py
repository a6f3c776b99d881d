"""A log of many entries is exported whole, in memory that does not grow with it."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from arbiter.audit.entry import FIRST_PREV, Link
from arbiter.audit.export.layout import PROOFS
from arbiter.audit.export.manifest import Selection
from arbiter.audit.merkle import leaf_hash
from arbiter.identity.principals import Principal
from arbiter.store.database import Database
from arbiter.verifying.report import verify
from arbiter.workflow.exports.making import make_export
from arbiter.workflow.house import House
from tests.audit.logs import example_entry
from tests.exports import an_auditor
from tests.houses import a_house

ENTRIES = 20_000
MOST_GROWTH_BYTES = 32 * 1024 * 1024
"""What is written takes more than three times as much, which the test holds."""


@pytest.mark.timeout(300)
async def test_a_log_of_twenty_thousand_entries_is_exported_in_bounded_memory(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        auditor, _ = await an_auditor(house)
        heads: dict[str, Link] = {}
        await fill(house, heads, 1_100)
        # Once, so that what is loaded and pooled is there.
        await growth_of(house, auditor, tmp_path / "small.zip")
        await fill(house, heads, ENTRIES - 1_100)
        grown = await growth_of(house, auditor, tmp_path / "large.zip")
    assert grown < MOST_GROWTH_BYTES
    found = verify(tmp_path / "large.zip", house.verifiers)
    assert found.evidence.manifest.entries >= ENTRIES
    assert found.evidence.manifest.whole
    assert sum(member.size for member in found.evidence.manifest.members) > 3 * MOST_GROWTH_BYTES
    assert PROOFS in {member.name for member in found.evidence.manifest.members}


_FILL = """
WITH written AS (
    INSERT INTO entry (chain, seq, body)
    SELECT arbiter_chain(f.chain), f.seq, f.body
    FROM unnest(%(chains)s::text[], %(seqs)s::int[], %(bodies)b::bytea[]) AS f(chain, seq, body)
    RETURNING id
)
INSERT INTO pending (entry_id) SELECT id FROM written RETURNING 1
"""


async def fill(house: House, heads: dict[str, Link], count: int) -> None:
    """Append entries of several chains to the log, all at once."""
    chains, seqs, bodies = [], [], []
    for number in range(count):
        chain_name = f"tried-{number % 7}"
        before = heads.get(chain_name)
        entry = example_entry(
            chain_name,
            0 if before is None else before.seq + 1,
            FIRST_PREV if before is None else before.hash,
            number,
        )
        body = entry.to_bytes()
        heads[chain_name] = Link(entry.seq, leaf_hash(body).hex())
        chains.append(chain_name)
        seqs.append(entry.seq)
        bodies.append(body)
    await house.store.run(_FILL, {"chains": chains, "seqs": seqs, "bodies": bodies})
    await house.sealer.round()


async def growth_of(house: House, auditor: Principal, path: Path) -> int:
    """Make an export and return by how much the process grew at most while it did."""
    gc.collect()
    before = resident_bytes()
    heard: list[tuple[int, int]] = []
    grown = [0]

    def listen(done: int, total: int) -> None:
        heard.append((done, total))
        grown[0] = max(grown[0], resident_bytes() - before)

    with path.open("wb") as out:
        await make_export(house, auditor, Selection(), out, listen)
    assert heard == sorted(heard)
    assert heard[-1][0] == heard[-1][1]
    return grown[0]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
