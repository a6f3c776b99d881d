"""The witnesses of an installation, and how many of them must have cosigned before a panel's decision is released."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from arbiter.audit.note import VerifierKey
from arbiter.errors import ConfigurationError
from arbiter.model import RiskClass


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness by this installation's own name for it: its verifier key, and the URL before `/add-checkpoint`."""

    name: str
    key: VerifierKey
    url: str


@dataclass(frozen=True, slots=True)
class Circle:
    """All witnesses that are asked, and the number of cosignatures that each risk class needs; 0 needs none."""

    witnesses: tuple[Witness, ...]
    quorum: Mapping[RiskClass, int]

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """The witnesses' keys: no other's cosignature counts."""
        return tuple(witness.key for witness in self.witnesses)

    @property
    def most_needed(self) -> int:
        """The greatest number that any risk class needs."""
        return max(self.quorum.values(), default=0)

    def needed(self, risk_class: RiskClass) -> int:
        """Return how many must have cosigned before a panel's decision of that class is released."""
        return self.quorum.get(risk_class, 0)

    def named(self, key: VerifierKey) -> Witness:
        """Return the witness of that key."""
        return next(witness for witness in self.witnesses if witness.key == key)


NOBODY = Circle((), MappingProxyType({}))
"""No witness is asked, and none is needed."""


def check_apart(circle: Circle, log_keys: tuple[VerifierKey, ...]) -> None:
    """Refuse a circle in which the log would witness itself; raises `ConfigurationError`."""
    own = {key.public_key for key in log_keys}
    for witness in circle.witnesses:
        if witness.key.public_key in own:
            raise ConfigurationError(f"ARBITER_WITNESSES: the key of {witness.name} is the log's own")
