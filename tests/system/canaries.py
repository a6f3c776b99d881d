"""Words that no patient data may be confused with, the forms they could leak in, and the places where they are looked for."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from arbiter.protocols.loader import read_shipped, shipped
from tests.system.service import Service

WORDS = {
    "subject": "canary-subject-7714403",
    "system": "urn:canary:system-5190",
    "encounter": "canary-encounter-2238",
    "source": "canary-monitor-6641",
    "contest": "canary reason: the daughter called, Ms Ångström",
    "cancel": "canary cancelled: moved to ward nine",
    "retract": "canary retracted: the wrong Mr Kanarienvogel",
    "glass": "canary glass: brought in by Mrs Kanarienvogel",
    "note": "canary note: looks grey to me",
    "sign": "canary signature: I know her since 1987",
    "key": "canary-idempotency-4471",
    "refused": "canary-refused-9925",
    "path": "canary-path-MRN-330917",
    "query": "canary query Josephine Kanarienvogel",
    "header": "canary-header-118843",
    "login": "canary-login-k.vogel",
    "body": "canary-body-552210",
}
NUMBERS = {
    "white_cell_count": "612.37",
    "temperature": "97.863",
    "systolic_bp": "16.53",
    "diastolic_bp": "10.41",
    "refused number": "88123.40917",
    "instant": "37.613947",
}
"""What the facts hold, in units that are converted where whole numbers are wanted, and the second of their observation."""

UNITS = {"temperature": "[degF]", "systolic_bp": "kPa", "diastolic_bp": "kPa"}
CANARIES = [*WORDS.values(), *NUMBERS.values()]

_NUMBER = re.compile(r"\d+\.\d+")


def example_numbers() -> list[str]:
    """Facts of the shipped examples that nothing else here would spell so: no halves, which bound histograms."""
    values = {
        str(raw.value)
        for name in shipped()
        for example in read_shipped(name).examples
        for raw in example.facts
        if not isinstance(raw.value, str | bool)
    }
    return sorted(value for value in values if re.fullmatch(r"\d+\.\d*[1-46-9]", value))


def forms_of(word: str) -> set[bytes]:
    """Return how a word could stand somewhere: plain, quoted, in hex, in base64 at any offset; a number as a double too."""
    plain = word.encode()
    if _NUMBER.fullmatch(word):
        return {plain, plain.hex().encode(), struct.pack("<d", float(word)), struct.pack(">d", float(word))}
    forms = {plain, plain.hex().encode(), quote(word).encode(), quote_plus(word).encode()}
    forms |= {json.dumps(word)[1:-1].encode(), repr(word)[1:-1].encode()}
    for shift in range(3):
        coded = base64.b64encode(b"\x00" * shift + plain)
        # The ends depend on what stands beside the word.
        forms.add(coded[4 if shift else 0 : -4])
    return forms


def found_in(content: bytes, words: Iterable[str]) -> set[str]:
    """Return which of the words stand in some form in the content, in whatever letter case."""
    lower = content.lower()
    return {
        word
        for word in words
        if (
            any(form in content or form.lower() in lower for form in forms_of(word))
            and _is_there(content, word)
        )
    }


def found_in_large(content: bytes, words: Iterable[str]) -> set[str]:
    """Return which of the words stand in the content plainly, in hex or as doubles: quick enough for a database's files."""
    return {
        word
        for word in words
        if any(form in content for form in _plain_forms(word)) and _is_there(content, word)
    }


def _plain_forms(word: str) -> set[bytes]:
    plain = word.encode()
    return forms_of(word) if _NUMBER.fullmatch(word) else {plain, plain.hex().encode()}


def _is_there(content: bytes, word: str) -> bool:
    """Return, of a number that was found, whether it is not merely part of a longer one or of a time of day."""
    if not _NUMBER.fullmatch(word) or word == NUMBERS["instant"]:
        # Six digits of a second stand nowhere by accident, and within an instant is where they would leak.
        return True
    plain = word.encode()
    in_hex = plain.hex().encode()
    alone = re.compile(rb"(?<![\d.:])" + re.escape(plain) + rb"(?!\d)")
    # The same in hex, as COPY writes the bytes of an entry, whose instant has seconds like any number.
    alone_in_hex = re.compile(rb"(?<!3\d)(?<!2e)(?<!3a)" + re.escape(in_hex) + rb"(?!3\d)")
    return (
        any(form in content for form in forms_of(word) - {plain, in_hex})
        or alone.search(content) is not None
        or alone_in_hex.search(content) is not None
    )


def table_dumps(service: Service) -> Iterator[tuple[str, bytes]]:
    """Yield every table of the service's database as COPY writes it: text in the clear, bytes in hex."""
    with service.superuser() as superuser:
        superuser.execute("CHECKPOINT")
        tables = [
            row[0]
            for row in superuser.execute(
                "SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            )
        ]
        for table in tables:
            with superuser.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copied:
                yield table, b"".join(bytes(part) for part in copied)


def files_with(folder: Path, words: Mapping[str, bytes]) -> dict[str, set[str]]:
    """Return which files under a folder hold which of the words."""
    pattern = re.compile(b"|".join(re.escape(word) for word in words.values()))
    names = {word: name for name, word in words.items()}
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            for match in pattern.findall(path.read_bytes()):
                found.setdefault(names[match], set()).add(path.name)
    return found
