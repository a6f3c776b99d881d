"""The prompt `brief-v1`, for a small model that was trained on one question: the case, a fact a line, and a short answer.

Such a model is told nothing that it was trained to know: neither the question nor its options, nor the units, which are
the protocol's own. It is given the facts and answers with what it cites and its option.

Guarantees: nothing of a case can end its line or look like a chat template's mark, since every character beyond a plain few
is escaped; facts too old at intake are not shown; equal cases give equal bytes; an answer is read as strictly as any other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from arbiter.model import Evidence
from arbiter.panels.grounding import VALUE_LIMIT, fact_text
from arbiter.panels.member import Asked, Sample
from arbiter.panels.vllm.answer_schema import EVIDENCE_LIMIT, closed_object
from arbiter.panels.vllm.escaping import escaped
from arbiter.panels.vllm.strict import UnreadableError, bounded_list, bounded_text, one_of, parsed_answer
from arbiter.question import ABSTAIN

CONTENT_LIMIT: Final = 16 * 1024

_MEMBERS: Final = frozenset({"evidence", "option"})
_CITATION: Final = frozenset({"fact", "value"})


@dataclass(frozen=True, slots=True)
class BriefPrompt:
    """A version of the brief prompt: the line above the facts, and what stands between a fact's name and its value."""

    version: str
    header: str
    separator: str

    @property
    def sha256(self) -> str:
        """The hash (hex) of the version, of how a case is written and of the answer's members."""
        shape = [self.version, self.header, self.separator, sorted(_MEMBERS), sorted(_CITATION)]
        return hashlib.sha256(json.dumps(shape).encode("ascii")).hexdigest()

    def messages(self, asked: Asked) -> list[dict[str, str]]:
        """Return the one message of a chat: the user's, which is the case."""
        old = asked.too_old()
        facts = ((fact.name, fact_text(fact.value)) for fact in asked.facts if fact.name not in old)
        return [{"role": "user", "content": self.written(facts)}]

    def written(self, facts: Iterable[tuple[str, str]]) -> str:
        """Return the header and a line for each fact, in this order."""
        lines = (f"{escaped(name)}{self.separator}{escaped(value)}\n" for name, value in facts)
        return f"{self.header}\n{''.join(lines)}"

    def schema(self, asked: Asked) -> dict[str, Any]:
        """Return the schema of an answer: citations by name and value, then the option; no text is free but the value."""
        facts = {"type": "string", "enum": [spec.name for spec in asked.specs]}
        value = {"type": "string", "maxLength": VALUE_LIMIT}
        options = [*(option.id for option in asked.options), ABSTAIN]
        citation = closed_object(fact=facts, value=value)
        return closed_object(
            evidence={"type": "array", "items": citation, "maxItems": EVIDENCE_LIMIT},
            option={"type": "string", "enum": options},
        )

    def read(self, text: str, asked: Asked) -> Sample:
        """Return the sample that a model's text is.

        Raises:
            UnreadableError: when the text is anything but one answer of the schema.
        """
        answer = parsed_answer(text, CONTENT_LIMIT, _MEMBERS)
        facts = {spec.name for spec in asked.specs}
        option = one_of(answer["option"], {option.id for option in asked.options} | {ABSTAIN})
        return Sample(
            option=None if option == ABSTAIN else option,
            evidence=bounded_list(answer["evidence"], EVIDENCE_LIMIT, lambda cited: _evidence(cited, facts)),
            missing=(),
            rationale="",
        )


BRIEF_V1: Final = BriefPrompt("brief-v1", header="case", separator="=")


def _evidence(value: object, facts: set[str]) -> Evidence:
    if not isinstance(value, dict) or value.keys() != _CITATION:
        raise UnreadableError("expected exactly the members of a citation")
    return Evidence(
        fact=one_of(value["fact"], facts), value=bounded_text(value["value"], VALUE_LIMIT), finding=""
    )
