"""Who may take a case that waits, by what they are allowed and what they have had to do with it."""

from __future__ import annotations

from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.readers import may_take_up
from arbiter.lifecycle.states import CaseState


def arbitrates(principal: Principal) -> bool:
    """Return whether cases can be referred to this principal."""
    return Permission.REVIEW_ARBITRATE in principal.permissions


def may_take(state: CaseState, principal: Principal) -> bool:
    """Return whether this principal could take the case where it waits for a clinician (`arbiter.lifecycle.readers`)."""
    return may_take_up(state, principal.id, arbitrates=arbitrates(principal))
