"""A signed and released decision, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from arbiter.documents.signing import Fate, Way
from arbiter.model import CaseId
from arbiter.workflow.views import DecisionView, SignatureView
from clinician_ui.presenters.times import Here, Moment, moment
from clinician_ui.texts import _, noted

_WAYS: Final = {
    Way.PASSWORD: noted("Login and password, entered again"),
    Way.PASSKEY: noted("Passkey, with your PIN, fingerprint or face"),
}


@dataclass(frozen=True, slots=True)
class SignaturePart:
    """A signature in words: who, what it means, when, by which way, what became of the own opinion, and the hash of what was shown.

    `reason` and `shown` are empty where none was given, or the signature is older than such hashes. `entry` is the number of
    the case's entry that the receipt proves.
    """

    name: str
    meaning: str
    at: Moment
    way: str
    fate: str
    reason: str
    shown: str
    entry: int


@dataclass(frozen=True, slots=True)
class DonePage:
    """A released decision, for whoever signed it."""

    case: CaseId
    title: str
    plain: str
    at: Moment
    zone: str
    hash: str
    training: bool
    unwitnessed: bool
    signature: SignaturePart | None


def done_page(decision: DecisionView, here: Here) -> DonePage:
    """Return a released decision."""
    return DonePage(
        case=decision.case,
        title=decision.title,
        plain=decision.plain,
        at=moment(decision.decided_at, here),
        zone=here.zone_name,
        hash=decision.certificate_sha256,
        training=decision.training,
        unwitnessed=decision.unwitnessed,
        signature=None if decision.signature is None else _signature(decision.signature, here),
    )


def _signature(signature: SignatureView, here: Here) -> SignaturePart:
    return SignaturePart(
        name=signature.name,
        meaning=signature.meaning,
        at=moment(signature.signed_at, here),
        way=_(_WAYS[signature.way]),
        fate=_fate(signature.fate, signature.own_title),
        reason=signature.reason,
        shown=signature.shown or "",
        entry=signature.entry,
    )


def _fate(fate: Fate, own: str | None) -> str:
    match fate:
        case Fate.KEPT:
            return _("Kept: you decided what you had said before the panel was shown")
        case Fate.CHANGED:
            return _("Changed: before the panel was shown you had said “{own}”").format(own=own)
        case Fate.ADOPTED if own is None:
            return _("Adopted: you decided what the panel leant to, and had given no opinion before")
        case Fate.ADOPTED:
            return _("Adopted: you decided what the panel leant to; before, you had said “{own}”").format(
                own=own
            )
        case Fate.NOT_COMMITTED:
            return _("No opinion was given before the panel was shown")
        case _:
            assert_never(fate)
