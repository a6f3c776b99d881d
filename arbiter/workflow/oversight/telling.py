"""What whoever signed a planted case is told at once: that it was one, what was right, and what became of their own judgement."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.documents.canonical import decode
from arbiter.identity.principals import Principal
from arbiter.model import CaseId
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.planted import truth_of
from arbiter.workflow.review.signing import signer_of
from arbiter.workflow.review.standing import unseen_dossier


@dataclass(frozen=True, slots=True)
class ToldPlanted:
    """The titles of the answer that is right and of the signed one; `own_right` is None where there was no own opinion before the panel."""

    truth: str
    signed: str
    own_right: bool | None
    signed_right: bool


async def planted_told(house: House, principal: Principal, case: CaseId) -> ToldPlanted | None:
    """Return what the signer of a planted case is told; None for any other case, and for anybody else."""
    dossier = await unseen_dossier(house, principal, case)
    if not dossier.row.state.planted or signer_of(dossier) != principal.id:
        return None
    return _told(dossier)


def _told(dossier: Dossier) -> ToldPlanted:
    signature, truth = decode(dossier.latest("signature").content), truth_of(dossier)
    titles = {option.id: option.title for option in dossier.shelved.protocol.question.options}
    own = signature["own_option"] or None
    return ToldPlanted(
        truth=titles[truth],
        signed=titles[signature["option"]],
        own_right=None if own is None else own == truth,
        signed_right=signature["option"] == truth,
    )
