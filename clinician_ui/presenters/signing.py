"""The form that signs: what 21 CFR 11.50 wants shown with a signature, and by which ways this person can sign here."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.workflow.certifying import MEANING
from clinician_ui.presenters.times import Here, Moment, moment


@dataclass(frozen=True, slots=True)
class SigningPart:
    """The signer's printed name, what the signature means, when it is, and the hash of what the page was made from.

    `passkey` says whether the signer has a passkey that may sign at this address.
    """

    name: str
    meaning: str
    at: Moment
    zone: str
    shown: str
    passkey: bool


def signing_part(name: str, shown: str, here: Here, *, passkey: bool) -> SigningPart:
    """Return the form that signs, for whoever is called `name`."""
    return SigningPart(name, MEANING, moment(here.now, here), here.zone_name, shown, passkey)
