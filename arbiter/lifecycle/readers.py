"""Who may take a case that waits, where in its review they go on, and what an opinion that is fixed leads to.

INVARIANT: whoever has seen the panel's opinions on the present facts gives no opinion on them that could pass for a blind one; and
where policy asks for two readers, or a case was handed up, nobody decides it who has to be blind to it and is not.
"""

from __future__ import annotations

from dataclasses import replace

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.states import CaseState, Phase
from arbiter.model import ActorId

P = Phase


def may_take_up(state: CaseState, reviewer: ActorId, *, arbitrates: bool) -> bool:
    """Return whether this reviewer may take the case if it waits for a clinician; `arbitrates`: cases can be referred to them."""
    return why_not_to_take_up(state, reviewer, arbitrates=arbitrates) is None


def why_not_to_take_up(state: CaseState, reviewer: ActorId, *, arbitrates: bool) -> str | None:
    """Return why this reviewer may not take a case that waits for a clinician, None where they may."""
    if reviewer in state.conflicted:
        return f"reviewer {reviewer} has declared a conflict of interest"
    if reviewer in state.referrers:
        return f"reviewer {reviewer} has referred this case"
    return (
        _not_as_arbiter(state, reviewer, arbitrates)
        if state.wants_arbiter
        else _not_as_reader(state, reviewer)
    )


def _not_as_arbiter(state: CaseState, reviewer: ActorId, arbitrates: bool) -> str | None:
    if not arbitrates:
        return "this case waits for an arbiter"
    if reviewer in {*state.readings, *state.seen_by} - {*state.arbiters}:
        return f"reviewer {reviewer} is no arbiter of a case they have read, or whose panel they have seen"
    return None


def _not_as_reader(state: CaseState, reviewer: ActorId) -> str | None:
    if state.readers_needed < 2:
        return None
    has_read = reviewer in state.readings
    if has_read and len(state.readings) < state.readers_needed:
        return f"reviewer {reviewer} has read this case: the second reader is somebody else"
    if reviewer in state.seen_by and not has_read:
        return f"reviewer {reviewer} has seen the panel, and readers of this case have not"
    return None


def resumed(state: CaseState, reviewer: ActorId) -> Phase:
    """Return where in the review somebody goes on who takes the case: behind what they have done on these facts already."""
    if reviewer in state.seen_by:
        return P.REVEALED
    return P.OPINION_COMMITTED if reviewer in state.readings else P.CLAIMED


def with_reading(state: CaseState, reviewer: ActorId) -> CaseState:
    """Return the state after somebody has fixed an opinion of their own, as a reader or as the arbiter.

    Raises:
        IllegalMoveError: when they have one on these facts already, or have seen the panel.
    """
    if reviewer in state.readings or reviewer in state.seen_by:
        raise IllegalMoveError(
            f"reviewer {reviewer} has an opinion on these facts already, or has seen the panel"
        )
    arbiters = (*state.arbiters, reviewer) if _reads_as_arbiter(state) else state.arbiters
    return replace(state, readings=(*state.readings, reviewer), arbiters=arbiters)


def _reads_as_arbiter(state: CaseState) -> bool:
    """Return whether the next opinion is an arbiter's: where two readers are needed, one handed up unread is only read first."""
    return state.wants_arbiter and len(state.readings) >= state.readers_needed - 1


def goes_on(state: CaseState, reviewer: ActorId, *, concurs: bool | None) -> bool:
    """Return whether who has just fixed an opinion goes on to the panel: the only reader, the arbiter, or the last of two that agree."""
    if reviewer in state.arbiters or state.readers_needed < 2:
        return True
    return len(state.readings) >= state.readers_needed and concurs is True


def awaits_arbiter(state: CaseState) -> bool:
    """Return whether the opinions there are leave the decision to an arbiter: enough have read the case, and they do not agree."""
    return len(state.readings) >= state.readers_needed


def seen(state: CaseState, people: tuple[ActorId, ...]) -> CaseState:
    """Return the state after these people were shown the panel."""
    return replace(state, seen_by=tuple(dict.fromkeys((*state.seen_by, *people))))


def read_anew(state: CaseState) -> CaseState:
    """Return the state with nothing of who has read or seen what: the facts are others now. A conflict of interest stays."""
    return replace(
        state,
        readings=(),
        seen_by=(),
        referrers=(),
        arbiters=(),
        wants_arbiter=False,
        facts_asked_by=None,
        correcting=False,
    )
