"""Text of a case made harmless: only plain characters stand for themselves, every other one is a JSON escape.

Guarantees: no text can hold a line break, a quotation mark or what chat templates and fences are made of.
"""

from __future__ import annotations

import json
import re

# What may stand as it is inside a text of the case. No angle or square bracket, bar, brace or backtick: chat templates
# and the fence are made of them. No quotation mark or backslash: JSON escapes those itself.
_ESCAPED = re.compile(r"[^ A-Za-z0-9.,;:/%*+()_-]")


def escaped(text: str) -> str:
    """Return the text with every character beyond the plain few as a JSON escape, in ASCII."""
    return _ESCAPED.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if ord(match[0]) > 0x7E else f"\\u{ord(match[0]):04x}"
