"""The seats of the small models that the tests make, as a protocol writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

REVISION: Final = "made-20260301"
SAMPLES: Final = 3
SERVER: Final = "cpu"

_SEAT: Final = """\
  - member: {member}
    title: The {member} model
    role: made up
    asks: question
    backend: vllm
    model:
      server: {server}
      name: {member}
      revision: {revision}
      weights_sha256: {weights}
      adapter: {member}
      dtype: bfloat16
      prompt: question-v1
      samples: {samples}
      temperature: 0.7
      top_p: 0.95
      max_tokens: 2048
    family: random-weights
    weight: 1
"""


def seats(weights: Mapping[str, str]) -> Iterable[str]:
    """Return a seat for each adapter, given the hash of its weights."""
    return [
        _SEAT.format(member=name, server=SERVER, revision=REVISION, weights=found, samples=SAMPLES)
        for name, found in weights.items()
    ]
