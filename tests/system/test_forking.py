"""A forked command is a command as the operating system starts one, and what does not end is ended."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from arbiter.clock import SystemChance
from arbiter.store.keys import init_keys
from tests.patience import PATIENCE_SECONDS
from tests.system.forking import Forks
from tests.system.service import COMMAND, ORIGIN, ROOT, environment


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    made = Forks(environment(ROOT))
    yield made
    made.close()


def ran(
    forks: Forks, arguments: tuple[str, ...], environ: Mapping[str, str], said: str = ""
) -> tuple[int, str, str]:
    done = forks.run(arguments, environ, said, PATIENCE_SECONDS)
    assert done is not None
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("version",), 0), (("users", "list"), 1), (("users", "--nothing"), 2)],
    ids=["works", "fails", "misused"],
)
def test_it_says_and_ends_as_one_from_nothing(
    forks: Forks, tmp_path: Path, arguments: tuple[str, ...], status: int
) -> None:
    environ = environment(tmp_path / "none", ARBITER_PORT="7")
    alone = subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, env=environ, input="", capture_output=True, text=True, check=False
    )
    assert alone.returncode == status, alone.stderr
    assert ran(forks, arguments, environ) == (alone.returncode, alone.stdout, alone.stderr)


def test_it_is_told_its_own_settings_and_keeps_none_of_the_last_ones(forks: Forks, tmp_path: Path) -> None:
    wrong = environment(tmp_path, ARBITER_NO_SUCH_SETTING="1")
    assert "ARBITER_NO_SUCH_SETTING" in ran(forks, ("keys", "show"), wrong)[2]
    assert "ARBITER_NO_SUCH_SETTING" not in ran(forks, ("keys", "show"), environment(tmp_path))[2]


def test_a_command_that_does_not_end_is_killed_and_the_next_one_is_answered(
    forks: Forks, tmp_path: Path
) -> None:
    init_keys(tmp_path, ORIGIN, SystemChance())
    # As if another process were starting the database, for ever.
    with (tmp_path / "postgres.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(subprocess.TimeoutExpired):
            forks.run(("users", "list"), environment(tmp_path), "", 5)
    assert ran(forks, ("version",), environment(tmp_path))[0] == 0
    children = Path(f"/proc/{forks.pid}/task/{forks.pid}/children")
    assert children.read_text() == ""


@pytest.mark.parametrize("name", ["LANG", "OTEL_SDK_DISABLED", "TMPDIR", "TERMINAL_WIDTH"])
def test_variables_that_an_import_may_read_are_not_for_a_fork(
    forks: Forks, tmp_path: Path, name: str
) -> None:
    assert forks.run(("version",), environment(tmp_path, **{name: "another"}), "", PATIENCE_SECONDS) is None


def test_it_ends_when_it_is_closed(tmp_path: Path) -> None:
    made = Forks(environment(tmp_path))
    made.close()
    assert not Path(f"/proc/{made.pid}").exists()


def test_one_that_is_gone_is_said(tmp_path: Path) -> None:
    broken = Forks({**environment(tmp_path), "PYTHONHOME": str(tmp_path)})
    with pytest.raises((AssertionError, BrokenPipeError, ConnectionResetError)):
        broken.run(("version",), {**environment(tmp_path), "PYTHONHOME": str(tmp_path)}, "", PATIENCE_SECONDS)
    broken.close()
