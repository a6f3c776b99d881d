"""A recovery killed at any step leaves a log that is refused or recovered, and can be run again."""

from __future__ import annotations

import inspect
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arbiter.errors import (
    RefusedError,
)
from arbiter.workflow.log import recovering
from arbiter.workflow.log.kept import KeptCheckpoint
from tests.databases import CUTTING_OFF
from tests.workflow.losses import (
    Lost,
    check_recovered,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), *CUTTING_OFF]


class KilledError(BaseException):
    """The process is gone."""


STEPS: list[tuple[Any, str, int]] = [
    (recovering, "prepare_next", 1),
    (recovering, "keep_former", 1),
    (recovering, "_write", 1),
    (KeptCheckpoint, "replace", 1),
    (KeptCheckpoint, "sync", 1),
    (recovering, "switch_to_next", 1),
    (os, "link", 1),
    *((Path, "replace", time) for time in (1, 2, 3, 4)),
]
"""What is done, in this order, and the calls of what puts each file in its place: the next key, the former ones' public
keys, the kept checkpoint, the present key."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("where", "name", "time"), STEPS, ids=[f"{name}-{time}" for _, name, time in STEPS])
async def test_killed_at_any_step_it_is_refused_or_recovered_and_can_be_run_again(
    lost: Lost, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, time: int, after: bool
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(where, name, deadly(getattr(where, name), time, after=after))
        with pytest.raises(KilledError):
            await lost.recover()
    if (name, time) in {("switch_to_next", 1), ("replace", 4)} and after and where is not KeptCheckpoint:
        await check_recovered(lost)
        return
    assert "`arbiter audit recover`" in await lost.still_refused()
    done = await lost.recover()
    assert done.recovery.statement.lost == (lost.left, lost.size)
    await check_recovered(lost)


def deadly(real: Callable[..., Any], time: int, *, after: bool) -> Callable[..., Any]:
    """Return what is called in place of `real`: the process is killed before or after it is done the n-th time."""
    calls = itertools.count(1)

    def dies(*args: Any, **kwargs: Any) -> Any:
        killed = next(calls) == time
        if killed and not after:
            raise KilledError
        done = real(*args, **kwargs)
        if killed and not inspect.isawaitable(done):
            raise KilledError
        return dies_later(done) if killed else done

    async def dies_later(done: Any) -> None:
        await done
        raise KilledError

    return dies


async def test_a_key_begun_under_one_name_is_not_used_under_another(
    lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(recovering, "keep_former", _die)
        with pytest.raises(KilledError):
            await lost.recover()
    done = await lost.recover(new_origin="log.hospital.example/other")
    assert done.recovery.statement.new == "log.hospital.example/other"
    await check_recovered(lost, "log.hospital.example/other")


def _die(*_: Any) -> None:
    raise KilledError


async def test_a_kept_file_that_changed_after_the_commit_is_not_written_over(
    lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(KeptCheckpoint, "replace", _die)
        with pytest.raises(KilledError):
            await lost.recover()
    right = lost.kept
    (lost.folder / "checkpoint").write_bytes(b"what somebody wrote there")
    with pytest.raises(RefusedError, match="neither the one that the recovery quotes"):
        await lost.recover()
    assert lost.kept == b"what somebody wrote there"
    (lost.folder / "checkpoint").write_bytes(right)
    assert (await lost.recover()).resumed
    await check_recovered(lost)
