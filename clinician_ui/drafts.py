"""What a reviewer had typed when they left a form, shown to them again; which fields of a form are kept, and that no password is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.review import drafts
from arbiter.workflow.review.drafts import DraftStep
from clinician_ui.desk import Desk
from clinician_ui.fields import Fields
from clinician_ui.forms import LONGEST_TEXT, Draft, draft_of
from clinician_ui.presenters.times import moment
from clinician_ui.session import Visitor

KEPT_FIELDS: Final[Mapping[DraftStep, tuple[str, ...]]] = MappingProxyType(
    {
        DraftStep.OPINION: ("option", "confidence", "rests_on", "note"),
        DraftStep.SIGN: ("option", "reason"),
    }
)
"""Named one by one: a field that nobody named here, such as a password, is never kept."""

_FORMS: Final = {Phase.CLAIMED: DraftStep.OPINION, Phase.REVEALED: DraftStep.SIGN}


def kept_fields(step: DraftStep, fields: Fields) -> Fields:
    """Return the fields of a form that are kept, each no longer than any form takes."""
    return {
        name: tuple(value[: 2 * LONGEST_TEXT] for value in fields[name])
        for name in KEPT_FIELDS[step]
        if name in fields
    }


async def kept_draft(desk: Desk, visitor: Visitor, case: CaseId, phase: Phase) -> Draft:
    """Return what this visitor had typed into the form that a case of theirs is at; an empty draft where nothing is kept."""
    step = _FORMS.get(phase)
    if step is None:
        return Draft()
    found = await drafts.kept(desk.house, visitor.principal, case, step)
    if found is None:
        return Draft()
    saved_at = moment(found.saved_at, await desk.here()).text
    return replace(draft_of(found.fields), saved_at=saved_at)
