"""Weighs a panel's opinions under a protocol and the hospital's policy: decides, or says why a human must. Pure."""

from arbiter.adjudication.bench import Bench, Heard, count_valid, facets_heard, hear
from arbiter.adjudication.certificate import FORMAT, Signature, certificate
from arbiter.adjudication.deciding import Policy, decide, escalation
from arbiter.adjudication.replay import Evaluate, recompute
from arbiter.adjudication.words import SENTENCES, sentence

__all__ = [
    "FORMAT",
    "SENTENCES",
    "Bench",
    "Evaluate",
    "Heard",
    "Policy",
    "Signature",
    "certificate",
    "count_valid",
    "decide",
    "escalation",
    "facets_heard",
    "hear",
    "recompute",
    "sentence",
]
