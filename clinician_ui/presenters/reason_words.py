"""Why cases come to clinicians, in a few words each: for lists and figures, where a certificate's sentence is too long."""

from __future__ import annotations

from typing import Final

from arbiter.model import ReasonCode
from clinician_ui.texts import _, noted

_SHORT: Final = {
    ReasonCode.EXCLUDED: noted("Patient excluded from the question"),
    ReasonCode.EXCLUSION_UNKNOWN: noted("An exclusion cannot be ruled out"),
    ReasonCode.NEVER_AUTOMATIC: noted("Never decided without a clinician"),
    ReasonCode.STOPPED: noted("Deciding alone is stopped"),
    ReasonCode.HUMAN_REQUIRED: noted("A clinician was involved already"),
    ReasonCode.NO_ERROR_RATE: noted("No error rate is stated"),
    ReasonCode.NO_CALIBRATION: noted("No calibration is in force"),
    ReasonCode.UNRECORDED_MEMBER: noted("A member without a record answered"),
    ReasonCode.REQUIRED_MEMBER: noted("A required member gave no answer"),
    ReasonCode.TOO_FEW_VALID: noted("Too few valid answers"),
    ReasonCode.TOO_FEW_FAMILIES: noted("Too few families answered"),
    ReasonCode.TOO_FEW_EFFECTIVE: noted("Answers too much alike to count apart"),
    ReasonCode.MISSING_COULD_CHANGE: noted("A missing answer could change it"),
    ReasonCode.VETO: noted("A member\u2019s veto"),
    ReasonCode.DISAGREEMENT_BETWEEN: noted("Members disagreed"),
    ReasonCode.DISAGREEMENT_WITHIN: noted("Members were unsure themselves"),
    ReasonCode.NO_MAJORITY: noted("No answer had enough support"),
    ReasonCode.NOT_CERTIFIED: noted("Not sure enough for the stated error rate"),
    ReasonCode.NEAR_THRESHOLD: noted("Too near to a threshold"),
    ReasonCode.POLICY_DENIES: noted("Policy denies deciding alone"),
    ReasonCode.POLICY_SILENT: noted("No policy rule permits it"),
    ReasonCode.POLICY_FAILED: noted("A policy rule could not be evaluated"),
    ReasonCode.POLICY_EXCLUDES_OPTION: noted("Policy excludes the panel\u2019s answer"),
    ReasonCode.FACTS_MISSING: noted("Facts are missing"),
    ReasonCode.DEADLINE: noted("Time ran out"),
    ReasonCode.CONTESTED: noted("A released decision was contested"),
    ReasonCode.WITHDRAWN: noted("A decision was withdrawn before release"),
    ReasonCode.FAULT: noted("Something failed"),
}


def reason_words(code: str) -> str:
    """Return a reason in a few words; a code that this release does not know stands for itself."""
    try:
        return _(_SHORT[ReasonCode(code)])
    except ValueError:
        return code
