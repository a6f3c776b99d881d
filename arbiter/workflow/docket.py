"""A case in hand: moved by the reducer, its entries chained and its documents sealed, then written as one step.

`advance` is the only road from an event to the database: every entry the reducer names is written with exactly the
documents it must commit to, or nothing is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from arbiter import __version__
from arbiter.audit.entry import FIRST_PREV, Entry, commit
from arbiter.audit.merkle import leaf_hash
from arbiter.errors import StaleStateError
from arbiter.lifecycle.effects import Effect, NotifyDutyGroup, TellRequester
from arbiter.lifecycle.entries import CLOSING, DOCUMENTS, OPTIONAL_DOCUMENTS, EntryType
from arbiter.lifecycle.events import Event
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import CaseState
from arbiter.lifecycle.steps import Step
from arbiter.model import ActorId, CaseId
from arbiter.store.cases.heads import CaseRow
from arbiter.store.cases.sharing import StepWriter
from arbiter.store.cases.steps import NewMessage, StepWrite, save_steps
from arbiter.store.transaction import Transaction
from arbiter.store.vault import CaseKey
from arbiter.workflow.house import House

ARBITER = ActorId("arbiter")
"""The actor of steps that no person, client or member takes."""

SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Docket:
    """A case's head as loaded (`version` 0: not there yet) and what has been added since."""

    case: CaseId
    state: CaseState | None
    version: int
    seq: int
    prev: str
    versions: tuple[tuple[str, str], ...]
    job: int | None = None
    dropped_job: int | None = None
    decided_seq: int | None = None
    entries: tuple[tuple[int, bytes], ...] = ()
    documents: tuple[tuple[int, str, bytes], ...] = ()
    effects: tuple[Effect, ...] = ()
    messages: tuple[NewMessage, ...] = ()

    @property
    def standing(self) -> CaseState:
        """The state of a case that exists."""
        if self.state is None:
            raise StaleStateError(f"case {self.case} has no state yet")
        return self.state

    def write(self, now: datetime) -> StepWrite:
        """Return what the store must write."""
        return StepWrite(
            case=self.case,
            at=now,
            from_version=self.version,
            state=self.standing,
            seq=self.seq,
            prev=bytes.fromhex(self.prev),
            entries=self.entries,
            documents=self.documents,
            decided_seq=self.decided_seq,
            job=self.job,
            dropped_job=self.dropped_job,
            messages=self.messages,
        )

    def written(self) -> Docket:
        """Return the docket as it stands once `write` is committed."""
        return replace(
            self,
            version=self.version + 1,
            dropped_job=None,
            entries=(),
            documents=(),
            effects=(),
            messages=(),
        )


def fresh_docket(case: CaseId, protocol_hash: str, policy_hash: str, *, training: bool = False) -> Docket:
    """Return the docket of a case that nobody has submitted yet."""
    return Docket(case, None, 0, -1, FIRST_PREV, versions_of(protocol_hash, policy_hash, training=training))


def docket_of(row: CaseRow, policy_hash: str) -> Docket:
    """Return the docket of a stored case."""
    return Docket(
        case=row.id,
        state=row.state,
        version=row.version,
        seq=row.seq,
        prev=row.prev.hex(),
        versions=versions_of(row.protocol_hash, policy_hash, training=row.state.training),
        job=row.job,
        decided_seq=row.decided_seq,
    )


def versions_of(protocol_hash: str, policy_hash: str, *, training: bool) -> tuple[tuple[str, str], ...]:
    """Return what an entry says about the versions in force, sorted by name; each entry of a training case says so."""
    mode = (("mode", "training"),) if training else ()
    return (("code", __version__), *mode, ("policy", policy_hash), ("protocol", protocol_hash))


