"""One tree of exceptions. It knows nothing of HTTP; `arbiter.api.problems` maps it to statuses in one table.

Messages say what was expected, what came and which id. They never carry a patient's text or value.
"""

from __future__ import annotations

from dataclasses import dataclass


def counted(number: int, thing: str) -> str:
    """Return so many of a thing in words: "1 problem", "2 problems"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


class ArbiterError(Exception):
    """The root: everything Arbiter raises on purpose."""


class ConfigurationError(ArbiterError):
    """A setting, key or database is missing or unfit; start-up stops."""


class LogUnfitError(ConfigurationError):
    """The database's log is not the one that was signed last, or what tells so is gone: nothing is decided on it."""


class VerificationError(ArbiterError):
    """Evidence does not check out: a proof, signature, hash or chain; the message names the place."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input.

    `pointer` is an RFC 6901 JSON pointer (or `file:line` for a protocol file); `detail` says what was
    expected and what kind of thing came, never the value itself.
    """

    pointer: str
    code: str
    detail: str


class RefusedError(ArbiterError):
    """An input is refused as a whole; `problems` lists every reason found."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class InvalidCaseError(RefusedError):
    """A case or an amendment does not fit its question; no case is made."""


class InvalidProtocolError(RefusedError):
    """A protocol bundle is malformed; each problem's pointer is `file:line:column`."""


class InvalidDutyError(RefusedError):
    """The duty file is malformed; each problem's pointer is `file:line:column`."""


class InvalidWitnessesError(RefusedError):
    """The file of witnesses is malformed; each problem's pointer is `file:line:column`."""


class InvalidFleetError(RefusedError):
    """The fleet file is malformed; each problem's pointer is `file:line:column`."""


class NotFoundError(ArbiterError):
    """No such thing, or none that this principal may know of."""


class UnauthenticatedError(ArbiterError):
    """Nobody valid is speaking: no token, an unknown one, an expired session."""


class ForbiddenError(ArbiterError):
    """The principal is known and may not do this."""


class ErasedError(ArbiterError):
    """The case's content was erased: its key is destroyed, and nobody can read it any more."""


class ConflictError(ArbiterError):
    """The request is well-formed and the thing's present state does not allow it."""


class IllegalMoveError(ConflictError):
    """The table of moves has no such move from this state."""


class ShownChangedError(ConflictError):
    """What a reviewer was shown before signing is not what there is to show now; nothing was signed."""


class StaleStateError(ConflictError):
    """Somebody else moved the case first; reload and try again."""


class KeyReusedError(RefusedError):
    """An idempotency key came again with another body."""


class StillRunningError(ConflictError):
    """The first request with this idempotency key has not finished."""


class NotSealedError(ConflictError):
    """What is asked for is written, and no checkpoint covers it yet: it can be had in a moment."""


class UnavailableError(ArbiterError):
    """The database does not answer. Whether the step under way was kept is not known; it may be asked for again."""


class BusyError(ArbiterError):
    """There is no room for this now; nothing of it was kept, and it may come again after that many seconds."""

    def __init__(self, message: str, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ShedError(BusyError):
    """What room there is is kept for graver cases."""


class OverloadedError(BusyError):
    """There is no room at all, or the case would miss its deadline."""


class UndecidableError(ArbiterError):
    """A pure step was handed inputs it must not weigh together; the case goes to a human."""
