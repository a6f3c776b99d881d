"""Takes freshly trained weights in: `python -m arbiter.specialists.sealing FOLDER` copies them here and states their hashes.

The hashes go into the manifest and into the protocol's seats, so that new weights are another member everywhere at once.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from arbiter.fleet.weights import weights_sha256
from arbiter.specialists.rules import SPECIALISTS
from arbiter.specialists.shipped import (
    ADAPTERS,
    BASE,
    MANIFEST,
    PROTOCOL_FOLDER,
    WEIGHTS,
    manifest_text,
    sums,
)


def main(arguments: Sequence[str]) -> None:
    """Copy, then write the manifest and the seats' hashes."""
    trained = Path(arguments[0])
    for name, place in (("base", BASE), ("adapters", ADAPTERS)):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(trained / name, place)
    for file in WEIGHTS.rglob("*"):
        if file.is_file():
            file.chmod(0o644)
    MANIFEST.write_text(manifest_text(sums(WEIGHTS)), "utf-8")
    path = PROTOCOL_FOLDER / "protocol.yaml"
    text = path.read_text("utf-8")
    for rule in SPECIALISTS:
        stated = weights_sha256(BASE, ADAPTERS / rule.name)
        text = re.sub(
            rf"(      name: {rule.name}\n(?:      .+\n)*?      weights_sha256: ).+", rf"\g<1>{stated}", text
        )
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
