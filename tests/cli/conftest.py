"""A real installation for the commands that call one, and a way to run `main` here for those that only read what they are given."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from arbiter.cli import main
from tests.system.service import Service, a_service, run_arbiter


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


Arbiter = Callable[..., Ended]

TOKEN = "arb_c" + "a" * 16 + "_" + "s" * 43


@pytest.fixture
def arbiter(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Arbiter:
    """Run a command in this process, with nothing of this machine's environment and a token nobody issued."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    monkeypatch.setenv("ARBITER_TOKEN_FILE", str(token))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "400")

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["arbiter", *arguments])
        status = 0
        umask = os.umask(0o022)
        try:
            main()
        except SystemExit as ended:
            status = int(ended.code or 0)
        finally:
            os.umask(umask)
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return Ended(status, said.out, said.err)

    return run


def run_process(
    data: Path, environ: Mapping[str, str], *arguments: str, said: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own, with `said` on its standard input."""
    done = run_arbiter(data, *arguments, said=said, **environ)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def installation() -> Iterator[Service]:
    """One for each module: the logins and sites that one module's tests make are in nobody else's way."""
    with a_service() as made:
        yield made


@pytest.fixture
def service(installation: Service) -> Service:
    """The installation with its serving process running."""
    if not installation.alive:
        installation.start()
    return installation


@pytest.fixture
def calling(service: Service, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who calls the service."""
    token = tmp_path / "token"
    token.write_text(f"{service.token}\n")
    token.chmod(0o600)
    return {
        "ARBITER_URL": service.url,
        "ARBITER_TOKEN_FILE": str(token),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder, with the shipped protocols and no fleet."""
    for name in ("ARBITER_PROTOCOLS", "ARBITER_FLEET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
