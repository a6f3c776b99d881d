"""A clone that sealed on under the same key: refused, with both notes kept as evidence that needs nobody's word."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.contradiction import Evidence
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.log.evidence import note_evidence
from tests.conftest import name_of
from tests.databases import CUTTING_OFF, Copies
from tests.houses import a_house
from tests.workflow.guarded import THREE_ROADS, evidence_in, fork, grow, not_opened, refused, sealed

pytestmark = list(CUTTING_OFF)


@pytest.mark.parametrize(("ours", "theirs"), [(1, 1), (3, 3), (1, 4), (3, 4), (11, 12)])
async def test_a_clone_that_sealed_on_is_refused_and_both_notes_are_kept_as_evidence(
    database: Database, copies: Copies, tmp_path: Path, ours: int, theirs: int
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    clone = await fork(database, copies, here, there, ours, theirs)
    said = await not_opened(here, clone)
    assert f"different roots for {5 + ours} entries" in said
    for road in THREE_ROADS:
        assert road in said
    await not_opened(here, clone)
    (path,) = evidence_in(here)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    async with a_house(here, database, running=False) as house:
        proven = Evidence.parse(path.read_bytes()).verify(house.verifiers)
        assert (proven.smaller.size, proven.larger.size) == (5 + ours, 5 + theirs)
        assert await note_evidence(house) == 1
        assert await note_evidence(house) == 0
        await house.sealer.round()
        (noted,) = [d for d in await load_house_documents(house.store, HOUSE_CHAIN) if d.name == "evidence"]
        assert noted.content == path.read_bytes()
        assert (await verify_log(house, (here / "checkpoint").read_bytes())).chains == 1


async def test_a_clone_that_sealed_less_is_behind(database: Database, copies: Copies, tmp_path: Path) -> None:
    clone = await fork(database, copies, tmp_path / "here", tmp_path / "there", 3, 1)
    assert "has 6 sealed entries" in await not_opened(tmp_path / "here", clone)


async def test_a_fork_under_a_running_sealer_is_noticed_before_it_seals(
    database: Database, copies: Copies, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    clone = await fork(database, copies, here, there, 2, 3)
    async with a_house(here, database, running=False) as house:
        await house.sealer.round()
        copies.put_in_place(name_of(clone))
        said = await refused(house)
        assert "different roots for 7 entries" in said
        assert await sealed(house) == 8
        assert len(evidence_in(here)) == 1


async def test_evidence_is_never_overwritten(database: Database, copies: Copies, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    clone = await fork(database, copies, here, there, 1, 1)
    await not_opened(here, clone)
    (path,) = evidence_in(here)
    path.write_bytes(b"what somebody wrote there")
    await not_opened(here, clone)
    assert path.read_bytes() == b"what somebody wrote there"
    async with a_house(here, database, running=False) as house:
        assert await note_evidence(house) == 0


async def test_a_forged_kept_file_of_the_same_size_is_evidence(database: Database, tmp_path: Path) -> None:
    kept = tmp_path / "checkpoint"
    async with a_house(tmp_path, database, running=False) as house:
        await grow(house, 4)
        kept.write_bytes(sign_checkpoint(Checkpoint(house.signer.name, 4, b"f" * 32), [house.signer]))
        assert "signed two histories" in await refused(house)
        (path,) = evidence_in(tmp_path)
        proven = Evidence.parse(path.read_bytes()).verify(house.verifiers)
        assert str(proven).endswith("signed two roots for 4 entries")
