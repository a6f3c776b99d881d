"""Planting: an invented case with a known answer goes to the real panel, and on the work list only where the panel is wrong about it.

Nothing of the panel's is made up: what its reviewer is shown is what these members said about these facts. Where they are right, or
lean to nothing, the case ends in the very step that concludes it, and nobody ever sees it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from arbiter.documents.canonical import encode
from arbiter.errors import Problem, RefusedError
from arbiter.identity.clients import client_by_id
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.states import WITH_HUMANS, Phase
from arbiter.model import CaseId
from arbiter.protocols.bundle import LabelledCase
from arbiter.store.cases.heads import load_case
from arbiter.workflow.house import House
from arbiter.workflow.intake import Planting, Submission, submit
from arbiter.workflow.subjects import SubjectRef

PATIENCE_SECONDS: Final = 300.0


class Planted(StrEnum):
    """What became of a case that was to be planted."""

    ON_THE_LIST = "on the work list"
    PANEL_WAS_RIGHT = "ended: the panel was right, or leant to nothing"
    NOT_CONCLUDED = "not concluded yet"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How an invented case comes in: as which client's, at which site, about which invented patient, from which source."""

    protocol: str
    site: str
    client: str
    subject: SubjectRef
    source: str
    encounter: str | None = None


def may_be_planted(consented: Path | None, file: Path) -> bool:
    """Tell whether a file is, or lies in, what the department has consented to; nothing is where it has not."""
    if consented is None:
        return False
    known, asked = consented.resolve(), file.resolve()
    return asked == known or known in asked.parents


async def plant(
    house: House, planter: Principal, case: LabelledCase, wanted: Wanted
) -> tuple[CaseId, Planted]:
    """Hand in an invented case, wait for its panel, and tell what became of it.

    Raises:
        ForbiddenError: for who may not approve policy. RefusedError: where planting is off, or the truth is no option.
        NotFoundError: for an unknown client or protocol; InvalidCaseError: for facts that do not fit the question.
    """
    planter.require(Permission.POLICY_APPROVE)
    if house.settings.planted_cases is None:
        raise RefusedError(
            "planting is off: ARBITER_PLANTED_CASES names no cases that the department consented to"
        )
    options = house.shelf.in_force(wanted.protocol).protocol.question.option_ids()
    if case.label not in options:
        problem = Problem("/label", "unknown-option", "expected one of the question's options")
        raise RefusedError("the truth is no answer to the question", (problem,))
    client = await client_by_id(house.identities, house.clock, wanted.client)
    facts = {
        name: replace(raw, source=wanted.source) for name, raw in case.raw_facts(house.clock.now()).items()
    }
    submission = Submission(
        protocol=wanted.protocol,
        site=wanted.site,
        subject=wanted.subject,
        encounter=wanted.encounter,
        risk_class=case.risk_class,
        facts=facts,
        training=True,
        planting=Planting(case.label, planter.id),
    )
    body = encode(
        {"case": case.id, "label": case.label, "patient": wanted.subject.value, "site": wanted.site}
    )
    key = f"plant-{hashlib.sha256(body).hexdigest()[:40]}"
    submitted = await submit(house, client, submission, key, body)
    await house.errands.finish(PATIENCE_SECONDS)
    return submitted.case, await _became(house, submitted.case)


async def _became(house: House, case: CaseId) -> Planted:
    state = (await load_case(house.store, case)).state
    if state.phase is Phase.CANCELLED:
        return Planted.PANEL_WAS_RIGHT
    return Planted.ON_THE_LIST if state.phase in WITH_HUMANS else Planted.NOT_CONCLUDED
