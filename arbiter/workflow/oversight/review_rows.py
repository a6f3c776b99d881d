"""What a signed review comes to in relations and instants, made from the case as it was signed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from arbiter.audit.entry import Entry
from arbiter.errors import VerificationError
from arbiter.lifecycle.entries import EntryType
from arbiter.model import MemberStatus, ReasonCode
from arbiter.question import QUESTION
from arbiter.store.cases.heads import CaseRow
from arbiter.store.review_figures import ReviewFigure, ReviewOutcome

_TO_CLINICIANS: Final = frozenset({EntryType.ESCALATED, EntryType.CONTESTED, EntryType.WITHDRAWN})


def review_figure(
    row: CaseRow,
    entries: Sequence[Entry],
    shown: Mapping[str, Any],
    own: str | None,
    final: str,
    now: datetime,
) -> ReviewFigure:
    """Return the figure of a review.

    Args:
        row: the case's head just before the signature.
        entries: the case's until then, oldest first.
        shown: the certificate that the reviewer was shown.
        own: what the reviewer had committed before the panel, None where policy showed the panel first.
        final: the option that is signed.
        now: when it is signed.

    Raises:
        VerificationError: when the entries tell of no escalation, or of nobody who took the case.
    """
    leading = leading_in(shown)
    came = _last(entries, _TO_CLINICIANS)
    since = [] if came is None else [entry for entry in entries if entry.seq > came.seq]
    taken = next((entry for entry in since if entry.type == EntryType.CLAIMED), None)
    if came is None or taken is None:
        raise VerificationError(f"the entries of case {row.id} tell of no clinician's review")
    contested = came.type == EntryType.CONTESTED
    return ReviewFigure(
        case=row.id,
        site=row.site,
        protocol=row.protocol_id,
        protocol_hash=row.protocol_hash,
        risk_class=row.state.risk_class,
        training=row.state.training,
        planted=row.state.planted,
        escalated_at=came.at,
        claimed_at=taken.at,
        signed_at=now,
        overdue=row.state.overdue or (row.state.due_at is not None and now > row.state.due_at),
        own_is_final=_same(own, final),
        leading_is_final=_same(leading, final),
        own_is_leading=_same(own, leading),
        reasons=(ReasonCode.CONTESTED.value,) if contested else reasons_in(shown),
        families=families_in(shown),
    )


def review_outcome(
    source: str, right: str, shown: Mapping[str, Any], own: str | None, final: str, at: datetime
) -> ReviewOutcome:
    """Return which answers of a review turned out right, given the option that was `right`."""
    leading = leading_in(shown)
    return ReviewOutcome(source, _same(own, right), _same(leading, right), final == right, at)


def leading_in(certificate: Mapping[str, Any]) -> str | None:
    """Return the option that a panel leant to, None where it leant to none or was not asked."""
    verdict = certificate["verdict"]
    leading = verdict.get("option", verdict.get("leading"))
    return None if leading is None else str(leading)


def reasons_in(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the codes by which a certificate escalates, each once, in its order."""
    return tuple(dict.fromkeys(str(reason["code"]) for reason in certificate["verdict"]["reasons"]))


def families_in(certificate: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return what each family's members gave to the question: 0 the leading option, from 1 the others as they come.

    The numbers mean something within their case alone: who reads them learns who agreed, and not on what.
    """
    leading = leading_in(certificate)
    numbers = {} if leading is None else {leading: 0}
    found: dict[str, dict[str, int]] = {}
    for opinion in certificate["opinions"]:
        if opinion["asks"] == QUESTION and opinion["status"] == MemberStatus.VALID and "leading" in opinion:
            number = numbers.setdefault(opinion["leading"], max(numbers.values(), default=0) + 1)
            found.setdefault(opinion["family"], {})[opinion["member"]] = number
    return found


def _same(one: str | None, other: str | None) -> bool | None:
    return None if one is None or other is None else one == other


def _last(entries: Iterable[Entry], types: Iterable[EntryType]) -> Entry | None:
    wanted = frozenset(types)
    return next((entry for entry in reversed([*entries]) if entry.type in wanted), None)
