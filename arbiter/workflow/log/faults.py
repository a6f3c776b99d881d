"""What can be wrong between the database's log and the kept checkpoint, in words for whoever has to put it right."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path


class Fault(StrEnum):
    """Why nothing more is sealed: which of file and database is not what it was."""

    KEPT_MISSING = "kept-missing"
    KEPT_UNFIT = "kept-unfit"
    KEPT_OLDER = "kept-older"
    KEPT_OF_FORMER_ORIGIN = "kept-of-former-origin"
    BEHIND = "behind"
    FORKED = "forked"
    FOREIGN = "foreign"
    DAMAGED = "damaged"


_UNTIL_THEN = (
    "until then nothing is decided here: people follow the local downtime procedure. Leave this database and the data "
    "folder as they are, nothing in them is to be deleted"
)
_FILE = (
    "what to do:",
    "  1. restore the file {path}: the newest copy of it, or the newest checkpoint of this log that anybody has kept",
    "  2. find out who changed it: nothing of Arbiter's ever does, and it is what a rolled-back database is told by",
)
_ROADS = (
    "what to do, in this order:",
    "  1. restore a newer copy: a backup or a standby that has what was sealed",
    "  2. find the other database: ARBITER_DATABASE_URL, or ARBITER_DATA, may name an old copy or another installation's",
    "  3. only when the entries are lost for good: stop every Arbiter, then two administrators run `arbiter audit recover`;",
    "     it begins a new origin of the log that says what was lost",
)
_SIGNED = (
    "what to do:",
    "  1. if `arbiter audit recover` was begun and not finished, run it again: it goes on where it stopped",
    "  2. if the log was recovered on another host, copy its folder `keys` and its file `checkpoint` to this one",
    "  3. else find the other database: ARBITER_DATABASE_URL, or ARBITER_DATA, may name another installation's",
)
_DAMAGED = (
    "what to do:",
    "  1. run `arbiter audit verify`: it names the place",
    "  2. restore a copy of the database that verifies and is no older",
)

_ADVICE: dict[Fault, tuple[str, ...]] = {
    Fault.KEPT_MISSING: _FILE,
    Fault.KEPT_UNFIT: (
        *_FILE,
        "  3. if `arbiter audit recover` was begun and not finished, run it again instead",
        "  4. if the log's key was rotated meanwhile, start this process again with the present folder `keys`",
    ),
    Fault.KEPT_OLDER: _FILE,
    Fault.KEPT_OF_FORMER_ORIGIN: _SIGNED,
    Fault.BEHIND: _ROADS,
    Fault.FORKED: (
        *_ROADS,
        "both checkpoints are kept in the folder `evidence`, and `arbiter audit evidence` shows what they prove",
    ),
    Fault.FOREIGN: _SIGNED,
    Fault.DAMAGED: _DAMAGED,
}


def with_advice(fault: Fault, found: str, path: Path) -> str:
    """Return what was found and what to do about it, a step a line; `path` is the kept checkpoint's."""
    return "\n".join([found, *(line.format(path=path) for line in _ADVICE[fault]), _UNTIL_THEN])
