"""Weighs a panel's opinions under a protocol and the hospital's policy: decides, or says why a human must. Pure."""

from arbiter.adjudication.bench import Bench, facets_from
from arbiter.adjudication.certificate import FORMAT, Signature, certificate
from arbiter.adjudication.deciding import Policy, decide, escalation, valid_members
from arbiter.adjudication.replay import Evaluate, recompute
from arbiter.adjudication.words import SENTENCES, sentence

__all__ = [
    "FORMAT",
    "SENTENCES",
    "Bench",
    "Evaluate",
    "Policy",
    "Signature",
    "certificate",
    "decide",
    "escalation",
    "facets_from",
    "recompute",
    "sentence",
    "valid_members",
]
