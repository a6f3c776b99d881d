"""A planted case: practice about an invented patient whose truth is known, which nobody can tell from care before signing it.

It is a training case for all that counts, labels, watches, audits or leaves; only the reviewer's pages do not say so until it is
signed. The truth is sealed in the document `request`, like everything else that the case holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from arbiter.adjudication.certificate import TRAINING
from arbiter.documents.canonical import decode, encode
from arbiter.errors import VerificationError
from arbiter.lifecycle.events import Cancel
from arbiter.lifecycle.states import Phase
from arbiter.store.vault import CaseKey
from arbiter.workflow.docket import ARBITER, Docket, advance
from arbiter.workflow.dossier import Dossier, load_dossier
from arbiter.workflow.house import House

TRUTH: Final = "planted_truth"
"""The member of the document `request` that names the right option."""
PLANTER: Final = "planted_by"
"""The member that names who planted it."""
_ENDED: Final = "the panel was not wrong about this planted case: nobody learns by it"


def truth_of(dossier: Dossier) -> str:
    """Return the option that is right; raise VerificationError for a case that was not planted."""
    truth = dossier.request().get(TRUTH)
    if not isinstance(truth, str) or not dossier.row.state.planted:
        raise VerificationError(f"case {dossier.row.id} states no truth: it was not planted")
    return truth


async def known_truth(house: House, docket: Docket) -> str | None:
    """Return the option that is right of a case in hand; None where it was not planted, or others have changed its facts since."""
    if not docket.standing.planted or docket.standing.facts_version != 1:
        return None
    async with house.store.read() as transaction:
        return truth_of(await load_dossier(house, transaction, docket.case))


def ended_unless_wrong(
    house: House, docket: Docket, key: CaseKey, truth: str | None, certificate: bytes, now: datetime
) -> Docket:
    """Return a planted case's docket ended in the step that hands it over, unless the panel leant to a wrong answer.

    Where it cannot be told what is right it ends too: nobody is shown advice that is not known to be wrong. Other cases pass.
    """
    if not docket.standing.planted:
        return docket
    verdict = decode(certificate)["verdict"]
    leading = verdict.get("option", verdict.get("leading"))
    escalated = docket.standing.phase is Phase.ESCALATED
    if escalated and truth is not None and leading is not None and leading != truth:
        return docket
    reason = {"reason": encode({"reason": _ENDED})}
    return advance(house, docket, Cancel(), actor=ARBITER, now=now, key=key, documents=reason)


def as_care(certificate: Mapping[str, Any], *, planted: bool) -> Mapping[str, Any]:
    """Return a certificate as its reviewer is shown it before signing: of a planted case without the marks of practice.

    What is kept and logged carries them: only this view of it does not.
    """
    if not planted:
        return certificate
    shown = {name: value for name, value in certificate.items() if name != "training"}
    return shown | {"plain": str(certificate["plain"]).removeprefix(f"{TRAINING} ")}
