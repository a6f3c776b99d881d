"""A canary run over one protocol's seats: asked, compared with each seat's baseline, kept, entered in the log, and told.

A run is one transaction: its rows, the entry `canary.run`, and an entry `canary.alarmed` for each seat that has moved. Each
entry commits to a document with every count, from which anybody computes the p-values again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

from arbiter.adjudication.canary import CaseCounts, compare, level
from arbiter.documents.canonical import encode
from arbiter.documents.scalars import decimal_text
from arbiter.errors import ConflictError
from arbiter.model import MemberId
from arbiter.question import Protocol
from arbiter.store.canaries import (
    RunKind,
    RunRow,
    StandingRow,
    add_run,
    load_baseline,
    load_canary_standings,
)
from arbiter.telemetry import Safe
from arbiter.telemetry.catalogue import MEMBER, PROTOCOL
from arbiter.telemetry.meters import count
from arbiter.telemetry.metrics import CANARY_ALARMS
from arbiter.workflow.canaries import look_for_moved
from arbiter.workflow.canary.asking import Heard, Round, ask_seats
from arbiter.workflow.canary.cases import CanarySet, canary_set
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.register import By
from arbiter.workflow.shelf import Shelved

log = logging.getLogger(__name__)

RUN: Final = "canary.run"
ALARMED: Final = "canary.alarmed"
DOCUMENT: Final = "canary"
FORMAT: Final = "arbiter/canary/v1"

NIGHT_DRAWS: Final = 8
BASELINE_DRAWS: Final = 24
"""At least as many draws of each case: one case that changes its answer for good has p = 1 / C(32, 8), about one in ten million."""

NO_CASES: Final = "its protocol's bundle has no example cases to ask"
OTHER_IDENTITY: Final = "another identity answers than before"
_SEVERAL: Final = "its identity changed while it was asked"
_FEW: Final = "fewer than half of the cases were answered"
_SHORT: Final = Context(prec=3)


@dataclass(frozen=True, slots=True)
class Order:
    """Why a run is made: by whom, for which night (None: a person asked for it now), and whether it begins anew.

    `reason` is why a person takes a new baseline, kept in the clear.
    """

    by: By
    night: date | None = None
    new_baseline: bool = False
    reason: str | None = None


async def run_canary(
    house: House, shelved: Shelved, order: Order, go_on: Callable[[], Awaitable[None]]
) -> tuple[RunRow, ...]:
    """Ask a protocol's seats and return what was found and kept, in the order of the seats.

    `go_on` is awaited before each asking, and may raise to end the run; nothing of it is kept then.

    Raises:
        ConflictError: when another process has kept a run for that night, or a seat that is to begin anew has moved meanwhile.
    """
    protocol, asked = shelved.protocol, canary_set(shelved)
    moved = _moved(await _standings(house, protocol.id))
    word = house.chance.token(16).hex()
    asking = Round(protocol, shelved.members, house.clock, word)
    heard = {seat.member: Heard() for seat in protocol.seats}
    await ask_seats(asking, heard, asked.cases, NIGHT_DRAWS, go_on)
    baselines = await _baselines(house, protocol, heard, asked, order)
    beginning = {name: heard[name] for name, row in baselines.items() if row is None}
    await ask_seats(asking, beginning, asked.cases, BASELINE_DRAWS, go_on)
    standings = await _standings(house, protocol.id)
    if order.new_baseline and not _moved(standings) <= moved:
        # An alarm that nobody has seen is not for anybody to end.
        raise ConflictError(
            f"of the seats of {protocol.id} one has moved meanwhile: look into it, then begin anew"
        )
    threshold = level_in(house)
    now = house.clock.now()
    rows = [
        await asyncio.to_thread(
            _row, _Seat(protocol.id, seat.member, seat.asks, asked, order, now, threshold), heard[seat.member],
            baselines.get(seat.member), standings.get(seat.member),
        )
        for seat in protocol.seats
    ]  # fmt: skip
    await _keep(house, shelved, order, asked, word, rows)
    await look_for_moved(house)
    _tell(rows)
    return tuple(rows)


async def _standings(house: House, protocol: str) -> dict[str, StandingRow]:
    """Return how the protocol's seats stand, by member."""
    found = await load_canary_standings(house.store)
    return {row.newest.member: row for row in found if row.newest.protocol == protocol}


