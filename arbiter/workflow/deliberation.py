"""The panel's part of a case's way: ask whoever has not answered, keep each opinion as it comes, conclude.

Any process may do this for any case at any time: opinions and conclusions move the head by compare-and-set, so what
two of them do at once happens once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from arbiter.adjudication.certifying import Judged, adjudicate, escalation_certificate
from arbiter.documents.canonical import encode
from arbiter.documents.opinions import opinion_document
from arbiter.documents.taken import TakenFacts
from arbiter.errors import ErasedError, IllegalMoveError, NotFoundError, StaleStateError
from arbiter.lifecycle.events import Answer, Conclude, Park, Reroute
from arbiter.lifecycle.states import Phase
from arbiter.model import ActorId, CaseId, Opinion, Reason, ReasonCode, VerdictKind
from arbiter.panels.member import reroute_document
from arbiter.panels.panel import Returned, address, ask_panel
from arbiter.store.vault import CaseKey
from arbiter.telemetry.catalogue import ADJUDICATION, DELIBERATION, MEMBERS_ASKED, VERDICT
from arbiter.telemetry.spans import say, spanned
from arbiter.workflow import figures
from arbiter.workflow.certifying import circumstances
from arbiter.workflow.deciding_alone import ask_before_deciding
from arbiter.workflow.docket import ARBITER, Docket, advance
from arbiter.workflow.dossier import Dossier, load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.planted import ended_unless_wrong, known_truth
from arbiter.workflow.saving import go_in_order, save
from arbiter.workflow.shelf import Shelved
from arbiter.workflow.watching.drawing import DOCUMENT as DRAW
from arbiter.workflow.watching.drawing import draw_for

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InHand:
    """A case in deliberation with all that concluding it needs."""

    docket: Docket
    key: CaseKey
    shelved: Shelved
    taken: TakenFacts
    opinions: tuple[Opinion, ...]


async def deliberate(house: House, hand: InHand) -> None:
    """Bring a case from the asking to its conclusion, or stop when somebody else has moved it on."""
    said = figures.about(hand.docket.case, hand.shelved, hand.docket.standing)
    with spanned(DELIBERATION, {**said, MEMBERS_ASKED: len(hand.docket.standing.unanswered)}):
        await _deliberate(house, hand)


async def _deliberate(house: House, hand: InHand) -> None:
    waiting = hand.docket.standing.unanswered
    if not waiting:
        await _record(house, hand, ())
        return
    protocol = hand.shelved.protocol
    until = hand.taken.taken_at + hand.docket.standing.timers.panel
    asked = address(
        protocol,
        hand.taken.facts,
        hand.taken.hash,
        hand.taken.taken_at,
        until,
        _seed(hand),
        hand.docket.standing.risk_class,
    )
    stream = ask_panel(hand.shelved.members, {member: asked[member] for member in waiting}, house.clock)
    async for batch in _as_they_come(stream):
        still = await _record(house, hand, batch)
        if still is None:
            return
        hand = still


async def take_up(house: House, case: CaseId, last_attempt: bool) -> None:
    """Take up a case whose process died: the safety net's job, and the one place that catches everything.

    On the last attempt a failure parks the case with a human.
    """
    try:
        await house.errands.settled(case)
        hand = await _reload(house, case)
        if hand is not None:
            await deliberate(house, hand)
    except Exception as error:
        log.warning("taking up case %s failed: %s", case, type(error).__name__)
        if not last_attempt:
            raise
        await park(house, case)


async def park(house: House, case: CaseId) -> None:
    """Hand a case that cannot be worked on to a human."""
    now = house.clock.now()
    async with house.store.read() as transaction:
        dossier = await load_dossier(house, transaction, case)
    reasons = (Reason(ReasonCode.FAULT, "the work on this case failed more often than it may"),)
    certificate = escalation_certificate(
        circumstances(house, dossier.docket, now),
        dossier.shelved,
        dossier.taken_facts(),
        dossier.opinions(),
        reasons,
    )
    try:
        docket = advance(
            house,
            dossier.docket,
            Park(),
            actor=ARBITER,
            now=now,
            key=dossier.key,
            documents={"certificate": certificate},
        )
    except IllegalMoveError:
        return
    docket = ended_unless_wrong(house, docket, dossier.key, None, certificate, now)
    await save(house, docket, now)
    figures.escalated(dossier.shelved, docket.standing, reasons)


async def _record(house: House, hand: InHand, batch: Sequence[Returned]) -> InHand | None:
    """Keep what members returned, and conclude in the same step when they are the last.

    Returns the case as it then stands, or None when it is no longer this deliberation's to move.
    """
    while True:
        await go_in_order(house, hand.docket)
        now = house.clock.now()
        docket = hand.docket
        fresh = [item for item in batch if item.opinion.member in docket.standing.unanswered]
        for item in fresh:
            opinion = item.opinion
            docket = _rerouted(house, docket, hand.key, item, now)
            docket = advance(
                house,
                docket,
                Answer(opinion.member, opinion.status, docket.standing.facts_version),
                actor=ActorId(f"member:{opinion.member}"),
                now=now,
                key=hand.key,
                documents=_documents(item),
            )
        heard = (*hand.opinions, *(item.opinion for item in fresh))
        done = not docket.standing.unanswered
        if done:
            with spanned(ADJUDICATION, figures.about(docket.case, hand.shelved, docket.standing)) as span:
                judged = await _judge(house, hand, docket, heard, now)
                say(span, {VERDICT: judged.verdict.kind.value})
            truth = await known_truth(house, docket)
            docket = _concluded(house, hand, docket, judged, now)
            docket = ended_unless_wrong(house, docket, hand.key, truth, judged.certificate, now)
        elif not fresh:
            return hand
        try:
            saved = await save(house, docket, now)
        except StaleStateError:
            again = await _reload(house, hand.docket.case)
            if again is None or again.taken != hand.taken:
                return None
            hand = again
            continue
        if done:
            figures.concluded(hand.shelved, saved.standing, judged.verdict, hand.taken.taken_at, now)
            return None
        return replace(hand, docket=saved, opinions=heard)


def _concluded(house: House, hand: InHand, docket: Docket, judged: Judged, now: datetime) -> Docket:
    """Conclude; what the panel decides under a stated error rate is drawn for an audit, or not, in the same step."""
    draw = draw_for(
        judged.verdict,
        hand.shelved.protocol.adjudication.strategy,
        house.settings.audit_share,
        house.chance,
        training=docket.standing.training,
    )
    documents = {"certificate": judged.certificate}
    if draw is not None:
        documents[DRAW] = draw.to_bytes()
    return advance(
        house,
        docket,
        Conclude(
            judged.verdict.kind,
            judged.shows_panel_first,
            audited=draw is not None and draw.drawn,
            second_reader=judged.needs_second_reader,
        ),
        actor=ARBITER,
        now=now,
        key=hand.key,
        documents=documents,
    )


async def _judge(
    house: House, hand: InHand, docket: Docket, heard: tuple[Opinion, ...], now: datetime
) -> Judged:
    """Weigh what the panel said. What would decide asks first whether its calibration is in force still, and no alarm stands.

    What this process believes to be stopped asks too: somebody may have lifted the alarm.
    """
    around = circumstances(house, docket, now)
    judged = adjudicate(around, hand.shelved, hand.taken, heard)
    if docket.standing.planted and judged.verdict.kind is VerdictKind.DECIDE:
        # A planted case is there for a clinician to judge: one is asked for, as whoever planted it did.
        return adjudicate(replace(around, human_required=True), hand.shelved, hand.taken, heard)
    if judged.verdict.kind is not VerdictKind.DECIDE and not around.stopped:
        return judged
    await ask_before_deciding(house)
    again = circumstances(house, docket, now)
    return judged if again == around else adjudicate(again, hand.shelved, hand.taken, heard)


def _rerouted(house: House, docket: Docket, key: CaseKey, item: Returned, now: datetime) -> Docket:
    """Enter where else a member was asked, in the step that keeps what it said."""
    member = item.opinion.member
    for reroute in item.reroutes:
        docket = advance(
            house,
            docket,
            Reroute(member, docket.standing.facts_version),
            actor=ARBITER,
            now=now,
            key=key,
            documents={"reroute": encode(reroute_document(member, reroute))},
        )
    return docket


def _documents(item: Returned) -> dict[str, bytes]:
    documents = {"opinion": encode(opinion_document(item.opinion))}
    return documents if item.exchange is None else documents | {"exchange": item.exchange}


async def _reload(house: House, case: CaseId) -> InHand | None:
    """Return the case as it stands if it is in deliberation, else None."""
    async with house.store.read() as transaction:
        try:
            dossier: Dossier = await load_dossier(house, transaction, case)
        except (NotFoundError, ErasedError):
            return None
    if dossier.row.state.phase is not Phase.DELIBERATING:
        return None
    return InHand(dossier.docket, dossier.key, dossier.shelved, dossier.taken_facts(), dossier.opinions())


async def _as_they_come(stream: AsyncIterator[Returned]) -> AsyncIterator[tuple[Returned, ...]]:
    """Yield what members return in batches: those that are there together are kept in one step."""
    arrived: asyncio.Queue[Returned | None] = asyncio.Queue()

    async def collect() -> None:
        try:
            async for returned in stream:
                arrived.put_nowait(returned)
        finally:
            arrived.put_nowait(None)

    collecting = asyncio.create_task(collect())
    try:
        ended = False
        while not ended:
            batch = [await arrived.get()]
            # One turn of the loop lets members that answered in the same turn be kept together.
            await asyncio.sleep(0)
            while not arrived.empty():
                batch.append(arrived.get_nowait())
            ended = batch[-1] is None
            arrived_together = tuple(returned for returned in batch if returned is not None)
            if arrived_together:
                yield arrived_together
        await collecting
    finally:
        collecting.cancel()


def _seed(hand: InHand) -> int:
    """Return the seed of a case's draws: the same whoever asks, another for each version of the facts."""
    return seed_of(hand.docket.case, hand.taken.facts.version)


def seed_of(case: CaseId, version: int) -> int:
    """Return that seed for a version of a case's facts."""
    text = f"{case}/{version}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
