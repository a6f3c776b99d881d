"""The log for an auditor, in words: a case's trail, what a search found, how the log stands, what became of a receipt. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from arbiter.workflow.log.receipts import Check, ReceiptReport
from arbiter.workflow.log.timeline import TimelineEntry
from arbiter.workflow.log.trails import Found, LoggedEntry, LogStatus, Trail, TrailEntry
from arbiter.workflow.log.witness_standings import Standing
from clinician_ui.presenters.entry_words import document_words, says
from clinician_ui.presenters.paper import full_time
from clinician_ui.presenters.times import Here
from clinician_ui.texts import _, noted

_VERSIONS: Final = {"code": noted("code"), "policy": noted("policy"), "protocol": noted("protocol")}
"""What a version that stands in an entry is one of."""


@dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry in words. `commits` are names of documents, never what is in them; `index` is empty while it waits for its seal.

    `case` is empty where the entry belongs to no case that has a page; `fault` says why an entry cannot be read.
    """

    words: str
    kind: str
    at: str
    actor: str
    actor_id: str
    case: str
    chain: str
    seq: int | None
    index: str
    hash: str
    commits: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    closes: bool
    fault: bool


@dataclass(frozen=True, slots=True)
class TrailPage:
    """A case's trail; `next_after` continues it."""

    case: str
    site: str
    lines: tuple[EntryLine, ...]
    next_after: int | None
    zone: str


@dataclass(frozen=True, slots=True)
class FoundPage:
    """What a search found; `before` continues it."""

    lines: tuple[EntryLine, ...]
    before: int | None
    looked_at: str
    zone: str


@dataclass(frozen=True, slots=True)
class StatusPage:
    """How the log stands."""

    size: str
    sealed: str
    pending: str
    keys: tuple[str, ...]
    witnesses: tuple[str, ...]
    zone: str


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check of a receipt: passed, failed with the fault, or not reached."""

    title: str
    state: str
    words: str


@dataclass(frozen=True, slots=True)
class ReceiptPage:
    """What became of a receipt, check by check, and the command that checks it offline."""

    verified: bool
    checks: tuple[CheckLine, ...]
    entry: EntryLine | None
    commands: tuple[str, ...]
    zone: str


def trail_page(trail: Trail, here: Here) -> TrailPage:
    """Return a case's trail."""
    return TrailPage(
        case=trail.case,
        site=here.site(trail.site),
        lines=tuple(_trail_line(each, trail.names, here) for each in trail.entries),
        next_after=trail.next_after,
        zone=here.zone_name,
    )


def found_page(found: Found, here: Here) -> FoundPage:
    """Return what a search found."""
    return FoundPage(
        lines=tuple(_found_line(each, found.names, here) for each in found.entries),
        before=found.before,
        looked_at=f"{found.looked_at:,}",
        zone=here.zone_name,
    )


def status_page(status: LogStatus, here: Here) -> StatusPage:
    """Return how the log stands."""
    sealed = _("never yet") if status.sealed_at is None else full_time(status.sealed_at, here)
    pending = _("none")
    if status.pending and status.pending_since is not None:
        since = full_time(status.pending_since, here)
        pending = _("{number}, the oldest since {since}").format(number=f"{status.pending:,}", since=since)
    return StatusPage(
        size=f"{status.size:,}",
        sealed=sealed,
        pending=pending,
        keys=status.keys,
        witnesses=tuple(_witness(each, here) for each in status.witnesses),
        zone=here.zone_name,
    )


def receipt_page(report: ReceiptReport, keys: Iterable[str], here: Here, *, certificate: bool) -> ReceiptPage:
    """Return what became of a receipt; `certificate` says whether one was given to compare."""
    results = {each.check: each.fault for each in report.checks}
    wanted = [check for check in Check if certificate or check is not Check.CERTIFICATE]
    entry = None if report.entry is None else _line(report.entry, {}, here, report.index, report.leaf)
    return ReceiptPage(
        verified=report.verified,
        checks=tuple(_check_line(check, results, report) for check in wanted),
        entry=entry,
        commands=tuple(f"arbiter audit verify-receipt receipt.json --key {shlex.quote(key)}" for key in keys),
        zone=here.zone_name,
    )


# --- entries ---------------------------------------------------------------------------------------------------------


def _trail_line(each: TrailEntry, names: Mapping[str, str], here: Here) -> EntryLine:
    if each.entry is None:
        return _unreadable(each.index, each.hash, each.seq)
    return _line(each.entry, names, here, each.index, each.hash)


