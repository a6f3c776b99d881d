"""An erasure is complete when every copy has expired and is gone, and not before."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from arbiter.errors import (
    ConfigurationError,
    ErasedError,
)
from arbiter.lifecycle.states import Erasure
from arbiter.workflow import reading
from arbiter.workflow.backups.catalogue import Backup, Catalogue
from arbiter.workflow.erasure.clearing import (
    clear_keys,
    complete_erasures,
    erasures_standing,
)
from arbiter.workflow.erasure.erasing import Order, erase
from arbiter.workflow.reading import view_case
from tests.houses import types_of
from tests.workflow.erasures import (
    Records,
    verify,
)


async def test_it_is_complete_when_copies_have_expired_and_not_before(kept: Records) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    assert await complete_erasures(kept.house) == (), "its bytes may still stand in a live file"
    assert await clear_keys(kept.house) is None
    kept.clock.advance(timedelta(days=34))
    assert await complete_erasures(kept.house) == ()
    kept.clock.advance(timedelta(days=2))
    assert await complete_erasures(kept.house) == (kept.case,)
    assert await complete_erasures(kept.house) == ()
    assert (await types_of(kept.house, kept.case))[-2:] == ["case.erased", "erasure.completed"]
    assert (await view_case(kept.house, kept.client, kept.case)).erasure is Erasure.COMPLETE
    with pytest.raises(ErasedError):
        await reading.read_content(kept.house, kept.client, kept.case)
    await verify(kept.house)


async def test_what_a_killed_backup_left_half_written_holds_it_up_too(kept: Records, tmp_path: Path) -> None:
    backup = Backup("b1", str(tmp_path / "backup.age"), kept.clock.now(), kept.clock.now())
    Catalogue(kept.house.settings.data).begin(backup)
    await erase(kept.house, Order(kept.olga), kept.case)
    assert await clear_keys(kept.house) is None
    kept.clock.advance(timedelta(days=36))
    Path(backup.partial).write_bytes(b"sealed")
    assert await complete_erasures(kept.house) == ()
    Path(backup.partial).unlink()
    assert await complete_erasures(kept.house) == (kept.case,)


@pytest.mark.parametrize(("cut", "left"), [(0, 2), (1, 2), (2, 1), (20, 1)])
async def test_a_catalogue_that_ends_in_half_a_line_goes_on_after_the_last_whole_one(
    kept: Records, tmp_path: Path, cut: int, left: int
) -> None:
    catalogue, now = Catalogue(kept.house.settings.data), kept.clock.now()
    backups = [Backup(f"b{n}", str(tmp_path / str(n)), now, now) for n in range(3)]
    for backup in backups[:2]:
        catalogue.begin(backup)
    content = catalogue.path.read_bytes()
    catalogue.path.write_bytes(content[: len(content) - cut])
    assert catalogue.read() == tuple(backups[:left])
    catalogue.begin(backups[2])
    assert catalogue.read() == (*backups[:left], backups[2])


@pytest.mark.parametrize("began", [-1, 0, 1], ids=["before", "at the same moment", "after"])
async def test_a_backup_from_before_holds_it_up_until_it_has_expired_and_is_gone(
    kept: Records, tmp_path: Path, began: int
) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    assert await clear_keys(kept.house) is None
    (standing,) = await erasures_standing(kept.house, kept.case)
    cleared_at = standing.erasure.cleared_at
    assert cleared_at is not None
    file = tmp_path / "backup.age"
    file.write_bytes(b"sealed")
    begun_at = cleared_at + timedelta(seconds=began)
    Catalogue(kept.house.settings.data).begin(
        Backup("b1", str(file), begun_at, begun_at + timedelta(days=90))
    )
    kept.clock.advance(timedelta(days=36))
    if began > 0:
        assert await complete_erasures(kept.house) == (kept.case,)
        return
    assert await complete_erasures(kept.house) == ()
    kept.clock.advance(timedelta(days=60))
    assert await complete_erasures(kept.house) == ()
    (standing,) = await erasures_standing(kept.house, kept.case)
    assert standing.waits_for == f"the expired backup {file} to be deleted"
    file.unlink()
    assert await complete_erasures(kept.house) == (kept.case,)


async def test_a_damaged_catalogue_completes_nothing(kept: Records) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    assert await clear_keys(kept.house) is None
    kept.clock.advance(timedelta(days=36))
    Catalogue(kept.house.settings.data).path.write_text('{"what": "taken", "id": "nobody knows"}\n')
    with pytest.raises(ConfigurationError, match="line 1"):
        await complete_erasures(kept.house)
