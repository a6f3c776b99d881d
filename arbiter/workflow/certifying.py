"""Certificates of live cases: the circumstances they are made in, and the document that a signature is.

What is made from recorded inputs alone lies in `arbiter.adjudication.certifying`, which an outsider can run too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arbiter.adjudication.certifying import Circumstances
from arbiter.calibration import Calibration
from arbiter.documents.canonical import encode
from arbiter.documents.scalars import instant_text
from arbiter.documents.signing import (
    SIGNATURE_FORMAT,
    DecisionToSign,
    Shown,
    Way,
    fate_of,
    reason_hash_of,
)
from arbiter.settings import Mode
from arbiter.workflow.docket import Docket
from arbiter.workflow.house import House

MEANING = "I have judged this case myself and take responsibility for this decision."
"""What a reviewer's signature stands for; shown where it is asked for, and kept in the certificate."""


def circumstances(house: House, docket: Docket, now: datetime) -> Circumstances:
    """Return the present circumstances of a case.

    Nothing is decided without a clinician where a seat's canary has alarmed and nobody has looked into it yet, nor where the
    live watch stops the protocol; in production, nothing under a protocol that states no error rate.
    """
    state = docket.standing
    protocol_hash = dict(docket.versions)["protocol"]
    protocol = house.shelf.at_hand(protocol_hash)
    stopped = house.moved.among(protocol) or house.stops.hold(None if protocol is None else protocol.id)
    return Circumstances(
        docket.case,
        state.risk_class,
        state.human_required,
        house.settings.may_decide_alone,
        now,
        training=state.training,
        calibration=calibration_in_force(house, protocol_hash),
        needs_error_rate=house.settings.needs_error_rate,
        stopped=stopped,
    )


def calibration_in_force(house: House, protocol_hash: str) -> Calibration | None:
    """Return the calibration that a protocol version's cases are decided by, as far as this process knows; None: none counts."""
    demonstration = house.settings.mode is Mode.DEMONSTRATION
    bundled = house.shelf.calibration_of(protocol_hash)
    return house.approved.in_force(protocol_hash, bundled, demonstration=demonstration)


@dataclass(frozen=True, slots=True)
class Signing:
    """What is about to be signed: by whom (printed name too), what, why, and exactly what they were shown.

    `own_option` is None where no opinion was given before, `leading` where the panel leant to nothing.
    """

    reviewer: str
    name: str
    option: str
    own_option: str | None
    leading: str | None
    reason: str
    shown: Shown


def signature_document(signing: Signing, now: datetime, passkey: Mapping[str, Any] | None = None) -> bytes:
    """Return the document `signature`; `passkey` is what one signed, None where login and password were entered again."""
    shown = signing.shown
    document: dict[str, Any] = {
        "format": SIGNATURE_FORMAT,
        "reviewer": signing.reviewer,
        "name": signing.name,
        "option": signing.option,
        "own_option": signing.own_option or "",
        "own_opinion": fate_of(signing.option, signing.own_option, signing.leading).value,
        "meaning": shown.meaning,
        "reason": signing.reason,
        "shown": shown.certificate,
        "page": shown.document(),
        "way": (Way.PASSWORD if passkey is None else Way.PASSKEY).value,
        "signed_at": instant_text(now),
    }
    if passkey is not None:
        document["passkey"] = dict(passkey)
    return encode(document)


def decision_to_sign(signing: Signing, requested_at: datetime) -> DecisionToSign:
    """Return the decision whose hash a passkey is asked to sign."""
    return DecisionToSign(
        case=signing.shown.case,
        reviewer=signing.reviewer,
        option=signing.option,
        own_option=signing.own_option,
        reason_hash=reason_hash_of(signing.reason),
        meaning=signing.shown.meaning,
        shown=signing.shown.hash,
        requested_at=requested_at,
    )