def _moved(standings: Mapping[str, StandingRow]) -> set[str]:
    return {member for member, row in standings.items() if row.alarmed_at is not None}


def level_in(house: House) -> Fraction:
    """Return the p-value at or below which a seat of this house alarms in a night."""
    seats = sum(len(shelved.protocol.seats) for shelved in house.shelf.current.values())
    return level(Fraction(house.settings.canary_false_alarms_a_year), max(1, seats))


async def _baselines(
    house: House, protocol: Protocol, heard: Mapping[MemberId, Heard], asked: CanarySet, order: Order
) -> dict[MemberId, RunRow | None]:
    """Return, for each seat that one identity alone answered from, what it is compared with; None where it begins anew."""
    found: dict[MemberId, RunRow | None] = {}
    for seat in protocol.seats:
        name, identities = seat.member, heard[seat.member].identities
        if len(identities) == 1:
            (digest,) = identities
            found[name] = (
                None
                if order.new_baseline
                else await load_baseline(house.store, protocol.id, name, digest, asked.hash_of(seat.asks))
            )
    return found


@dataclass(frozen=True, slots=True)
class _Seat:
    """A seat in a run; every row is made here."""

    protocol: str
    member: MemberId
    asks: str
    asked: CanarySet
    order: Order
    at: datetime
    level: Fraction

    @property
    def hash(self) -> str:
        """The hash of what the seat is asked."""
        return self.asked.hash_of(self.asks)

    def not_asked(self, cause: str) -> RunRow:
        """Return the row of a seat that nothing is known of tonight."""
        return RunRow(
            self.protocol, self.member, RunKind.NOT_ASKED, self.order.night, self.at, None, None, {}, None, None,
            alarmed=False, cause=cause,
        )  # fmt: skip

    def baseline(self, digest: str, counts: Mapping[str, Mapping[str, int]], cause: str) -> RunRow:
        """Return the row of a seat that begins anew."""
        return RunRow(
            self.protocol, self.member, RunKind.BASELINE, self.order.night, self.at, digest, self.hash, counts,
            None, None, alarmed=False, cause=_joined(cause, self._left_out(counts)), anew=self.order.new_baseline,
        )  # fmt: skip

    def compared(
        self, digest: str, counts: Mapping[str, Mapping[str, int]], before: Mapping[str, Mapping[str, int]]
    ) -> RunRow:
        """Return the row of a seat that is compared with its baseline."""
        found = compare([CaseCounts(case, before[case], now) for case, now in counts.items()])
        alarmed = found.p_value <= self.level
        # Which cases speak loudest, for whoever looks into it: ids of made-up cases.
        loudest = ", ".join(case for case, surprise in found.cases[:3] if surprise) if alarmed else ""
        return RunRow(
            self.protocol, self.member, RunKind.COMPARISON, self.order.night, self.at, digest, self.hash, counts,
            in_figures(found.p_value), in_figures(self.level), alarmed=alarmed,
            cause=_joined(f"most surprising: {loudest}" if loudest else "", self._left_out(counts)),
        )  # fmt: skip

    def _left_out(self, counts: Mapping[str, Mapping[str, int]]) -> str:
        """Return how many cases say nothing of the seat: what a baseline lacks is not watched until it is taken anew."""
        whole = len(self.asked.cases)
        left_out = whole - len(counts)
        return f"{left_out} of {whole} cases {'is' if left_out == 1 else 'are'} not in it" if left_out else ""