def _found_line(each: TimelineEntry, names: Mapping[str, str], here: Here) -> EntryLine:
    if each.entry is None:
        return _unreadable(each.index, "", None)
    return _line(each.entry, names, here, each.index, "")


def _line(
    entry: LoggedEntry, names: Mapping[str, str], here: Here, index: int | None, hash_: str
) -> EntryLine:
    return EntryLine(
        words=says(entry.type),
        kind=entry.type,
        at=f"{full_time(entry.at, here)}:{entry.at.astimezone(here.zone):%S}",
        actor=names.get(entry.actor, _("Arbiter itself") if entry.actor == "arbiter" else ""),
        actor_id=entry.actor,
        case=entry.case if entry.case.startswith("c_") else "",
        chain=entry.case,
        seq=entry.seq,
        index="" if index is None else f"{index}",
        hash=hash_,
        commits=tuple(document_words(name) for name, _commitment in entry.commits),
        versions=tuple((_(_VERSIONS.get(name, name)), value) for name, value in entry.versions),
        closes=entry.count is not None,
        fault=False,
    )


def _unreadable(index: int | None, hash_: str, seq: int | None) -> EntryLine:
    place = "" if index is None else f"{index}"
    words = _("This entry cannot be read: its bytes are gone, or are no entry's")
    return EntryLine(words, "", "", "", "", "", "", seq, place, hash_, (), (), closes=False, fault=True)


def _witness(standing: Standing, here: Here) -> str:
    name = standing.witness.name
    if standing.cosigned_at is None or standing.size is None:
        return _("{name} has cosigned nothing yet").format(name=name)
    said = _("{name} cosigned {size} entries on {at}").format(
        name=name, size=f"{standing.size:,}", at=full_time(standing.cosigned_at, here)
    )
    if standing.behind_since is None:
        return said
    return _("{said}, and is behind since {since}").format(
        said=said, since=full_time(standing.behind_since, here)
    )


# --- receipts --------------------------------------------------------------------------------------------------------

_TITLES = {
    Check.FORM: noted("It is a receipt"),
    Check.ENTRY: noted("Its entry is spelt as the log spells entries"),
    Check.SIGNATURE: noted("The log signed the checkpoint"),
    Check.INCLUSION: noted("The entry is in the log under that checkpoint"),
    Check.OPENINGS: noted("What the receipt shows is what the entry commits to"),
    Check.CERTIFICATE: noted("The certificate is the one in the receipt"),
}


def _check_line(check: Check, results: Mapping[Check, str | None], report: ReceiptReport) -> CheckLine:
    title = _(_TITLES[check])
    if check not in results:
        return CheckLine(title, "unreached", _("Not checked"))
    fault = results[check]
    if fault is not None:
        return CheckLine(title, "failed", fault)
    return CheckLine(title, "passed", _found_by(check, report))


def _found_by(check: Check, report: ReceiptReport) -> str:
    match check:
        case Check.FORM:
            words = _("Format arbiter/receipt/v1")
        case Check.ENTRY:
            words = _("Leaf hash {hash}").format(hash=report.leaf)
        case Check.SIGNATURE:
            words = _signed(report)
        case Check.INCLUSION:
            words = _("Entry {index}, {number} hashes lead to the root").format(
                index=report.index, number=report.hashes
            )
        case Check.OPENINGS:
            words = _openings(report)
        case Check.CERTIFICATE:
            words = _("Byte for byte")
        case _:
            assert_never(check)
    return words


def _signed(report: ReceiptReport) -> str:
    signed = _("{origin}, {size} entries, signed by {keys}").format(
        origin=report.origin, size=f"{report.size or 0:,}", keys=", ".join(report.keys)
    )
    if not report.cosigned:
        return signed
    return _("{signed}; cosigned by {witnesses}").format(signed=signed, witnesses=", ".join(report.cosigned))


def _openings(report: ReceiptReport) -> str:
    parts = [
        _("{name}: {size} bytes, SHA-256 {hash}").format(
            name=document_words(each.name), size=f"{each.size:,}", hash=each.sha256
        )
        for each in report.opened
    ]
    if report.unopened:
        names = ", ".join(document_words(name) for name in report.unopened)
        parts.append(_("not shown: {names}").format(names=names))
    return "; ".join(parts) or _("It opens nothing")
