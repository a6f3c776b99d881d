"""Which witnesses and which quorum are in force is in the log itself, so that dropping them is seen, and forgetting them refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from arbiter.audit.note import VerifierKey
from arbiter.cosigning.circle import Circle
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.store.house_chain import load_house_documents
from arbiter.store.transaction import Where
from arbiter.store.witnessing import load_standings
from arbiter.workflow.docket import ARBITER
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house

CHAIN: Final = "witnesses"
NAMED: Final = "witnesses.named"
"""The entry that tells which witnesses are asked from here on, and how many must have cosigned."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A witness that the file names no more: the name it had, its key, and the size it cosigned last."""

    name: str
    key: VerifierKey
    size: int | None


async def check_circle(circle: Circle, where: Where) -> None:
    """Refuse to work without the witnesses that the log says panels' decisions wait for.

    A process that was started without ARBITER_WITNESSES would else release what another one holds back.

    Raises:
        ConfigurationError: when no witness is named and the last ones named were needed.
    """
    last = await _last(where)
    if circle.witnesses or last is None:
        return
    try:
        needed = any(json.loads(last)["quorum"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerificationError(
            f"the last document of chain {CHAIN} is not one that was ever written"
        ) from error
    if needed:
        raise ConfigurationError(
            "panels' decisions of this log wait for witnesses, and ARBITER_WITNESSES is not set here; name the same file "
            "as before. To ask nobody any more, start once with a file whose quorum is 0 throughout"
        )


async def note_circle(house: House) -> None:
    """Make an entry of the witnesses in force, if they are not those of the last one."""
    document = _document(house.circle)
    last = await _last(house.store)
    if last == document or (last is None and not house.circle.witnesses):
        return
    await note_in_house(house, house.store, NAMED, ARBITER, {"circle": document}, chain=CHAIN)


async def dropped_from(circle: Circle, where: Where) -> tuple[Dropped, ...]:
    """Return the witnesses that the log says were asked once and that this circle does not name, oldest first.

    They are asked no more, and what they cosigned counts for nothing any more.
    """
    named: dict[VerifierKey, str] = {}
    for document in await load_house_documents(where, CHAIN):
        try:
            witnesses = json.loads(document.content)["witnesses"]
            named |= {VerifierKey.parse(key): str(name) for name, key in witnesses.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise VerificationError(
                f"a document of chain {CHAIN} is not one that was ever written"
            ) from error
    left = [key for key in named if key not in circle.keys]
    standings = await load_standings(where, [key.encode() for key in left]) if left else ()
    return tuple(
        Dropped(named[key], key, standing.size) for key, standing in zip(left, standings, strict=True)
    )


async def _last(where: Where) -> bytes | None:
    documents = await load_house_documents(where, CHAIN)
    return documents[-1].content if documents else None


def _document(circle: Circle) -> bytes:
    named = {witness.name: witness.key.encode() for witness in circle.witnesses}
    quorum = {risk_class.value: needed for risk_class, needed in circle.quorum.items()}
    return json.dumps({"quorum": quorum, "witnesses": named}, sort_keys=True).encode()
