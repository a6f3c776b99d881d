"""The shipped deterioration protocol with models on its panel and hardly any time, as a deployment's own bundle."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from arbiter.protocols.bundle import POLICY_FILE, PROTOCOL_FILE

SEAT = """\
  - member: {member}
    title: Model {name}
    asks: {asks}
    backend: vllm
    model:
      server: {server}
      name: {name}
      revision: r1
      weights_sha256: "{weights}"
      dtype: bfloat16
      prompt: question-v1
      samples: 3
      temperature: 0.7
      top_p: 0.95
      max_tokens: 512
    family: model-{member}
    weight: 1
"""


CERTIFIED = """\
  strategy: posterior
  automatic: true
  guarantee:
    delta: 0.05
    error_rates:
      urgent-review: 0.02
      continue-monitoring: 0.03
"""
WEIGHED = """\
  strategy: weighted
  automatic: true
  threshold: 0.6
"""


def shipped_text(name: str) -> str:
    return (files("arbiter.protocols") / "deterioration" / name).read_text(encoding="utf-8")


def seat(member: str, name: str, server: str = "gpu-a", asks: str = "question") -> str:
    return SEAT.format(member=member, name=name, server=server, asks=asks, weights="ab" * 32)


def protocol_text(identifier: str, *seats: str, panel_seconds: int = 2) -> str:
    """The shipped `protocol.yaml` under another id, with these seats beside the scores', weighed: of them nothing is known."""
    text = shipped_text(PROTOCOL_FILE)
    for old, new in (
        (CERTIFIED, WEIGHED),
        ("id: deterioration\n", f"id: {identifier}\n"),
        ("      panel: PT30S\n", f"      panel: {panel_seconds}\n"),
        ("\n# greatest_between 0.5", "".join(seats) + "\n# greatest_between 0.5"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def write_bundle(folder: Path, text: str) -> Path:
    """Write a bundle with that `protocol.yaml` and the shipped policy."""
    folder.mkdir(parents=True)
    (folder / PROTOCOL_FILE).write_text(text, encoding="utf-8")
    (folder / POLICY_FILE).write_text(shipped_text(POLICY_FILE), encoding="utf-8")
    return folder
