"""The protocols in force and those that older cases were decided under, compiled and ready to use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from arbiter.calibration import Calibration
from arbiter.documents.taken import TakenFacts
from arbiter.errors import ConfigurationError, NotFoundError
from arbiter.model import MemberId, PolicyOutcome, Reason, RiskClass
from arbiter.panels.member import Member
from arbiter.panels.seating import require_servers, seat_members
from arbiter.panels.vllm.pool import NO_SERVERS, Pool
from arbiter.policy import CompiledPolicy, Ruling, compile_policy
from arbiter.protocols.bundle import Bundle
from arbiter.protocols.loader import load_bundle
from arbiter.question import Protocol
from arbiter.store.calibrations import load_calibration
from arbiter.store.protocols import load_bundle_files
from arbiter.store.transaction import Where
from arbiter.workflow.calibrations.fitness import fitting_bundled


@dataclass(frozen=True, slots=True)
class Shelved:
    """A protocol with its compiled policy and its seated members."""

    bundle: Bundle
    policy: CompiledPolicy
    members: Mapping[MemberId, Member]

    @property
    def protocol(self) -> Protocol:
        """The protocol's frozen values."""
        return self.bundle.protocol

    @property
    def ruling(self) -> Ruling:
        """The protocol with the word of its policy."""
        return Ruling(self.bundle.protocol, self.policy)

    def outcome(
        self, taken: TakenFacts, facets: Mapping[str, str], risk_class: RiskClass, valid: int
    ) -> PolicyOutcome:
        """Return the policy's word on a case."""
        return self.ruling.outcome(taken, facets, risk_class, valid)

    def exclusion_reasons(self, taken: TakenFacts) -> tuple[Reason, ...]:
        """Return why no member may be asked about these facts."""
        return self.ruling.exclusion_reasons(taken)


def shelve(bundle: Bundle, servers: Mapping[str, Pool] = NO_SERVERS) -> Shelved:
    """Compile a bundle's policy and seat its members; a model on a server that is not given is always down.

    Raises:
        InvalidProtocolError: when a condition does not compile; ConfigurationError: when a seat has no member.
    """
    return Shelved(bundle, compile_policy(bundle.protocol), seat_members(bundle.protocol, servers))


def put_in_force(bundles: Iterable[Bundle], servers: Mapping[str, Pool]) -> Shelf:
    """Return the shelf on which each bundle is its protocol's version in force; of one id the last counts.

    Raises:
        InvalidProtocolError: when a condition does not compile.
        ConfigurationError: when a seat has no member, or asks a model server that is not known.
    """
    current = {bundle.protocol.id: bundle for bundle in bundles}
    for bundle in current.values():
        require_servers(bundle.protocol, servers)
    return Shelf({name: shelve(bundle, servers) for name, bundle in current.items()}, servers)


@dataclass(slots=True)
class Shelf:
    """`current` holds one version a protocol id; older versions come from the database by content hash."""

    current: Mapping[str, Shelved]
    servers: Mapping[str, Pool]
    _by_hash: dict[str, Shelved] = field(default_factory=dict)
    _calibrations: dict[str, Calibration] = field(default_factory=dict)
    _bundled: dict[str, Calibration | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_hash.update({shelved.protocol.content_hash: shelved for shelved in self.current.values()})

    def in_force(self, protocol: str) -> Shelved:
        """Return the version of a protocol that new cases are taken under.

        Raises:
            NotFoundError: when there is no such protocol.
        """
        if protocol not in self.current:
            raise NotFoundError(
                f"no protocol of that id is in force; there are {', '.join(sorted(self.current))}"
            )
        return self.current[protocol]

    def at_hand(self, content_hash: str) -> Protocol | None:
        """Return the version with that hash, None for one that this process has not fetched."""
        shelved = self._by_hash.get(content_hash)
        return None if shelved is None else shelved.protocol

    def calibration_of(self, content_hash: str) -> Calibration | None:
        """Return the calibration that came with the version of that hash; None where none did, none fits or none is at hand."""
        shelved = self._by_hash.get(content_hash)
        if shelved is None:
            return None
        if content_hash not in self._bundled:
            self._bundled[content_hash] = fitting_bundled(shelved.bundle.calibration, shelved.protocol)
        return self._bundled[content_hash]

    async def fetch_calibration(self, where: Where, content_hash: str) -> Calibration:
        """Return the calibration with that hash, from the database if need be.

        Raises:
            NotFoundError: when none is kept; VerificationError: when what is kept has another hash now.
        """
        if content_hash not in self._calibrations:
            self._calibrations[content_hash] = await load_calibration(where, content_hash)
        return self._calibrations[content_hash]

    async def fetch(self, where: Where, content_hash: str) -> Shelved:
        """Return the version with that hash, from the database if need be.

        Raises:
            ConfigurationError: when the stored files are gone or no longer make the protocol of that hash.
        """
        at_hand = self._by_hash.get(content_hash)
        if at_hand is not None:
            return at_hand
        files = await load_bundle_files(where, content_hash)
        shelved = shelve(load_bundle(files), self.servers)
        if shelved.protocol.content_hash != content_hash:
            raise ConfigurationError(f"the stored protocol {content_hash} has another hash now")
        self._by_hash[content_hash] = shelved
        return shelved