def _row(seat: _Seat, heard: Heard, before: RunRow | None, last: StandingRow | None) -> RunRow:
    if not seat.asked.cases:
        return seat.not_asked(NO_CASES)
    too_few = heard.causes[-1] if heard.causes else _FEW
    if not heard.identities:
        return seat.not_asked(too_few)
    if len(heard.identities) > 1:
        return seat.not_asked(_SEVERAL)
    (digest,) = heard.identities
    if before is None:
        counts = heard.whole(BASELINE_DRAWS)
        enough = 2 * len(counts) >= len(seat.asked.cases)
        return (
            seat.baseline(digest, counts, _why_anew(seat, digest, last))
            if enough
            else seat.not_asked(too_few)
        )
    counts = {case: said for case, said in heard.whole(NIGHT_DRAWS).items() if case in before.counts}
    if 2 * len(counts) < len(before.counts):
        return seat.not_asked(too_few)
    return seat.compared(digest, counts, before.counts)


def _joined(*causes: str) -> str:
    return "; ".join(cause for cause in causes if cause)


def _why_anew(seat: _Seat, digest: str, last: StandingRow | None) -> str:
    if seat.order.new_baseline:
        return "a person began it anew"
    if last is None or last.heard_digest is None:
        return "heard for the first time"
    if last.heard_digest != digest:
        return OTHER_IDENTITY
    return "something else is asked than before"


def in_figures(value: Fraction) -> str:
    """Return a fraction from 0 to 1 as decimal text of three figures, such as `0.0123` or `9.51E-8`."""
    return str(_SHORT.divide(Decimal(value.numerator), Decimal(value.denominator)))


async def _keep(
    house: House, shelved: Shelved, order: Order, asked: CanarySet, word: str, rows: Sequence[RunRow]
) -> None:
    head: dict[str, Any] = {
        "format": FORMAT,
        "protocol": shelved.protocol.id,
        "protocol_hash": shelved.protocol.content_hash,
        "asked": asked.hash,
        "seed": word,
        "false_alarms_a_year": decimal_text(house.settings.canary_false_alarms_a_year),
        **order.by.told(),
    }
    if order.night is not None:
        head["night"] = order.night.isoformat()
    if order.reason is not None:
        head["reason"] = order.reason
    async with house.store.begin() as transaction:
        kept = [await add_run(transaction, row) for row in rows]
        if not all(kept):
            raise ConflictError(f"the seats of {shelved.protocol.id} were asked for this night already")
        run = {**head, "seats": [_seat_document(row) for row in rows]}
        await note_in_house(house, transaction, RUN, order.by.id, {DOCUMENT: encode(run)})
        for row in rows:
            if row.alarmed:
                alarm = {**head, "seats": [_seat_document(row)]}
                await note_in_house(house, transaction, ALARMED, order.by.id, {DOCUMENT: encode(alarm)})


def _seat_document(row: RunRow) -> dict[str, Any]:
    document: dict[str, Any] = {
        "member": row.member,
        "kind": row.kind.value,
        "counts": {case: dict(counts) for case, counts in row.counts.items()},
        "alarmed": row.alarmed,
        "cause": row.cause,
    }
    told = {"identity": row.digest, "p_value": row.p_value, "level": row.level}
    return document | {name: value for name, value in told.items() if value is not None}


def _tell(rows: Sequence[RunRow]) -> None:
    for row in rows:
        seat = Safe(f"{row.protocol}/{row.member}")
        if row.alarmed:
            count(CANARY_ALARMS, {PROTOCOL: row.protocol, MEMBER: row.member})
            log.warning(
                "canary: seat %s answers otherwise than its baseline, p = %s", seat, Safe(str(row.p_value))
            )
        elif row.kind is RunKind.NOT_ASKED:
            log.warning("canary: seat %s could not be asked: %s", seat, Safe(row.cause))
        elif row.kind is RunKind.BASELINE:
            how = logging.WARNING if row.cause.startswith(OTHER_IDENTITY) else logging.INFO
            log.log(how, "canary: seat %s begins a new baseline: %s", seat, Safe(row.cause))
