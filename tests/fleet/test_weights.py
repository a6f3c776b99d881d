"""The hash of weights: what `sha256sum` says of the files, and every change to them is seen."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from io import BufferedReader
from pathlib import Path
from types import SimpleNamespace

import pytest

from arbiter.errors import ConfigurationError
from arbiter.fleet.weights import Hasher, UnreadableWeightsError, weights_sha256
from tests.fleet.specs import a_model, an_adapter


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = a_model(tmp_path / "model", b"first part")
    (folder / "model-00002.safetensors").write_bytes(b"second part")
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return an_adapter(tmp_path / "adapter")


def by_coreutils(folder: Path, patterns: str) -> str:
    """What whoever has no Arbiter gets, by the recipe in the documentation."""
    line = f"sha256sum {patterns} | sha256sum"
    ended = subprocess.run(
        ["sh", "-c", line], cwd=folder, env={**os.environ, "LC_ALL": "C"}, capture_output=True, check=True
    )
    return ended.stdout.decode().split()[0]


def test_it_is_what_sha256sum_says(tmp_path: Path, model: Path, adapter: Path) -> None:
    assert weights_sha256(model) == by_coreutils(tmp_path, "model/*.safetensors")
    both = by_coreutils(tmp_path, "adapter/*.safetensors model/*.safetensors")
    assert weights_sha256(model, adapter) == both


def test_it_does_not_depend_on_where_the_folders_are(tmp_path: Path, model: Path, adapter: Path) -> None:
    before = weights_sha256(model, adapter)
    (tmp_path / "elsewhere").mkdir()
    moved = model.rename(tmp_path / "elsewhere" / "base-8b")
    assert weights_sha256(moved, adapter.rename(tmp_path / "respiratory")) == before


def test_a_base_and_an_adapter_do_not_change_places(model: Path, adapter: Path) -> None:
    assert len({weights_sha256(model), weights_sha256(model, adapter), weights_sha256(adapter, model)}) == 3


@pytest.mark.parametrize("planted", ["other byte", "further file", "other name", "missing part"])
def test_a_planted_file_is_seen(model: Path, adapter: Path, planted: str) -> None:
    before = weights_sha256(model, adapter)
    file = adapter / "adapter_model.safetensors"
    match planted:
        case "other byte":
            file.write_bytes(b"weightz")
        case "further file":
            (adapter / "more.safetensors").write_bytes(b"")
        case "other name":
            file.rename(adapter / "renamed.safetensors")
        case _:
            (model / "model-00002.safetensors").unlink()
    assert weights_sha256(model, adapter) != before


def test_what_is_remembered_of_a_file_does_not_outlive_a_change_that_hides(
    model: Path, adapter: Path
) -> None:
    """Same size, same time of change, same name: only the change time, which nobody sets, tells."""
    hasher = Hasher()
    before = hasher.sha256(model, adapter)
    assert hasher.sha256(model, adapter) == before
    file = adapter / "adapter_model.safetensors"
    status = file.stat()
    file.write_bytes(b"weightz")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_mtime_ns == status.st_mtime_ns
    assert hasher.sha256(model, adapter) == weights_sha256(model, adapter) != before


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=re.escape("expected *.safetensors")):
        weights_sha256(tmp_path)


@pytest.mark.parametrize("name", ["gone", "file"])
def test_a_folder_that_is_none_is_told_apart_from_one_without_weights(
    tmp_path: Path, model: Path, name: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnreadableWeightsError, match="cannot be read"):
        weights_sha256(model, tmp_path / name)


def test_a_change_right_after_the_first_look_is_seen(
    model: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file's times are told in ticks, on some file systems in seconds: two changes within one look alike."""
    fstat = os.fstat

    def in_seconds(descriptor: int) -> SimpleNamespace:
        told = fstat(descriptor)
        times = {name: getattr(told, name) // 10**9 * 10**9 for name in ("st_mtime_ns", "st_ctime_ns")}
        return SimpleNamespace(st_dev=told.st_dev, st_ino=told.st_ino, st_size=told.st_size, **times)

    monkeypatch.setattr("os.fstat", in_seconds)
    hasher, file = Hasher(), adapter / "adapter_model.safetensors"
    for number in range(5):
        file.write_bytes(b"right%05d" % number)
        before = hasher.sha256(model, adapter)
        file.write_bytes(b"wrong%05d" % number)
        assert hasher.sha256(model, adapter) != before


def test_weights_that_change_while_they_are_read_are_no_weights(
    model: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = adapter / "adapter_model.safetensors"
    digest = hashlib.file_digest

    def meanwhile(stream: BufferedReader, name: str) -> object:
        found = digest(stream, name)
        file.write_bytes(b"other and longer")
        return found

    monkeypatch.setattr("hashlib.file_digest", meanwhile)
    with pytest.raises(ConfigurationError, match="changed while it was read") as refused:
        Hasher().sha256(model, adapter)
    assert not isinstance(refused.value, UnreadableWeightsError), "it is wrong, not unknown"


def test_a_file_that_is_listed_and_leads_nowhere_is_wrong_and_not_unknown(model: Path, adapter: Path) -> None:
    file = adapter / "adapter_model.safetensors"
    file.unlink()
    file.symlink_to("gone")
    with pytest.raises(ConfigurationError, match="leads to no file") as refused:
        Hasher().sha256(model, adapter)
    assert not isinstance(refused.value, UnreadableWeightsError)


def test_a_link_is_hashed_as_what_it_leads_to_and_seen_when_it_is_turned(model: Path, adapter: Path) -> None:
    hasher, file = Hasher(), adapter / "adapter_model.safetensors"
    before = hasher.sha256(model, adapter)
    for name, content in (("right", file.read_bytes()), ("wrong", b"planted")):
        (adapter / name).write_bytes(content)
    file.unlink()
    file.symlink_to("right")
    assert hasher.sha256(model, adapter) == before
    file.unlink()
    file.symlink_to("wrong")
    assert hasher.sha256(model, adapter) != before
