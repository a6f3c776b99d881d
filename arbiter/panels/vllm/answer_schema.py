"""The JSON schema that a model's answer is bound to, made from the question or facet alone.

Guarantees: every text and list is bounded and no member is open, so an answer has a greatest length; the case changes
nothing in it, so a server compiles it once a seat. vLLM enforces it while decoding, and nothing here relies on that:
`arbiter.panels.vllm.reading` judges every answer again by the same limits.
"""

from __future__ import annotations

from typing import Any, Final

from arbiter.panels.grounding import VALUE_LIMIT
from arbiter.panels.member import Asked
from arbiter.question import ABSTAIN

EVIDENCE_LIMIT: Final = 16
FINDING_LIMIT: Final = 200
MISSING_LIMIT: Final = 16
CONSULT_LIMIT: Final = 3
CONSULTED_LIMIT: Final = 80
RATIONALE_LIMIT: Final = 1_000
GREATEST_CONFIDENCE: Final = 100


def answer_schema(asked: Asked) -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12) of one answer to what is asked.

    Confidence is bounded by minimum and maximum: an enum of numbers leads constrained decoding astray, since a number is
    several tokens. Facts are cited by name, their values as text. Members stand in the order in which decoding makes them:
    what the answer rests on before the answer.
    """
    facts = {"type": "string", "enum": [spec.name for spec in asked.specs]}
    options = [*(option.id for option in asked.options), ABSTAIN]
    return closed_object(
        evidence=_list(
            closed_object(fact=facts, value=_text(VALUE_LIMIT), finding=_text(FINDING_LIMIT)), EVIDENCE_LIMIT
        ),
        missing=_list(facts, MISSING_LIMIT),
        rationale=_text(RATIONALE_LIMIT),
        option={"type": "string", "enum": options},
        confidence={"type": "integer", "minimum": 0, "maximum": GREATEST_CONFIDENCE},
        consult=_list(_text(CONSULTED_LIMIT), CONSULT_LIMIT),
    )


def closed_object(**members: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with exactly these members, in this order."""
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any], limit: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": limit}


def _text(limit: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": limit}
