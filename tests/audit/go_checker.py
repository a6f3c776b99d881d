"""Go's own verdict on a log: exports a log to a folder and runs `interop/main.go` over it.

Usable from any test: `GoChecker.build(folder)` once, then `write_log(folder, …)` with the tiles (made here or fetched
from a running service) and `checker.accepts(folder)` or `checker.refuses(folder)`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from arbiter.audit.note import encode_base64
from tests.patience import PATIENCE_SECONDS

SOURCE = Path(__file__).parent / "interop" / "main.go"
# Where Debian's package golang-golang-x-mod-dev installs its sources.
GOPATH = Path("/usr/share/gocode")
REQUIRE_CHECKERS = "REQUIRE_OUTSIDE_CHECKERS"


@dataclass(frozen=True)
class InclusionClaim:
    """That the hash `leaf` is leaf `index` in the tree of `size` leaves with `root`."""

    index: int
    size: int
    root: bytes
    leaf: bytes
    proof: Sequence[bytes]


@dataclass(frozen=True)
class ConsistencyClaim:
    """That the tree of `new_size` leaves extends that of `old_size`."""

    old_size: int
    old_root: bytes
    new_size: int
    new_root: bytes
    proof: Sequence[bytes]


def require_tool(name: str, present: bool | None = None) -> str:
    """Return the path of the program `name`; skip the test without it, or fail where tools are required."""
    path = shutil.which(name)
    if path is not None and present is not False:
        return path
    reason = f"{name} (or a package it needs) is not installed"
    if os.environ.get(REQUIRE_CHECKERS):
        pytest.fail(f"{reason}, and {REQUIRE_CHECKERS} is set")
    pytest.skip(reason)


def build_go(source: Path, binary: Path) -> Path:
    """Build a Go program that uses the reference code; skips or fails without Go or its package (see `require_tool`)."""
    go = require_tool("go", present=(GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir())
    environment = {**os.environ, "GOPATH": str(GOPATH), "GO111MODULE": "off", "CGO_ENABLED": "0"}
    environment.setdefault("GOCACHE", str(binary.parent / "cache"))
    subprocess.run(
        [go, "build", "-o", str(binary), str(source)],
        env=environment,
        check=True,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
    )
    return binary


def write_log(
    folder: Path,
    verifier_key: str,
    checkpoint_note: bytes,
    files: Mapping[str, bytes],
    inclusion: Sequence[InclusionClaim] = (),
    consistency: Sequence[ConsistencyClaim] = (),
) -> None:
    """Write what the checker reads; `files` maps C2SP tile paths (`tile/0/000.p/5`, `tile/entries/000`) to contents."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    (folder / "vkey").write_text(verifier_key)
    (folder / "checkpoint").write_bytes(checkpoint_note)
    claims = {
        "inclusion": [vars(claim) for claim in inclusion],
        "consistency": [vars(claim) for claim in consistency],
    }
    (folder / "proofs.json").write_text(json.dumps(claims, default=encode_base64))


@dataclass(frozen=True)
class GoChecker:
    """The built checker."""

    binary: Path

    @classmethod
    def build(cls, folder: Path) -> GoChecker:
        """Build the checker into `folder`; skips or fails without Go or its package (see `require_tool`)."""
        return cls(build_go(SOURCE, folder / "checker"))

    def accepts(self, folder: Path) -> str:
        """Assert that Go accepts the log in `folder`; return its summary."""
        done = self._run(folder)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("accepted: ")
        return done.stdout.strip()

    def refuses(self, folder: Path) -> str:
        """Assert that Go refuses the log in `folder`; return its reason."""
        done = self._run(folder)
        assert done.returncode == 1, done.stdout
        assert done.stderr.startswith("refused: ")
        return done.stderr.strip()

    def _run(self, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.binary), str(folder)],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