def advance(
    house: House,
    docket: Docket,
    event: Event,
    *,
    actor: ActorId,
    now: datetime,
    key: CaseKey | None = None,
    documents: Mapping[str, bytes] | None = None,
) -> Docket:
    """Make one move on the docket; nothing is written yet.

    Raises:
        IllegalMoveError: when the reducer refuses.
        KeyError: when a document that an entry must commit to is absent; ValueError: when one is left over.
    """
    outcome = step(docket.state, event, now)
    unused = dict(documents or {})
    seq, prev, decided_seq = docket.seq, docket.prev, docket.decided_seq
    entries, sealed = list(docket.entries), list(docket.documents)
    for entry_type in outcome.entries:
        seq += 1
        commits: list[tuple[str, str]] = []
        for name in sorted(_documents_of(entry_type, unused)):
            commitment, ciphertext = _seal(house, key, seq, name, unused.pop(name))
            commits.append((name, commitment))
            sealed.append((seq, name, ciphertext))
        body = Entry(
            type=entry_type.value,
            case=docket.case,
            seq=seq,
            prev=prev,
            at=now,
            actor=actor,
            trace=house.trace_id(),
            versions=docket.versions,
            commits=tuple(commits),
            count=seq + 1 if entry_type in CLOSING else None,
        ).to_bytes()
        entries.append((seq, body))
        prev = leaf_hash(body).hex()
        if entry_type is EntryType.DECIDED:
            decided_seq = seq
    if unused:
        raise ValueError(f"no entry of this move commits to {sorted(unused)}")
    return replace(
        docket,
        state=outcome.state,
        seq=seq,
        prev=prev,
        entries=tuple(entries),
        documents=tuple(sealed),
        effects=docket.effects + outcome.effects,
        messages=docket.messages + messages_of(outcome, docket.seq + 1),
        decided_seq=decided_seq,
    )


def messages_of(outcome: Step, first_seq: int) -> tuple[NewMessage, ...]:
    """Return what a step has to be told, written with it so that nothing told or untold differs from what happened.

    `first_seq` is the number of the step's first entry. Of a training case nobody outside hears.
    """
    if outcome.state.training:
        return ()
    last = first_seq + len(outcome.entries) - 1
    told: list[tuple[int, str, str, int | None]] = []
    for effect in outcome.effects:
        match effect:
            case TellRequester(of):
                told.append((first_seq + outcome.entries.index(of), "requester", of.value, None))
            case NotifyDutyGroup(rung):
                told.append((last, "duty", outcome.entries[-1].value, rung))
            case _:
                pass
    state = outcome.state
    return tuple(NewMessage(*what, state.phase.value, state.due_at, state.ladder.until) for what in told)


def _documents_of(entry_type: EntryType, given: Mapping[str, bytes]) -> frozenset[str]:
    """Return the documents an entry must commit to, and those it may that are there."""
    optional = OPTIONAL_DOCUMENTS.get(entry_type, frozenset())
    return DOCUMENTS.get(entry_type, frozenset()) | (optional & given.keys())


def _seal(house: House, key: CaseKey | None, seq: int, name: str, content: bytes) -> tuple[str, bytes]:
    """Return the commitment to a document and the document sealed, both under one fresh salt."""
    if key is None:
        raise ValueError(f"entry {seq} commits to {name}, and no key was given to seal it")
    salt = house.chance.token(SALT_BYTES)
    return commit(name, salt, content), house.vault.seal(key, seq, name, salt, content)


async def write_step(where: StepWriter | Transaction, docket: Docket, now: datetime) -> Docket:
    """Write one docket's step: durably, beside those of others, or in a transaction with what belongs to it.

    Raises:
        StaleStateError: when somebody else moved the case first; a transaction it was part of must not be committed.
    """
    step = docket.write(now)
    if isinstance(where, StepWriter):
        moved = await where.save(step)
    else:
        moved = docket.case in await save_steps(where, [step])
    if not moved:
        raise StaleStateError(f"case {docket.case} was moved by somebody else")
    return docket.written()
