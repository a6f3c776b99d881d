"""Draws, when a panel decides, whether its decision is to be audited: with a known probability, and before anybody sees it.

The word drawn stands beside the probability in a document of the entry `case.decided`: who audits the draw computes it again, and
nobody can choose afterwards which decisions are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from arbiter.documents.canonical import decode, encode
from arbiter.documents.scalars import decimal_text
from arbiter.errors import VerificationError
from arbiter.model import Verdict, VerdictKind
from arbiter.ports import Chance
from arbiter.question import Strategy

DOCUMENT: Final = "draw"
FORMAT: Final = "arbiter/audit-draw/v1"
WORD_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Draw:
    """What was drawn: with what `probability` the decision was to be audited, by which `word` (hex), and whether it is."""

    probability: Decimal
    word: str
    drawn: bool

    def to_bytes(self) -> bytes:
        """Return the document `draw`."""
        document = {
            "format": FORMAT,
            "probability": decimal_text(self.probability),
            "word": self.word,
            "drawn": self.drawn,
        }
        return encode(document)


def draw_for(
    verdict: Verdict, strategy: Strategy, share: Decimal, chance: Chance, *, training: bool
) -> Draw | None:
    """Return the draw for a verdict; None where there is nothing to watch.

    Watched is what is decided under a stated error rate, which the posterior alone states. Practice is nobody's care.
    """
    if training or verdict.kind is not VerdictKind.DECIDE or strategy is not Strategy.POSTERIOR:
        return None
    word = chance.token(WORD_BYTES)
    return Draw(share, word.hex(), is_drawn(word, share))


def is_drawn(word: bytes, share: Decimal) -> bool:
    """Tell whether a word, as a number below 1 in base 256, lies below the share."""
    return Fraction(int.from_bytes(word), 256 ** len(word)) < Fraction(share)


def draw_from(content: bytes) -> Draw:
    """Return the draw that a document holds.

    Raises:
        VerificationError: when it is not one that `to_bytes` made, or its word does not say what it says.
    """
    document: Mapping[str, Any] = decode(content)
    try:
        found = Draw(Decimal(document["probability"]), document["word"], document["drawn"])
        word = bytes.fromhex(found.word)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise VerificationError("the document of a draw is not one that was ever written") from error
    if found.to_bytes() != content or is_drawn(word, found.probability) is not found.drawn:
        raise VerificationError("the document of a draw does not say what its word says")
    return found
