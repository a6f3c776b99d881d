"""Exports of a small demonstration house for tests: decided, signed and asking cases, and who takes them away."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from arbiter.audit.export.manifest import Selection
from arbiter.identity.clients import register_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.workflow.exports.making import Made, make_export
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.review import OwnOpinion, claim, commit_opinion, reveal, sign
from tests.houses import SITE, a_client, a_reviewer, submission


@dataclass(frozen=True)
class Furnished:
    """A house with a case that the panel decided and one that a clinician signed."""

    house: House
    decided: CaseId
    signed: CaseId


async def an_auditor(
    house: House, *roles: Role, name: str = "auditor", sites: frozenset[str] = frozenset({SITE})
) -> tuple[Principal, str]:
    """Register an auditor's client; with `Role.DISCLOSURE` it may take documents in the clear."""
    return await register_client(
        house.identities, house.clock, house.chance, name, frozenset({Role.AUDITOR, *roles}), sites
    )


async def furnish(house: House) -> Furnished:
    """Let the house decide one case and have Anna sign another."""
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
    await house.sealer.round()
    await house.sealer.round()
    return Furnished(house, decided, signed)


async def export_to(house: House, principal: Principal, selection: Selection, path: Path) -> Made:
    """Make an export and write it to a file."""
    out = BytesIO()
    made = await make_export(house, principal, selection, out)
    path.write_bytes(out.getvalue())
    return made
