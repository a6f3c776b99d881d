"""The parts that every use case works with, put together once by `arbiter.wiring`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from arbiter.audit.note import VerifierKey
from arbiter.cosigning.circle import NOBODY, Circle
from arbiter.duty.roster import Duty
from arbiter.errors import ConflictError
from arbiter.panels.vllm.pool import Servers
from arbiter.ports import Chance, Clock, Signer
from arbiter.settings import Settings
from arbiter.store.cases.sharing import StepWriter
from arbiter.store.database import Database
from arbiter.store.identities import Identities
from arbiter.store.keys import KeyFolder, Keyring
from arbiter.store.sessions import Sessions
from arbiter.store.transaction import Store
from arbiter.store.vault import Vault
from arbiter.workflow.admission import Admission
from arbiter.workflow.bell import Bell
from arbiter.workflow.calibrations.in_force import ApprovedCalibrations
from arbiter.workflow.canary.moved import MovedSeats
from arbiter.workflow.erasure.erasure_list import ErasureList
from arbiter.workflow.errands import Errands
from arbiter.workflow.log.cosigned import Cosigned
from arbiter.workflow.log.countersigning import Countersigner
from arbiter.workflow.log.guard import LogGuard
from arbiter.workflow.log.keys import LogKeys
from arbiter.workflow.log.sealing import Sealer
from arbiter.workflow.postbox import Postbox
from arbiter.workflow.queue import SafetyNet
from arbiter.workflow.shelf import Shelf
from arbiter.workflow.watching.stops import Stops


@dataclass(frozen=True, slots=True)
class House:
    """A running Arbiter, without its doors."""

    settings: Settings
    store: Store
    steps: StepWriter
    clock: Clock
    chance: Chance
    vault: Vault
    identities: Identities
    sessions: Sessions
    shelf: Shelf
    guard: LogGuard
    sealer: Sealer
    bell: Bell
    errands: Errands
    admission: Admission
    safety_net: SafetyNet
    keyring: Keyring
    log_keys: LogKeys
    countersigner: Countersigner
    duty: Duty | None
    postbox: Postbox
    trace_id: Callable[[], str]
    database: Database
    erasures: ErasureList
    fleet: Servers
    circle: Circle = NOBODY
    cosigned: Cosigned = field(default_factory=Cosigned)
    moved: MovedSeats = field(default_factory=MovedSeats)
    approved: ApprovedCalibrations = field(default_factory=ApprovedCalibrations)
    stops: Stops = field(default_factory=Stops)

    @property
    def key_folder(self) -> KeyFolder:
        """Where this host's keys lie; raises ConflictError for a house whose keys are in no folder."""
        if self.keyring.folder is None:
            raise ConflictError("this house's keys are not in a folder")
        return self.keyring.folder

    @property
    def signer(self) -> Signer:
        """The log's newest key."""
        return self.log_keys.signers[-1]

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """The public part of every key that ever signed the log, oldest first, each with the sizes it may sign."""
        return self.log_keys.verifiers
