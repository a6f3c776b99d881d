"""A house whose protocol decides by its posterior, persons who may put a calibration in force, and calibrations that fit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbiter.calibrating.looks import marks
from arbiter.calibration import Calibration, Labels, Stratum
from arbiter.documents.calibrations import calibration_bytes, sealed
from arbiter.documents.canonical import decode
from arbiter.documents.opinions import identity_hash
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, MemberId
from arbiter.protocols.bundle import CALIBRATION_FILE
from arbiter.question import Protocol
from arbiter.settings import Mode, Settings
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents_named
from arbiter.workflow.calibrations.approving import DOCUMENT, approve, propose
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from tests.adjudication.calibrations import calibration, level
from tests.houses import PASSWORD, SITE, settled, submission
from tests.panels.model_bundles import protocol_text, write_bundle

PROTOCOL = "certified"
BOUND = "0.031143"
"""Of two errors in 200 cases at delta 0.05, rounded up; a test holds it against SciPy."""
SPOTLESS = "0.014868"
"""The same of no error in 200."""

SETTINGS = """\
  strategy: posterior
  guarantee:
    delta: 0.05
    error_rates:
      urgent-review: 0.05
      continue-monitoring: 0.05
"""


def real(cases: str) -> Labels:
    """Labels of real cases; another name is of other cases."""
    named = hashlib.sha256(cases.encode()).hexdigest()
    marked = marks(f"{cases} {number}".encode() for number in range(450))
    return Labels(named, "b" * 64, (("blind-reader", 900),), 360, 90, 450, synthetic=False, marks=marked)


REAL = real("the first")


def posterior_text(version: str = "1.0.0") -> str:
    """The shipped deterioration protocol, deciding by its posterior."""
    text = protocol_text(PROTOCOL, panel_seconds=20)
    for old, new in (("  strategy: weighted\n", SETTINGS), ("  threshold: 0.6\n", "")):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (line,) = [line for line in text.splitlines() if line.startswith("version: ")]
    return text.replace(line, f'version: "{version}"')


def bundle_in(folder: Path, version: str = "1.0.0", bundled: Calibration | None = None) -> Path:
    """Write the bundle that `settings_of` names, with a calibration beside it if one is given; return where it lies."""
    protocols = folder / f"protocols-{version}-{'bare' if bundled is None else bundled.content_hash[:8]}"
    bundle = write_bundle(protocols / PROTOCOL, posterior_text(version))
    if bundled is not None:
        (bundle / CALIBRATION_FILE).write_bytes(calibration_bytes(bundled))
    return protocols


def settings_of(folder: Path, protocols: Path, mode: Mode = Mode.DEMONSTRATION) -> Settings:
    return Settings(
        data=folder,
        mode=mode,
        secure_cookies=False,
        workers=False,
        protocols=protocols,
        automatic_decisions_approved_by="Dr Test" if mode is Mode.PRODUCTION else None,
    )


def strata(*options: str) -> tuple[Stratum, ...]:
    held = level("0.8", bound=BOUND)
    return tuple(Stratum(option, Decimal("0.05"), held, (held,)) for option in options)


def spotless(protocol: Protocol) -> tuple[Stratum, ...]:
    """Certify whatever the protocol allows, at the rates that it allows: not one of 200 was wrong."""
    assert protocol.adjudication.guarantee is not None
    held = level("0.8", 200, 0, SPOTLESS)
    return tuple(
        Stratum(option, rate, held, (held,)) for option, rate in protocol.adjudication.guarantee.error_rates
    )


def fitting(house: House, protocol: str = PROTOCOL, **changes: Any) -> Calibration:
    """Return a calibration of the house's own panel, what sits in each seat is whom it knows, made from cases of its own."""
    shelved = house.shelf.in_force(protocol)
    made = calibration(shelved.protocol)
    records = tuple(
        replace(record, identity=identity_hash(shelved.members[MemberId(record.member)].identity))
        for record in made.records
    )
    others = tuple(
        (member, identity_hash(shelved.members[member].identity)) for member, _ in made.facet_members
    )
    certified = strata(*made.options)
    standard: dict[str, Any] = {
        "records": records,
        "facet_members": others,
        "strata": certified,
        "labels": real(repr(sorted(changes.items()))),
    }
    return sealed(replace(made, **(standard | changes)))


@dataclass(frozen=True)
class Court:
    """A house, who proposes, and who approves."""

    house: House
    otto: Principal
    paula: Principal

    async def propose(self, made: Calibration) -> str:
        return (await propose(self.house, self.otto, calibration_bytes(made))).content_hash

    async def put_in_force(self, made: Calibration) -> str:
        named = await self.propose(made)
        await approve(self.house, self.paula, named)
        return named

    async def documents(self) -> list[dict[str, Any]]:
        """What the house's entries about calibrations commit to."""
        found = await load_house_documents_named(self.house.store, HOUSE_CHAIN, DOCUMENT)
        return [decode(document.content) for document in found]


async def person(house: House, login: str, *roles: Role) -> Principal:
    return await create_account(
        house.identities,
        house.clock,
        house.chance,
        login,
        login,
        PASSWORD,
        frozenset(roles),
        frozenset({SITE}),
    )


async def court(house: House) -> Court:
    return Court(
        house,
        await person(house, "otto", Role.POLICY_AUTHOR),
        await person(house, "paula", Role.POLICY_APPROVER),
    )


async def decided(house: House, client: Principal, key: str) -> tuple[CaseId, Phase, dict[str, Any]]:
    """Hand the calm patient in; return the case, how it ended and its certificate."""
    handed_in = replace(submission(house.clock.now()), protocol=PROTOCOL)
    case = (await submit(house, client, handed_in, key, key.encode())).case
    view = await settled(house, client, case)
    async with house.store.read() as transaction:
        dossier = await load_dossier(house, transaction, case)
    told: dict[str, Any] = decode(dossier.latest("certificate").content)
    return case, view.phase, told


def codes(certificate: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in certificate["verdict"]["reasons"]]
