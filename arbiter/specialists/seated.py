"""The protocol that seats the specialists, read and checked."""

from __future__ import annotations

from arbiter.protocols.bundle import Bundle
from arbiter.protocols.loader import read_bundle
from arbiter.specialists.shipped import PROTOCOL_FOLDER


def read_seated() -> Bundle:
    """Return the bundle `deterioration-with-models`.

    Raises:
        InvalidProtocolError: with every problem found.
    """
    return read_bundle(PROTOCOL_FOLDER)
