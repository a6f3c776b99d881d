"""A Python that has `cryptography` and nothing else, as an outsider's machine may be."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from arbiter.audit.export.layout import SCRIPT
from tests.exports import Exported
from tests.patience import PATIENCE_SECONDS

# What the package `cryptography` is made of, and nothing else of this environment.
CARRIED = ("cryptography", "cffi", "_cffi_backend*", "pycparser")

# `-S -I` leaves the standard library alone on the path: no site packages, no folder of the caller's, no environment.
START = "import sys, runpy; sys.path.append(sys.argv.pop(1)); sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"


@dataclass(frozen=True)
class Bare:
    """A Python that has `cryptography` and nothing else, in a folder that holds nothing else."""

    packages: Path
    folder: Path

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-I", *arguments],
            cwd=self.folder,
            env={},
            text=True,
            capture_output=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )

    def verify(self, script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("-c", START, str(self.packages), str(script), *arguments)

    def unpacked(self, made: Exported, content: bytes | None = None) -> Path:
        archive = self.folder / "export.zip"
        archive.write_bytes(made.content if content is None else content)
        folder = self.folder / "unpacked"
        shutil.rmtree(folder, ignore_errors=True)
        with ZipFile(archive) as opened:
            opened.extractall(folder)
        shutil.copy(folder / SCRIPT, self.folder / "verifier.py")
        return folder


def copy_packages(folder: Path) -> None:
    """Copy what `cryptography` is made of into a folder."""
    for pattern in CARRIED:
        for found in Path(sysconfig.get_path("purelib")).glob(pattern):
            (shutil.copytree if found.is_dir() else shutil.copy)(found, folder / found.name)
