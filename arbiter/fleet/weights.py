"""What a model's weights hash to: the one number that tells a planted file from the right one.

The hash covers the safetensors files and their names, nothing else: neither a folder's place nor a tokenizer, a chat template
or an adapter's settings. What those change, the canary set sees.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from arbiter.errors import ConfigurationError

PATTERN: Final = "*.safetensors"


def weights_sha256(model: Path, adapter: Path | None = None) -> str:
    """Return the SHA-256 (hex) of all weights behind an answer: those of the model, and of the adapter where one speaks.

    It is that of the lines which `sha256sum` prints for the files, sorted by name, where the model's folder is called
    `model` and the adapter's `adapter`: `sha256sum adapter/*.safetensors model/*.safetensors | sha256sum`.

    Raises:
        ConfigurationError: when a folder holds no such file, or one cannot be read.
    """
    lines = _lines("model", model)
    if adapter is not None:
        lines = _lines("adapter", adapter) + lines
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return a folder's files with weights, by name.

    Raises:
        ConfigurationError: when it holds none, or cannot be read.
    """
    try:
        files = sorted(folder.glob(PATTERN), key=lambda file: file.name.encode())
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be read: {error.strerror}") from error
    if not files:
        raise ConfigurationError(f"expected {PATTERN} in {folder}, there is none")
    return tuple(files)


def _lines(name: str, folder: Path) -> list[str]:
    return [f"{_sha256(file)}  {name}/{file.name}\n" for file in weight_files(folder)]


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
