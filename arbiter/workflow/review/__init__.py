"""A clinician's part: claim, judge alone, commit, see the panel, keep or change, sign.

The order is the reducer's and is enforced here, not in a page: until the reviewer's own opinion is committed to the
log, nothing returned by this package holds a word of the panel, of the reason of escalation, or of who else looked.
"""

from arbiter.workflow.review.correcting import correct, may_correct
from arbiter.workflow.review.grounds import (
    CitableFact,
    Draws,
    Falsehood,
    Grounds,
    RefusedCitation,
)
from arbiter.workflow.review.handling import (
    askable_facts,
    convene,
    declare_conflict,
    defer,
    longest_deferral,
    refer,
    request_facts,
)
from arbiter.workflow.review.holding import LEASE, claim, hand_back, renew
from arbiter.workflow.review.judging import commit_opinion, has_read, is_committed, open_case
from arbiter.workflow.review.passing_on import Handed, HandedOn, ReaderOpinion
from arbiter.workflow.review.revealing import RevealedCase, reveal
from arbiter.workflow.review.signing import ask_passkey, sign, signed_case, signer_of
from arbiter.workflow.review.standing import Passed, how_passed_on, passed_on

__all__ = [
    "LEASE",
    "CitableFact",
    "Draws",
    "Falsehood",
    "Grounds",
    "Handed",
    "HandedOn",
    "Passed",
    "ReaderOpinion",
    "RefusedCitation",
    "RevealedCase",
    "ask_passkey",
    "askable_facts",
    "claim",
    "commit_opinion",
    "convene",
    "correct",
    "declare_conflict",
    "defer",
    "hand_back",
    "has_read",
    "how_passed_on",
    "is_committed",
    "longest_deferral",
    "may_correct",
    "open_case",
    "passed_on",
    "refer",
    "renew",
    "request_facts",
    "reveal",
    "sign",
    "signed_case",
    "signer_of",
]
