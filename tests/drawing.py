"""Decisions that are drawn to be audited as a test wants it, and audits that are read as they would be on the pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from arbiter.documents.canonical import encode
from arbiter.identity.principals import Principal
from arbiter.lifecycle.auditing import contests
from arbiter.lifecycle.events import Conclude, Event, ReadForAudit, TakeUp
from arbiter.model import CaseId, VerdictKind
from arbiter.workflow import deliberation
from arbiter.workflow.acting import act
from arbiter.workflow.docket import Docket, advance
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.reading import decision_of
from arbiter.workflow.review import claim, commit_opinion
from arbiter.workflow.watching.drawing import WORD_BYTES, Draw

LEASE = timedelta(minutes=10)


def draw_document(probability: str, *, drawn: bool) -> bytes:
    """The record of a draw that came out so."""
    return Draw(Decimal(probability), ("00" if drawn else "ff") * WORD_BYTES, drawn).to_bytes()


@contextmanager
def drawing(probability: str | None, *, drawn: bool = True) -> Iterator[None]:
    """Draw each decision of a panel with that probability, and have it come out so; None: nothing is drawn for."""

    def drawn_advance(house: House, docket: Docket, event: Event, **rest: Any) -> Docket:
        if isinstance(event, Conclude) and event.verdict is VerdictKind.DECIDE:
            given = {name: content for name, content in rest["documents"].items() if name != "draw"}
            if probability is not None:
                given["draw"] = draw_document(probability, drawn=drawn)
            rest["documents"] = given
            event = replace(event, audited=probability is not None and drawn)
        return advance(house, docket, event, **rest)

    with patch.object(deliberation, "advance", drawn_advance):
        yield


async def audited(house: House, reader: Principal, case: CaseId, option: str) -> None:
    """Read a released decision that was drawn, without having seen it, and judge so."""
    await act(house, reader, case, lambda _dossier, now: (TakeUp(reader.id, now + LEASE), {}))

    def judge(dossier: Dossier, _now: datetime) -> tuple[ReadForAudit, dict[str, bytes]]:
        agrees = decision_of(dossier).option == option
        told = {
            "reviewer": reader.id,
            "option": option,
            "confidence": 70,
            "rests_on": [],
            "note": "as I read it",
        }
        documents = {"reading": encode(told)}
        if contests(dossier.row.state, agrees=agrees):
            documents["reason"] = encode({"reason": "who audits it would have decided otherwise"})
        return ReadForAudit(reader.id, agrees), documents

    await act(house, reader, case, judge)


async def reviewed(house: House, reviewer: Principal, case: CaseId, option: str) -> None:
    """Claim a case and fix an own opinion on it."""
    await claim(house, reviewer, case)
    await commit_opinion(house, reviewer, case, OwnOpinion(option, 70, (), "as I see it"))
