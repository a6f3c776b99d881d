"""Evidence of a fork becomes an entry of the house's chain once the log can be written again."""

from __future__ import annotations

import logging

from arbiter.audit.contradiction import Evidence
from arbiter.errors import VerificationError
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_contents
from arbiter.workflow.docket import ARBITER
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.evidence_folder import EvidenceFolder

log = logging.getLogger(__name__)

NOTED = "log.contradicted"
DOCUMENT = "evidence"


async def note_evidence(house: House) -> int:
    """Put what the folder holds and the house's chain does not into the chain; return how many entries that took.

    A file that does not prove a contradiction is told in the log and left out.
    """
    noted = set(await load_house_contents(house.store, HOUSE_CHAIN, DOCUMENT))
    written = 0
    for path, content in EvidenceFolder(house.settings.data).files():
        if content in noted:
            continue
        try:
            Evidence.parse(content).verify(house.verifiers)
        except VerificationError:
            log.exception("%s is not evidence of a contradiction", path)
            continue
        await note_in_house(house, house.store, NOTED, ARBITER, {DOCUMENT: content})
        written += 1
    return written


async def watch_log(house: House) -> None:
    """Note what was found before this start, then watch the lower bound until cancelled."""
    if house.guard.refusal is None:
        await note_evidence(house)
    await house.guard.watch()
