"""A PKCS#11 token that is not ours: SoftHSM's, one for a test run, because a process opens its module once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from arbiter.store.keys.hardware import Place
from tests.audit.go_checker import REQUIRE_CHECKERS

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
MODULE = next((path for path in MODULES if Path(path).exists()), None)


def a_token(folder: Path) -> Place:
    """Make a token with a PIN in a private file; skips where there is no SoftHSM, fails where there must be."""
    if MODULE is None or shutil.which("softhsm2-util") is None:
        if os.environ.get(REQUIRE_CHECKERS):
            pytest.fail("SoftHSM is required here and is not installed")
        pytest.skip("SoftHSM is not installed")
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(settings)
    command = ["softhsm2-util", "--init-token", "--free", "--label", "arbiter"]
    subprocess.run([*command, "--so-pin", "87654321", "--pin", "123456"], check=True, capture_output=True)
    pin = folder / "pin"
    pin.write_text("123456\n")
    pin.chmod(0o600)
    return Place("arbiter", "", MODULE, pin)
