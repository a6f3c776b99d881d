"""The list of erasures beside the kept checkpoint: what was meant, what was done, and no edit of it goes unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbiter.errors import (
    ConfigurationError,
)
from arbiter.store.database import Database
from arbiter.workflow.erasure.erasing import Order, erase
from arbiter.workflow.erasure.erasure_list import What
from tests.houses import a_house, another_host
from tests.workflow.erasures import (
    Records,
    records,
    settings_in,
)
from tests.workflow.post import a_case


def lines_of(kept: Records) -> list[bytes]:
    return kept.house.erasures.path.read_bytes().splitlines(keepends=True)


async def test_the_list_says_what_was_meant_and_then_what_was_done(kept: Records) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    listed = kept.house.erasures.read()
    assert listed is not None
    assert [(line.what, line.case) for line in listed.lines[1:]] == [
        (What.INTENDED, kept.case),
        (What.DONE, kept.case),
    ]
    assert b"made-up" not in kept.house.erasures.path.read_bytes()


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda lines: [lines[0], *lines[2:]], "does not follow"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "does not follow"),
        (lambda lines: [lines[0], lines[1], lines[1], *lines[2:]], "does not follow"),
        (lambda lines: lines[1:], "does not follow"),
        (lambda lines: [line.replace(b'"done"', b'"meant"') for line in lines], "not one that this installation"),
        (lambda lines: [line.replace(b"c_", b"c_a", 1) for line in lines], "not one that this installation"),
        (lambda lines: [*lines, b"{}\n"], "not one that this installation"),
        (lambda lines: [*lines, b"\n"], "not one that this installation"),
        (lambda lines: lines[:-1], "cut or replaced"),
        (lambda lines: lines[:2], "cut or replaced"),
    ],
    ids=["one-less", "swapped", "twice", "no-head", "changed", "renamed", "added", "empty", "cut", "cut-twice"],
)  # fmt: skip
async def test_an_edited_list_stops_the_start(
    tmp_path: Path, database: Database, edit: object, told: str
) -> None:
    async with records(tmp_path / "data", database) as kept:
        await erase(kept.house, Order(kept.olga), kept.case)
        lines = lines_of(kept)
        kept.house.erasures.path.write_bytes(b"".join(edit(lines)))  # type: ignore[operator]
    with pytest.raises(ConfigurationError, match=told) as refusal:
        async with a_house(tmp_path / "data", database, running=False):
            pass
    assert "restore the file from a copy" in str(refusal.value)


async def test_a_line_that_a_crash_cut_off_is_written_over(kept: Records) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    other = await a_case(kept.house, kept.client, "key-2", heart_rate=None)
    await kept.house.errands.finish(10)
    with kept.house.erasures.path.open("ab") as file:
        file.write(lines_of(kept)[1][:40])
    before = kept.house.erasures.read()
    assert before is not None
    after = kept.house.erasures.add(What.INTENDED, other, "aolga", kept.clock.now())
    assert after == kept.house.erasures.read()
    assert len(after.lines) == len(before.lines) + 1


async def test_another_hosts_list_is_filled_from_the_database(
    tmp_path: Path, database: Database, kept: Records
) -> None:
    await erase(kept.house, Order(kept.olga), kept.case)
    other_host = another_host(kept.house.settings.data)
    await kept.house.sealer.round()
    async with a_house(other_host, database, running=False, settings=settings_in(other_host)) as second:
        listed = second.erasures.read()
        assert listed is not None
        assert listed.done == {kept.case}
