"""Which calibration a protocol version's cases are decided by: one rule, for every process and whoever looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from arbiter.calibration import Calibration


@dataclass(slots=True)
class ApprovedCalibrations:
    """What this process knows of what persons approved; read again from the database every minute and after each step here.

    `newest` has, by the hash of a protocol version, what was approved last for it and is not withdrawn: None where it cannot
    be read as what was approved, and then nothing else takes its place. `withdrawn` are the
    hashes of all that ever were. `mark` is the order of the newest step that this process knows of, None before it has looked.
    While the database does not answer, what was known stays.
    """

    newest: Mapping[str, Calibration | None] = field(default_factory=dict)
    withdrawn: frozenset[str] = frozenset()
    mark: int | None = None

    def in_force(
        self, protocol_hash: str, bundled: Calibration | None, *, demonstration: bool
    ) -> Calibration | None:
        """Return the calibration that counts for a protocol version, None where none does and everything escalates.

        What was approved last counts; in a demonstration alone, where nothing is, what came in the protocol's own bundle.
        What a generator invented says nothing of patients: outside a demonstration it does not count, and nothing older
        takes its place.
        """
        if protocol_hash in self.newest:
            approved = self.newest[protocol_hash]
            counts = approved is not None and (demonstration or not approved.labels.synthetic)
            return approved if counts else None
        if demonstration and bundled is not None and bundled.content_hash not in self.withdrawn:
            return bundled
        return None
