"""Somebody's own account: who they are here, and the passkeys they may sign with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from arbiter.identity.principals import Principal
from arbiter.workflow.passkeys import PasskeyView, WhyNot
from clinician_ui.presenters.times import Here, Moment, moment
from clinician_ui.texts import _, noted

_WHY: Final = {
    WhyNot.NO_ADDRESS: noted("Nobody has told this service yet at which address it is reached."),
    WhyNot.NUMBER: noted(
        "This service is reached by a number (an IP address). Browsers keep passkeys for names alone."
    ),
    WhyNot.UNFIT: noted(
        "The name by which this service is reached is not one that browsers keep passkeys for."
    ),
    WhyNot.INSECURE: noted(
        "This service is reached without encryption. Browsers keep passkeys for encrypted addresses (https) alone."
    ),
}


@dataclass(frozen=True, slots=True)
class PasskeyLine:
    """One passkey: the id that its form names, what it is called, since when, until when (None: it may sign), and a note."""

    id: str
    name: str
    added: Moment
    removed: Moment | None
    note: str


@dataclass(frozen=True, slots=True)
class AccountPage:
    """The account of whoever looks. `why_not` is the sentence that says why passkeys do not work here, empty where they do."""

    name: str
    login: str
    passkeys: tuple[PasskeyLine, ...]
    zone: str
    why_not: str


def account_page(
    principal: Principal, passkeys: Iterable[PasskeyView], why_not: WhyNot | None, here: Here
) -> AccountPage:
    """Return the page of somebody's own account; passkeys that may sign come first."""
    lines = [_line(view, here) for view in passkeys]
    lines.sort(key=lambda line: line.removed is not None)
    return AccountPage(
        name=principal.name,
        login=principal.login or "",
        passkeys=tuple(lines),
        zone=here.zone_name,
        why_not="" if why_not is None else _(_WHY[why_not]),
    )


def _line(view: PasskeyView, here: Here) -> PasskeyLine:
    note = _("Copied between your devices") if view.synced else _("On one device")
    removed = None if view.removed_at is None else moment(view.removed_at, here)
    return PasskeyLine(view.id, view.name, moment(view.added_at, here), removed, note)
