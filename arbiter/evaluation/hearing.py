"""What came of putting one labelled case to the panel, and its form as one line of `opinions.jsonl`.

A line holds what members said and cited, values of facts included: it is to be kept as the cases are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from arbiter.documents.canonical import decode, encode, refusal
from arbiter.documents.opinions import opinion_document, opinion_from
from arbiter.documents.reader import Reader, whole
from arbiter.documents.verdicts import verdict_document, verdict_from
from arbiter.model import Opinion, Verdict
from arbiter.workflow.shelf import Shelved


class Came(StrEnum):
    """What became of a case: only those that were asked about have opinions."""

    ASKED = "asked"
    EXCLUDED = "excluded"
    """The question's exclusions sent it to a clinician before any member was asked."""
    REFUSED = "refused"
    """Intake refused its facts: the service would have made no case of it."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """One case before the panel: opinions in the order of the seats, and what the service would have done.

    `case_hash` and `panel_hash` bind it to the line of the case and to the panel (see `panel_hash`); `judged_by` names the
    version of the code, and the calibration, that came to the verdict, which is None for a case that was refused. `problems` says
    why it was.
    """

    case: str
    case_hash: str
    panel_hash: str
    came: Came
    opinions: tuple[Opinion, ...]
    verdict: Verdict | None
    judged_by: str
    problems: tuple[str, ...] = ()


def panel_hash(shelved: Shelved) -> str:
    """Return the SHA-256 (hex) of what opinions depend on besides the case: the protocol's content, and the scores in its seats.

    A score's table is code and no part of the protocol's files. A model is pinned by them.
    """
    scores = {
        name: member.identity.digest
        for name, member in shelved.members.items()
        if member.identity.kind == "score"
    }
    return hashlib.sha256(
        encode({"content_hash": shelved.protocol.content_hash, "scores": scores})
    ).hexdigest()


def line_of(hearing: Hearing) -> bytes:
    """Return a hearing as one line of canonical JSON, with its line break."""
    document: dict[str, Any] = {
        "case": hearing.case,
        "case_hash": hearing.case_hash,
        "panel_hash": hearing.panel_hash,
        "came": hearing.came.value,
        "opinions": [opinion_document(opinion) for opinion in hearing.opinions],
        "judged_by": hearing.judged_by,
        "problems": list(hearing.problems),
    }
    if hearing.verdict is not None:
        document["verdict"] = verdict_document(hearing.verdict)
    return encode(document) + b"\n"


def hearing_from(line: bytes) -> Hearing:
    """Return the hearing that a line holds.

    Raises:
        RefusedError: when the line is not exactly what `line_of` writes.
    """
    document = decode(line)
    opinions, verdict = document.pop("opinions", None), document.pop("verdict", None)
    if not isinstance(opinions, list):
        raise refusal("/opinions", "wrong-type", "expected an array")

    def read(reader: Reader) -> Hearing:
        return Hearing(
            case=reader.text("case"),
            case_hash=reader.text("case_hash"),
            panel_hash=reader.text("panel_hash"),
            came=reader.one_of("came", Came),
            opinions=tuple(opinion_from(opinion) for opinion in opinions),
            verdict=None if verdict is None else verdict_from(verdict),
            judged_by=reader.text("judged_by"),
            problems=reader.texts("problems"),
        )

    return whole(document, "", read)


def opinions_hash(hearings: Iterable[Hearing]) -> str:
    """Return the SHA-256 (hex) over what was said of each case, in the cases' order, whatever was made of it since."""
    said = hashlib.sha256()
    for hearing in hearings:
        said.update(line_of(replace(hearing, verdict=None, judged_by="")))
    return said.hexdigest()
