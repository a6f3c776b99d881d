"""A planted case: practice about an invented patient whose truth is known, which nobody can tell from care before signing it.

It is a training case for all that counts, labels, watches, audits or leaves; only the reviewer's pages do not say so until it is
signed. The truth is sealed in the document `request`, like everything else that the case holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arbiter.adjudication.certificate import TRAINING
from arbiter.errors import VerificationError
from arbiter.workflow.dossier import Dossier

TRUTH: Final = "planted_truth"
"""The member of the document `request` that names the right option."""


def truth_of(dossier: Dossier) -> str:
    """Return the option that is right; raise VerificationError for a case that was not planted."""
    truth = dossier.request().get(TRUTH)
    if not isinstance(truth, str) or not dossier.row.state.planted:
        raise VerificationError(f"case {dossier.row.id} states no truth: it was not planted")
    return truth


def as_care(certificate: Mapping[str, Any], *, planted: bool) -> Mapping[str, Any]:
    """Return a certificate as its reviewer is shown it before signing: of a planted case without the marks of practice.

    What is kept and logged carries them: only this view of it does not.
    """
    if not planted:
        return certificate
    shown = {name: value for name, value in certificate.items() if name != "training"}
    return shown | {"plain": str(certificate["plain"]).removeprefix(f"{TRAINING} ")}
