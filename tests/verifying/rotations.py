"""A log whose key was rotated twice: its exports before, during and after, and a stranger who has keys of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.export.checking import ExportRefusedError
from arbiter.audit.export.manifest import Selection
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import Ed25519NoteSigner, Signer, VerifierKey
from arbiter.audit.public_keys import write_public_keys
from arbiter.errors import ConflictError
from arbiter.model import ActorId, CaseId
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.verifying.report import Verified, verify
from arbiter.workflow.exports.making import make_export
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from tests.exports import Exported, Furnished, an_auditor, exported
from tests.houses import a_house

WHO = ActorId("operator:carla")
NO_CASES = Furnished(CaseId(""), CaseId(""), CaseId(""))
HOUSE = Selection(cases=(HOUSE_CHAIN,))
STRANGER = Ed25519NoteSigner("log.hospital.example/arbiter", b"s" * 32)
STRANGERS_SECOND = MlDsa44Key(STRANGER.name, b"s" * 32)
STRANGERS = tuple(VerifierKey.parse(key.verifier_key) for key in (STRANGER, STRANGERS_SECOND))


@dataclass(frozen=True)
class Rotated:
    """Exports before, during and after two rotations, and what was published of the keys then."""

    early: Exported
    overlap: Exported
    whole: Exported
    part: Exported
    seconds: tuple[MlDsa44Key, ...]
    early_keys: bytes
    late_keys: bytes

    @property
    def first(self) -> VerifierKey:
        return self.early.keys[0]


def public_keys(house: House) -> bytes:
    return write_public_keys(house.keyring.first, house.keyring.statements)


async def _write(house: House) -> None:
    await note_in_house(house, house.store, "house.tried", WHO, {})
    await house.sealer.round()


async def rotate(database: Database, folder: Path) -> Rotated:
    """Rotate a log's key twice, and export before, during and after."""
    async with a_house(folder, database, running=False) as house:
        auditor, _ = await an_auditor(house)
        await _write(house)
        early = await exported(house, auditor, HOUSE, NO_CASES)
        early_keys, seconds = public_keys(house), house.log_keys.seconds
        await begin_rotation(house, WHO)
    async with a_house(folder, database, running=False) as house:
        await _write(house)
        overlap = await exported(house, auditor, HOUSE, NO_CASES)
        await finish_rotation(house, WHO)
    async with a_house(folder, database, running=False) as house:
        await _write(house)
        await begin_rotation(house, WHO)
    async with a_house(folder, database, running=False) as house:
        await _write(house)
        await finish_rotation(house, WHO)
        with pytest.raises(ConflictError, match="restart it with the present folder"):
            # As a process that has the first key alone and was never restarted.
            await make_export(_with_signer(house, early.signer), auditor, HOUSE, BytesIO())
    async with a_house(folder, database, running=False) as house:
        await _write(house)
        whole = await exported(house, auditor, Selection(), NO_CASES)
        part = await exported(house, auditor, HOUSE, NO_CASES)
        seconds += house.log_keys.seconds
        return Rotated(early, overlap, whole, part, seconds, early_keys, public_keys(house))


def _with_signer(house: House, signer: Signer) -> House:
    return replace(house, log_keys=replace(house.log_keys, signers=(signer,)))


def verified(made: Exported, trusted: VerifierKey, folder: Path, content: bytes | None = None) -> Verified:
    path = folder / "export.zip"
    path.write_bytes(made.content if content is None else content)
    return verify(path, (trusted,))


def refused(made: Exported, trusted: VerifierKey, folder: Path, content: bytes) -> str:
    with pytest.raises(ExportRefusedError) as refusal:
        verified(made, trusted, folder, content)
    return "\n".join(refusal.value.findings)


def signed(checkpoint: Checkpoint, first: Signer, *seconds: MlDsa44Key, at: int = 1_700_000_000) -> bytes:
    return sign_checkpoint(checkpoint, [first, *(second.at(at) for second in seconds)])
