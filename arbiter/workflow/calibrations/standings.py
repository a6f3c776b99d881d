"""How every calibration stands, and what this process knows of those that were approved."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from arbiter.calibration import Calibration
from arbiter.errors import ArbiterError, UnavailableError
from arbiter.settings import Mode
from arbiter.store.calibration_steps import StepsRow, load_steps
from arbiter.telemetry import Safe
from arbiter.workflow.calibrations.in_force import ApprovedCalibrations
from arbiter.workflow.house import House
from arbiter.workflow.standing_work import every_minute

log = logging.getLogger(__name__)


class Standing(StrEnum):
    """How a calibration stands.

    `replaced`: a newer one was approved for the same protocol version. `refused`: it would be in force, and this
    installation does not take it (synthetic labels, or bytes that are not those of its hash). `other-version`: its protocol's
    version in force is another one, so that it counts for older cases alone.
    """

    PROPOSED = "proposed"
    IN_FORCE = "in-force"
    REPLACED = "replaced"
    REFUSED = "refused"
    OTHER_VERSION = "other-version"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Stood:
    """A calibration that was proposed, with who did what, and how it stands now."""

    row: StepsRow
    standing: Standing


async def calibrations(house: House) -> tuple[Stood, ...]:
    """Return how every calibration that was ever proposed stands, the oldest proposal first."""
    rows = await load_steps(house.store)
    approved = await approved_among(rows, lambda named: house.shelf.fetch_calibration(house.store, named))
    demonstration = house.settings.mode is Mode.DEMONSTRATION
    current = {shelved.protocol.content_hash for shelved in house.shelf.current.values()}
    newest = {row.calibration for row in newest_approved(rows).values()}
    return tuple(
        Stood(row, _standing(row, approved, current, newest, demonstration=demonstration)) for row in rows
    )


def newest_approved(rows: tuple[StepsRow, ...]) -> dict[str, StepsRow]:
    """Return what was approved last and is not withdrawn, by the hash of the protocol version."""
    approved = [(row.approved.order, row) for row in rows if row.approved is not None]
    standing = [row for _, row in sorted(approved, key=lambda pair: pair[0]) if row.withdrawn is None]
    return {row.protocol_hash: row for row in standing}


async def approved_among(
    rows: tuple[StepsRow, ...], fetch: Callable[[str], Awaitable[Calibration]]
) -> ApprovedCalibrations:
    """Return what these rows put in force. Where one cannot be read as what was approved, nothing is: its cases escalate.

    `fetch` returns the calibration of a hash.
    """
    newest: dict[str, Calibration | None] = {}
    for protocol_hash, row in newest_approved(rows).items():
        try:
            newest[protocol_hash] = await fetch(row.calibration)
        except UnavailableError:
            raise
        except ArbiterError as error:
            newest[protocol_hash] = None
            log.error(  # noqa: TRY400  (what was read is not for the log)
                "calibration %s is not in force: what is kept of it is not what was approved: %s",
                Safe(row.calibration),
                Safe(type(error).__name__),
            )
    return ApprovedCalibrations(
        newest, frozenset(row.calibration for row in rows if row.withdrawn is not None)
    )


async def look_for_approved(house: House) -> None:
    """Learn which calibrations were approved and withdrawn, in whatever process."""
    rows = await load_steps(house.store)
    found = await approved_among(rows, lambda named: house.shelf.fetch_calibration(house.store, named))
    approved, mark = house.approved, max((act.order for row in rows for act in row.acts), default=0)
    # Whoever was answered late, from before a withdrawal, does not undo what another has learned since.
    if approved.mark is None or mark >= approved.mark:
        approved.newest, approved.withdrawn, approved.mark = found.newest, found.withdrawn, mark


async def hear_of_approved(house: House) -> None:
    """Learn it every minute, until cancelled; while the database does not answer, what was known stays."""
    await every_minute("hearing of calibrations", lambda: look_for_approved(house))


def _standing(
    row: StepsRow, approved: ApprovedCalibrations, current: set[str], newest: set[str], *, demonstration: bool
) -> Standing:
    if row.withdrawn is not None:
        return Standing.WITHDRAWN
    if row.protocol_hash not in current:
        return Standing.OTHER_VERSION
    if row.approved is None:
        return Standing.PROPOSED
    if row.calibration not in newest:
        return Standing.REPLACED
    counts = approved.in_force(row.protocol_hash, None, demonstration=demonstration)
    return Standing.REFUSED if counts is None else Standing.IN_FORCE
