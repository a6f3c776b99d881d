"""What the log's entries say, in words for whoever reads it, and how each kind stands out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from arbiter.cli.cases.words import STEPS
from arbiter.lifecycle.entries import EntryType

OTHERS: Mapping[str, str] = {
    "subject.searched": "somebody looked for a patient's cases",
    "subject.merged": "two numbers were joined as one patient",
    "subject.separated": "a number was parted from the patient it was joined to",
    "erasure.ordered": "a case's erasure was ordered",
    "backup.begun": "a backup was begun",
    "backup.restored": "a backup was restored",
    "log.contradicted": "two signed checkpoints contradicted each other; both are kept",
    "log.recovered": "entries were lost, and the log goes on under another name",
    "log.exported": "an export of the log was taken",
    "account.made": "a person's account was made",
    "account.changed": "an account's roles or sites were changed",
    "account.disabled": "an account was disabled",
    "account.locked": "wrong passwords locked an account",
    "account.unlocked": "an account's lock was ended",
    "passkey.added": "a passkey was added to an account",
    "passkey.removed": "a passkey was removed from an account",
    "account.password-set": "an account was given another password",
    "client.registered": "a system was registered",
    "client.disabled": "a system was disabled",
    "client.rotated": "a system was given another token",
    "site.added": "a site was added",
    "canary.run": "the seats of a panel were asked their fixed cases",
    "canary.alarmed": "a seat answered its fixed cases otherwise than its baseline",
    "calibration.proposed": "somebody proposed a calibration",
    "calibration.approved": "a second person approved a calibration: cases may be decided by it",
    "labels.gathered": "labelled cases were taken out, to calibrate a panel on",
    "calibration.withdrawn": "a calibration was withdrawn: no case is decided by it any more",
    "watch.drifted": "something that a panel reads, or how far it agrees, has moved since its first cases",
    "watch.drift-acknowledged": "somebody looked into what had moved: it is watched anew",
    "witnesses.named": "other witnesses, or another number of them, were asked for",
    "witness.contradicted": "a witness contradicted this log; its answer is kept",
    "keys.rotated": "a new key of the log began to sign beside the old one",
    "keys.overlap": "an entry was made for both keys of the log to sign",
    "keys.retired": "an older key of the log was ended",
    "keys.escrowed": "the secret keys were given into escrow",
    "kek.rotated": "a new key keeps case content secret",
    "kek.retired": "an older key that kept case content secret was ended",
}
"""Kinds that belong to no case."""

_ALARMING = "bold red"
_STYLES: Mapping[str, str] = {
    "log.contradicted": _ALARMING,
    "log.recovered": _ALARMING,
    "witness.contradicted": _ALARMING,
    "canary.alarmed": _ALARMING,
    "watch.drifted": "yellow",
    "calibration.withdrawn": "yellow",
    "account.locked": "yellow",
    EntryType.ESCALATED: "yellow",
    EntryType.OVERDUE: _ALARMING,
    EntryType.UNATTENDED: _ALARMING,
    EntryType.WITHDRAWN: _ALARMING,
    EntryType.RETRACTED: _ALARMING,
    EntryType.CONTESTED: "yellow",
    EntryType.CORRECTED: "yellow",
    EntryType.GLASS_BROKEN: "bold yellow",
    EntryType.DECIDED: "green",
    EntryType.RELEASED: "green",
    EntryType.READ: "dim",
    EntryType.RENEWED: "dim",
}


def said(kind: str) -> str:
    """Return what an entry says; a kind that has no words here is shown as it is."""
    return STEPS.get(kind) or OTHERS.get(kind) or kind


def style(kind: str) -> str:
    """Return how an entry of that kind is printed on a terminal."""
    return _STYLES.get(kind, "")


def changed(about: Mapping[str, Any]) -> str:
    """Return whom an entry about the register names and what changed, given as `audit log --json` gives it."""
    if "fault" in about:
        return str(about["fault"])
    told = about["about"]
    words = [
        *(f"{word} {told[word]}" for word in ("account", "client", "site") if word in told),
        *(f"{word} {told[word]!r}" for word in ("login", "name") if word in told),
        *(f"{word} {_both(told[word])}" for word in ("roles", "sites") if word in told),
        *(f"{word} {told[word]}" for word in ("expires", "until") if word in told),
    ]
    if "machine_user" in told:
        words.append(f"by the machine's user {told['machine_user']}")
    return ", ".join(words)


def _both(sets: Mapping[str, list[str]]) -> str:
    before, after = (" ".join(sets[key]) or "none" for key in ("before", "after"))
    return after if before == after else f"{before} -> {after}"


def clock(at: datetime, zone: tzinfo | None) -> str:
    """Return an instant as a clock on the hospital's wall shows it; `zone` None is this machine's."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
