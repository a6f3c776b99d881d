"""One flipped bit in what the log keeps beside its entries is found and named, and nothing is sealed on top of it."""

from __future__ import annotations

import pytest

from arbiter.audit.verify import LogRefusedError
from arbiter.errors import LogUnfitError
from arbiter.workflow.auditing import verify_log
from tests.conftest import an_insider
from tests.faults.ledger import a_fresh_sealer
from tests.faults.ward import A_TILE, Ward

FLIP = "set_byte({0}, 30, get_byte({0}, 30) # 1)"


async def two_tiles(ward: Ward) -> None:
    for _ in range(2):
        await ward.write()
        await ward.house.sealer.round()
    await verify_log(ward.house, ward.ledger.kept.read_bytes())


async def found_after(ward: Ward, statement: str) -> str:
    """Change something behind the triggers' back; return what verification says of it."""
    with an_insider(ward.server, ward.database) as insider:
        for table in ("tree_node", "checkpoint"):
            insider.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
        assert insider.execute(statement.encode()).rowcount == 1
    with pytest.raises(LogRefusedError) as refused:
        await verify_log(ward.house, ward.ledger.kept.read_bytes())
    return str(refused.value)


@pytest.mark.parametrize(
    ("level", "index", "entries"), [(4, 1, "16 to 31"), (8, 1, "256 to 511"), (9, 0, "0 to 511")]
)
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (f"UPDATE tree_node SET hash = {FLIP.format('hash')}", "is not what its leaves make"),
        ("DELETE FROM tree_node", "is missing"),
    ],
)
async def test_a_stored_node_changed_or_lost_is_named(
    ward: Ward, level: int, index: int, entries: str, change: str, fault: str
) -> None:
    await two_tiles(ward)
    said = await found_after(ward, f"{change} WHERE level = {level} AND index = {index}")
    assert said == f"stored node {index} of level {level}, over entries {entries}, {fault}"


async def test_nothing_is_sealed_on_a_stored_node_with_a_flipped_bit(ward: Ward) -> None:
    await two_tiles(ward)
    await found_after(
        ward, f"UPDATE tree_node SET hash = {FLIP.format('hash')} WHERE level = 8 AND index = 1"
    )
    await ward.write()
    with pytest.raises(LogUnfitError, match="does not have the root"):
        await a_fresh_sealer(ward.house, ward.folder).round()


async def test_nothing_is_sealed_where_a_stored_node_is_lost(ward: Ward) -> None:
    await two_tiles(ward)
    await found_after(ward, "DELETE FROM tree_node WHERE level = 8 AND index = 0")
    await ward.write()
    with pytest.raises(LogUnfitError, match="has holes"):
        await a_fresh_sealer(ward.house, ward.folder).round()


async def test_a_stored_node_of_leaves_that_are_not_there_is_named(ward: Ward) -> None:
    await two_tiles(ward)
    said = await found_after(
        ward, "INSERT INTO tree_node (level, index, hash) SELECT 8, 9, hash FROM tree_node WHERE level = 9"
    )
    assert said == f"stored node 9 of level 8, over entries {9 * A_TILE} to {10 * A_TILE - 1}, has no leaves"


@pytest.mark.parametrize("change", [f"root = {FLIP.format('root')}", "size = size - 1"])
async def test_a_checkpoint_filed_under_another_size_or_root_is_named(ward: Ward, change: str) -> None:
    await two_tiles(ward)
    newest = (await ward.ledger.stored())[-1].size
    said = await found_after(ward, f"UPDATE checkpoint SET {change} WHERE size = {newest}")
    assert said == f"the checkpoint of size {newest} is filed under another size or root than it signs"
