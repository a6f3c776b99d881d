"""Certificates of live cases: the circumstances they are made in, and the document that a signature is.

What is made from recorded inputs alone lies in `arbiter.adjudication.certifying`, which an outsider can run too.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from arbiter.adjudication.certifying import Circumstances
from arbiter.calibration import Calibration
from arbiter.documents.canonical import encode
from arbiter.documents.scalars import instant_text
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


def signature_document(
    signer: str, name: str, option: str, own_option: str | None, reason: str, shown: bytes, now: datetime
) -> bytes:
    """Return the document `signature`: who signed what, why, and the hash of the certificate they were shown."""
    document = {
        "reviewer": signer,
        "name": name,
        "option": option,
        "own_option": own_option or "",
        "meaning": MEANING,
        "reason": reason,
        "shown": hashlib.sha256(shown).hexdigest(),
        "signed_at": instant_text(now),
    }
    return encode(document)
