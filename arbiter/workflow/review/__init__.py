"""A clinician's part: claim, judge alone, commit, see the panel, keep or change, sign.

The order is the reducer's and is enforced here, not in a page: until the reviewer's own opinion is committed to the
log, nothing returned by this package holds a word of the panel, of the reason of escalation, or of who else looked.
"""

from arbiter.workflow.review.grounds import (
    CitableFact,
    Draws,
    Falsehood,
    Grounds,
    RefusedCitation,
)
from arbiter.workflow.review.holding import LEASE, claim, hand_back, renew
from arbiter.workflow.review.judging import commit_opinion, has_read, is_committed, open_case
from arbiter.workflow.review.revealing import RevealedCase, reveal
from arbiter.workflow.review.signing import sign, signed_case, signer_of

__all__ = [
    "LEASE",
    "CitableFact",
    "Draws",
    "Falsehood",
    "Grounds",
    "RefusedCitation",
    "RevealedCase",
    "claim",
    "commit_opinion",
    "hand_back",
    "has_read",
    "is_committed",
    "open_case",
    "renew",
    "reveal",
    "sign",
    "signed_case",
    "signer_of",
]
