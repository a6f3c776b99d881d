r"""What an ML-DSA-44 cosignature signs (C2SP tlog-cosignature, `cosigned_message`): a range of a log's leaves, by name.

    "subtree/v1\n\0" || u8 len || cosigner's name || u64 timestamp || u8 len || origin || u64 start || u64 end || root

A checkpoint is the range from 0 to its size. Unlike Ed25519's cosignature the message is made of the checkpoint's
three values and not of its text, and it commits to the cosigner's name.
"""

from __future__ import annotations

import base64
import binascii
import re

from arbiter.errors import VerificationError

LABEL = b"subtree/v1\n\x00"
ROOT_BYTES = 32
LONGEST_NAME = 255

_CHECKPOINT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*")


def subtree_message(text: bytes, cosigner: str, timestamp_seconds: int) -> bytes:
    """Return what `cosigner` signs at a POSIX time for the checkpoint whose note has this text.

    Raises `VerificationError` when the text is no checkpoint or a name is too long: such a signature means nothing.
    """
    try:
        match = _CHECKPOINT.fullmatch(text.decode("utf-8"))
        root = b"" if match is None else base64.b64decode(match[3], validate=True)
    except (UnicodeDecodeError, binascii.Error):
        match = None
    if match is None or len(root) != ROOT_BYTES or int(match[2]) >= 2**63:
        raise VerificationError(
            "an ML-DSA-44 signature stands on checkpoints alone, and this note is of another kind"
        )
    return b"".join(
        (
            LABEL,
            _prefixed(cosigner),
            timestamp_seconds.to_bytes(8, "big"),
            _prefixed(match[1]),
            (0).to_bytes(8, "big"),
            int(match[2]).to_bytes(8, "big"),
            root,
        )
    )


def _prefixed(name: str) -> bytes:
    encoded = name.encode("utf-8")
    if not 1 <= len(encoded) <= LONGEST_NAME:
        raise VerificationError(f"expected a name of 1 to {LONGEST_NAME} bytes, came {len(encoded)}")
    return bytes([len(encoded)]) + encoded
