"""A receipt checked step by step for an auditor, by the code that checks it offline (`arbiter.audit.receipt`).

The house checks with its own keys: who doubts the house checks offline, with keys from elsewhere. Nothing of what a receipt opens
is returned but names, sizes and hashes; whoever holds the receipt has the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any

from arbiter.audit.checkpoint import OpenedCheckpoint, open_checkpoint
from arbiter.audit.cosigned import counted
from arbiter.audit.entry import Entry
from arbiter.audit.merkle import leaf_hash, verify_inclusion
from arbiter.audit.receipt import Receipt, VerifiedReceipt, verify_receipt
from arbiter.errors import VerificationError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.workflow.house import House


class Check(StrEnum):
    """What is checked, in this order; what comes after a failure is not."""

    FORM = "form"
    ENTRY = "entry"
    SIGNATURE = "signature"
    INCLUSION = "inclusion"
    OPENINGS = "openings"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Checked:
    """One check: `fault` says why it failed, None where it passed."""

    check: Check
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """A document that the receipt opens: its name, size in bytes and SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ReceiptReport:
    """What became of a receipt. Everything behind `checks` is there as far as it was reached; `verified` only if all passed.

    `keys` are those of the log that signed the checkpoint, `cosigned` the known witnesses whose cosignatures count; `hashes` is the
    length of the path to the root.
    """

    checks: tuple[Checked, ...]
    verified: bool
    entry: Entry | None = None
    leaf: str = ""
    index: int | None = None
    hashes: int = 0
    size: int | None = None
    origin: str = ""
    keys: tuple[str, ...] = ()
    cosigned: tuple[str, ...] = ()
    opened: tuple[OpenedPart, ...] = ()
    unopened: tuple[str, ...] = ()


async def check_receipt(
    house: House, principal: Principal, data: bytes, certificate: bytes | None = None
) -> ReceiptReport:
    """Return what a receipt proves under this house's keys, and whether the certificate is the one that it opens.

    Nothing is read or written, so nothing is noted: the receipt belongs to whoever holds it.
    """
    principal.require(Permission.AUDIT_READ)
    report = ReceiptReport((), verified=False)
    check = Check.FORM
    try:
        receipt = Receipt.parse(data)
        report, check = _passed(report, check), Check.ENTRY
        entry = Entry.from_bytes(receipt.entry)
        leaf = leaf_hash(receipt.entry)
        report, check = _passed(report, check, entry=entry, leaf=leaf.hex()), Check.SIGNATURE
        opened = open_checkpoint(receipt.proof.checkpoint, (*house.verifiers, *house.circle.keys))
        signers = _signers(house, opened, entry)
        report, check = _passed(report, check, **signers), Check.INCLUSION
        proof, checkpoint = receipt.proof, opened.checkpoint
        verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
        report, check = _passed(report, check, index=proof.index, hashes=len(proof.hashes)), Check.OPENINGS
        # Everything once more, and what is opened, by the very function that checks receipts offline.
        verified = verify_receipt(data, (*house.verifiers, *house.circle.keys))
        parts = tuple(
            OpenedPart(name, len(content), sha256(content).hexdigest()) for name, content in verified.contents
        )
        report, check = _passed(report, check, opened=parts, unopened=verified.unopened), Check.CERTIFICATE
        if certificate is not None:
            _check_certificate(verified, certificate)
            report = _passed(report, check)
    except VerificationError as error:
        return replace(report, checks=(*report.checks, Checked(check, str(error))))
    return replace(report, verified=True)


def _passed(report: ReceiptReport, check: Check, **found: Any) -> ReceiptReport:
    return replace(report, checks=(*report.checks, Checked(check)), **found)


def _signers(house: House, opened: OpenedCheckpoint, entry: Entry) -> dict[str, Any]:
    known = counted(
        opened,
        house.circle.keys,
        not_before=int(entry.at.timestamp()),
        now=int(house.clock.now().timestamp()),
    )
    own = opened.checkpoint.origin
    return {
        "origin": own,
        "size": opened.checkpoint.size,
        "keys": tuple(each.key.label for each in opened.signatures if each.key.name == own),
        "cosigned": tuple(house.circle.named(each.key).name for each in known),
    }


def _check_certificate(verified: VerifiedReceipt, certificate: bytes) -> None:
    opened = verified.content("certificate")
    if opened is None:
        raise VerificationError("the receipt opens no certificate to compare with")
    if opened != certificate:
        raise VerificationError("the certificate is not the one that the receipt opens: their bytes differ")
