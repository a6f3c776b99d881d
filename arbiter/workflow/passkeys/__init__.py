"""Passkeys (WebAuthn) as the second way to sign: where they work, whose they are, and what one is asked to sign."""

from arbiter.workflow.passkeys.asserting import Asserted, ask_to_sign, take_assertion
from arbiter.workflow.passkeys.owning import (
    LONGEST_NAME,
    PasskeyView,
    ask_to_add,
    finish_adding,
    list_passkeys,
    remove,
    usable,
)
from arbiter.workflow.passkeys.places import NoPlaceError, Place, WhyNot, place_of, why_not

__all__ = [
    "LONGEST_NAME",
    "Asserted",
    "NoPlaceError",
    "PasskeyView",
    "Place",
    "WhyNot",
    "ask_to_add",
    "ask_to_sign",
    "finish_adding",
    "list_passkeys",
    "place_of",
    "remove",
    "take_assertion",
    "usable",
    "why_not",
]
