"""The decision that an audit is about, as the case recorded it when the panel decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from arbiter.adjudication.certifying import calibration_read
from arbiter.documents.canonical import decode
from arbiter.errors import NotFoundError, VerificationError
from arbiter.model import MemberStatus
from arbiter.question import QUESTION
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.watching.drawing import DOCUMENT, draw_from


@dataclass(frozen=True, slots=True)
class AuditedDecision:
    """What the panel decided, by which calibration, with what probability it was drawn, and each valid member's answer."""

    option: str
    calibration: str
    probability: Decimal
    answers: Mapping[str, str]


def audited_decision(dossier: Dossier) -> AuditedDecision:
    """Return the panel's decision that was drawn; of a case decided twice, the one that was drawn last.

    Raises:
        NotFoundError: when none was drawn; VerificationError: when what is kept is not what deciding writes.
    """
    drawn = dossier.latest(DOCUMENT)
    kept = [each for each in dossier.documents if each.seq == drawn.seq and each.name == "certificate"]
    if not kept:
        raise NotFoundError(f"case {dossier.row.id} holds no certificate beside its draw")
    recorded = decode(kept[0].content)
    calibration, option = calibration_read(recorded), recorded["verdict"].get("option")
    if calibration is None or option is None:
        raise VerificationError(f"the decision of case {dossier.row.id} that was drawn states no error rate")
    return AuditedDecision(option, calibration, draw_from(drawn.content).probability, _answers(recorded))


def _answers(recorded: Mapping[str, Any]) -> dict[str, str]:
    """Return the leading option of each voting member that has one; who is in two minds is neither right nor wrong."""
    return {
        opinion["member"]: opinion["leading"]
        for opinion in recorded["opinions"]
        if opinion["asks"] == QUESTION
        and opinion["status"] == MemberStatus.VALID.value
        and "leading" in opinion
    }
