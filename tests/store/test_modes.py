"""What is too open is found by name, and closed where it is ours to close."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest

from arbiter.clock import SystemChance
from arbiter.errors import ConfigurationError
from arbiter.store.keys import init_keys, read_keys
from arbiter.store.modes import close_to_others, too_open
from arbiter.telemetry import log_to_file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    init_keys(folder, "log.hospital.example/arbiter", SystemChance())
    for name in ("checkpoint", "arbiter.log"):
        (folder / name).write_text("x")
        (folder / name).chmod(0o600)
    (folder / "exports").mkdir(mode=0o700)
    return folder


def told(data: Path) -> list[str]:
    return [str(each) for each in too_open(data, data / "postgres")]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_nothing_is_told_of_what_is_its_owners_alone(data: Path) -> None:
    assert told(data) == []


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("arbiter.log", 0o644, 0o600),
        ("arbiter.log", 0o604, 0o600),
        ("arbiter.log", 0o620, 0o600),
        ("checkpoint", 0o640, 0o600),
        ("exports", 0o755, 0o700),
        ("exports", 0o701, 0o700),
        ("keys", 0o750, 0o700),
    ],
)
def test_what_others_have_rights_to_is_named_with_both_modes(
    data: Path, name: str, mode: int, expected: int
) -> None:
    (data / name).chmod(mode)
    assert told(data) == [f"{data / name} has mode {mode:04o}, expected {expected:04o}"]
    (found,) = too_open(data, data / "postgres")
    assert not found.reached, "the data folder lets nobody through"
    data.chmod(0o701)
    assert told(data)[0] == f"{data} has mode 0701, expected 0700"
    assert [each.reached for each in too_open(data, data / "postgres")] == [True, True]


@pytest.mark.parametrize("mode", [0o710, 0o701, 0o750, 0o755, 0o777, 0o770])
def test_a_data_folder_that_others_may_enter_is_told(data: Path, mode: int) -> None:
    data.chmod(mode)
    assert told(data) == [f"{data} has mode {mode:04o}, expected 0700"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lets the database's user through")
def test_the_group_of_the_databases_user_may_pass_and_no_more(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbiter.store.modes.passing_group", lambda: data.stat().st_gid)
    data.chmod(0o710)
    assert told(data) == []
    for mode, expected in ((0o750, 0o710), (0o711, 0o710), (0o730, 0o710), (0o704, 0o700)):
        data.chmod(mode)
        assert told(data) == [f"{data} has mode {mode:04o}, expected {expected:04o}"]


def test_a_socket_apart_that_others_may_enter_is_told(data: Path, tmp_path: Path) -> None:
    socket = tmp_path / "socket"
    assert too_open(data, socket) == (), "there is none yet"
    socket.mkdir()
    socket.chmod(0o711)
    (found,) = too_open(data, socket)
    assert (found.path, found.found, found.expected, found.reached) == (socket, 0o711, 0o700, True)


def test_what_was_left_open_is_closed_and_said(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    (data / "arbiter.log").chmod(0o644)
    (data / "exports").chmod(0o755)
    with caplog.at_level(logging.WARNING):
        close_to_others(data)
    assert (mode_of(data / "arbiter.log"), mode_of(data / "exports")) == (0o600, 0o700)
    assert [record.getMessage().split(" had ")[0] for record in caplog.records] == [
        str(data / "arbiter.log"),
        str(data / "exports"),
    ]
    caplog.clear()
    close_to_others(data)
    assert caplog.records == []


def test_open_keys_are_refused_and_not_quietly_closed(data: Path) -> None:
    (data / "keys").chmod(0o755)
    close_to_others(data)
    assert mode_of(data / "keys") == 0o755
    with pytest.raises(ConfigurationError):
        read_keys(data)


def test_what_a_link_leads_to_is_not_ours_to_close(data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("x")
    elsewhere.chmod(0o644)
    (data / "link").symlink_to(elsewhere)
    close_to_others(data)
    assert mode_of(elsewhere) == 0o644
    assert told(data) == []


def test_a_folder_that_cannot_be_looked_into_is_told_in_words(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ConfigurationError, match="expected a data folder that user"):
        close_to_others(file)


@pytest.mark.parametrize("before", [None, 0o644, 0o666])
def test_the_log_file_is_its_owners_alone(tmp_path: Path, before: int | None) -> None:
    path = tmp_path / "arbiter.log"
    if before is not None:
        path.write_text("old\n")
        path.chmod(before)
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    umask = os.umask(0)
    try:
        log_to_file(path)
        logging.getLogger("arbiter").warning("said")
    finally:
        os.umask(umask)
        for handler in root.handlers:
            handler.close()
        root.handlers[:], root.level = kept, level
    assert mode_of(path) == 0o600
    assert "said" in path.read_text()
    assert path.read_text().startswith("old" if before else "{")


def test_a_log_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "arbiter.log").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        log_to_file(tmp_path / "arbiter.log")
    assert not target.exists()
