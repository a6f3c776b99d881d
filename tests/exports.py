"""Exports of a small demonstration house for tests, and exports that their own house signed wrongly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from arbiter.audit.export.archive import ExportWriter
from arbiter.audit.export.layout import MANIFEST, MANIFEST_NOTE
from arbiter.audit.export.manifest import Manifest, Member, Selection
from arbiter.audit.note import Signer, VerifierKey
from arbiter.identity.clients import register_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.workflow.exports.making import Made, make_export
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import claim, commit_opinion, reveal, sign
from tests.houses import SITE, a_client, a_reviewer, submission


@dataclass(frozen=True)
class Furnished:
    """The cases of a small house: one that the panel decided, one that a clinician signed, one that waits for facts."""

    decided: CaseId
    signed: CaseId
    asking: CaseId


@dataclass(frozen=True)
class Exported:
    """An export's bytes, the house's signer, and the cases in it."""

    content: bytes
    signer: Signer
    cases: Furnished

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        return (VerifierKey.parse(self.signer.verifier_key),)

    def members(self) -> dict[str, bytes]:
        with ZipFile(BytesIO(self.content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def manifest(self) -> Manifest:
        return Manifest.parse(self.members()[MANIFEST])


async def an_auditor(
    house: House, *roles: Role, name: str = "auditor", sites: frozenset[str] = frozenset({SITE})
) -> tuple[Principal, str]:
    """Register an auditor's client; with `Role.DISCLOSURE` it may take documents in the clear."""
    return await register_client(
        house.identities, house.clock, house.chance, name, frozenset({Role.AUDITOR, *roles}), sites
    )


async def furnish(house: House) -> Furnished:
    """Let the panel decide one case, Anna sign another, and leave the third waiting for facts."""
    client, _ = await a_client(house)
    anna = await a_reviewer(house)
    now = house.clock.now()
    decided = (await submit(house, client, submission(now), "first", b"first")).case
    await house.errands.finish(10)
    signed = (await submit(house, client, submission(now, pregnant=(True, None)), "second", b"second")).case
    await claim(house, anna, signed)
    await commit_opinion(house, anna, signed, OwnOpinion("continue-monitoring", 70, (), "looks well"))
    await reveal(house, anna, signed)
    await sign(house, anna, signed, "continue-monitoring", "")
    asking = (await submit(house, client, submission(now, spo2=None), "third", b"third")).case
    await house.errands.finish(10)
    await house.sealer.round()
    await house.sealer.round()
    return Furnished(decided, signed, asking)


async def exported(house: House, principal: Principal, selection: Selection, cases: Furnished) -> Exported:
    """Make an export in memory."""
    out = BytesIO()
    await make_export(house, principal, selection, out)
    return Exported(out.getvalue(), house.signer, cases)


async def export_to(house: House, principal: Principal, selection: Selection, path: Path) -> Made:
    """Make an export and write it to a file."""
    out = BytesIO()
    made = await make_export(house, principal, selection, out)
    path.write_bytes(out.getvalue())
    return made


def signed_again(
    made: Exported, members: Mapping[str, bytes], change: Callable[[Manifest], Manifest] = lambda same: same
) -> bytes:
    """Return an archive of these members with a manifest that fits them, signed by the house's own key.

    What an insider with the log's key could make: only what the members say of each other can then give it away.
    """
    old = made.manifest()

    def describe(listed: tuple[Member, ...]) -> Manifest:
        return change(replace(old, members=listed))

    out = BytesIO()
    writer = ExportWriter(out, datetime(2026, 11, 26, tzinfo=UTC))
    for name, content in members.items():
        if name not in {MANIFEST, MANIFEST_NOTE}:
            writer.add(name, content)
    writer.finish(describe, made.signer)
    return out.getvalue()
