"""Files that belong together are replaced together or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from arbiter.evaluation.replacing import write_together


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "report.json", tmp_path / "report.html"
    one.write_text("old json", encoding="utf-8")
    other.write_text("old page", encoding="utf-8")
    return one, other


def test_both_are_new_and_nothing_else_is_left(pair: tuple[Path, Path]) -> None:
    write_together({pair[0]: "new json", pair[1]: "new page ä"})
    assert [path.read_text(encoding="utf-8") for path in pair] == ["new json", "new page ä"]
    assert sorted(path.name for path in pair[0].parent.iterdir()) == ["report.html", "report.json"]


def test_a_text_that_cannot_be_written_leaves_both_as_they_were(pair: tuple[Path, Path]) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_together({pair[0]: "new json", pair[1]: "alone: \ud800"})
    assert [path.read_text(encoding="utf-8") for path in pair] == ["old json", "old page"]
    assert sorted(path.name for path in pair[0].parent.iterdir()) == ["report.html", "report.json"]


def test_a_full_disk_leaves_both_as_they_were(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_together({pair[0]: "new json", pair[1]: "new page"})
    assert [path.read_text(encoding="utf-8") for path in pair] == ["old json", "old page"]


def test_a_folder_in_the_place_of_one_leaves_the_other_as_it_was(pair: tuple[Path, Path]) -> None:
    pair[1].unlink()
    pair[1].mkdir()
    with pytest.raises(IsADirectoryError, match="expected a file or nothing"):
        write_together({pair[0]: "new json", pair[1]: "new page"})
    assert pair[0].read_text(encoding="utf-8") == "old json"


def test_the_first_takes_its_place_only_when_the_last_is_written(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[list[str]] = []
    replace = Path.replace

    def seen(self: Path, target: Any) -> Path:
        found.append(sorted(path.name for path in self.parent.iterdir() if path.name.endswith(".new")))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", seen)
    write_together({pair[0]: "new json", pair[1]: "new page"})
    assert found == [[".report.html.new", ".report.json.new"], [".report.html.new"]]
