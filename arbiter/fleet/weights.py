"""What a model's weights hash to: the one number that tells a planted file from the right one.

The hash covers the safetensors files and their names, nothing else: neither a folder's place nor a tokenizer, a chat template
or an adapter's settings. What those change, the canary set sees.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from arbiter.errors import ConfigurationError

SUFFIX: Final = ".safetensors"
_SETTLED_SECONDS: Final = 2.0


class UnreadableWeightsError(ConfigurationError):
    """A folder is not there, or may not be read: nothing is known of its weights."""


@dataclass(slots=True)
class Hasher:
    """Hashes weights, each file again only when its inode, size or times have changed: gigabytes take their time."""

    _known: dict[Path, tuple[tuple[int, ...], str]] = field(default_factory=dict)

    def sha256(self, model: Path, adapter: Path | None = None) -> str:
        """Return and raise as `weights_sha256`."""
        lines = self._lines("model", model)
        if adapter is not None:
            lines = self._lines("adapter", adapter) + lines
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    def _lines(self, name: str, folder: Path) -> list[str]:
        return [f"{self._file(file)}  {name}/{file.name}\n" for file in weight_files(folder)]

    def _file(self, file: Path) -> str:
        try:
            with file.open("rb") as stream:
                stamp = _stamp(stream)
                known = self._known.get(file)
                if known is not None and known[0] == stamp:
                    return known[1]
                found = hashlib.file_digest(stream, "sha256").hexdigest()
                unchanged = _stamp(stream) == stamp
        except FileNotFoundError as error:
            # It is listed, so this is no folder of another machine: a server that starts now finds other weights, or none.
            raise ConfigurationError(f"{file} leads to no file") from error
        except OSError as error:
            raise UnreadableWeightsError(f"{file} cannot be read: {error.strerror}") from error
        if not unchanged:
            raise ConfigurationError(f"{file} changed while it was read")
        # What changed just now may change again within the same tick of the file system's clock, and look the same.
        if time.time() - stamp[-1] / 1e9 > _SETTLED_SECONDS:
            self._known[file] = (stamp, found)
        return found


def _stamp(stream: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(stream.fileno())
    # The change time too, and last: the other one can be set at will.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def weights_sha256(model: Path, adapter: Path | None = None) -> str:
    """Return the SHA-256 (hex) of all weights behind an answer: those of the model, and of the adapter where one speaks.

    It is that of the lines which `sha256sum` prints for the files, sorted by name, where the model's folder is called
    `model` and the adapter's `adapter`: `sha256sum adapter/*.safetensors model/*.safetensors | sha256sum`.

    Raises:
        UnreadableWeightsError: when a folder or file cannot be read.
        ConfigurationError: when a folder holds no such file, or one leads nowhere or changes meanwhile.
    """
    return Hasher().sha256(model, adapter)


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return a folder's files with weights, by name; raises as `weights_sha256`."""
    try:
        files = sorted(
            (file for file in folder.iterdir() if file.name.endswith(SUFFIX)),
            key=lambda file: os.fsencode(file.name),
        )
    except OSError as error:
        raise UnreadableWeightsError(f"{folder} cannot be read: {error.strerror}") from error
    if not files:
        raise ConfigurationError(f"expected *{SUFFIX} in {folder}, there is none")
    return tuple(files)
