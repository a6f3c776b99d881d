"""One vLLM and one set of models for the folder; without vLLM's environment every test here is skipped and says so.

`make test-vllm` makes that environment and names it in REQUIRE_VLLM; its absence is then a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vllm.server import VllmServer, a_vllm, make_models

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    """The Python of vLLM's environment."""
    required = os.environ.get("REQUIRE_VLLM")
    environment = (ROOT / (required or ".vllm")).absolute()
    if required or (environment / ".installed").exists():
        assert (environment / "bin" / "python").exists(), f"no vLLM in {environment}"
        return environment / "bin" / "python"
    pytest.skip("no vLLM for the CPU here; `make test-vllm` installs one")


@pytest.fixture(scope="session")
def models(vllm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model of random weights and its adapters."""
    folder = tmp_path_factory.mktemp("models")
    make_models(vllm_python, folder)
    return folder


@pytest.fixture(scope="session")
def vllm(vllm_python: Path, models: Path) -> Iterator[VllmServer]:
    """A running server that the tests leave running."""
    with a_vllm(vllm_python, models) as server:
        yield server
