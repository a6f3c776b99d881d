"""Certificates and the grounds beside them, made up a part at a time, and the page that they make."""

from __future__ import annotations

from typing import Any

from arbiter.model import MemberId
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import CitableFact, Draws, Grounds, RefusedCitation, RevealedCase
from clinician_ui.presenters.case import case_page
from clinician_ui.presenters.panel import PanelPage, panel_page
from tests.clinician_ui.test_presenters import HERE, blind, fact

OWN = OwnOpinion("yes", 70, ("respiratory_rate", "lactate"), "a note")
FACTS = (
    CitableFact("respiratory_rate", "Respiratory rate", "24", (), too_old=False),
    CitableFact("heart_rate", "Heart rate", "112", (), too_old=False),
    CitableFact(
        "consciousness",
        "Consciousness",
        "pain",
        (("pain", "Responds to pain"), ("alert", "Alert")),
        too_old=False,
    ),
    CitableFact("temperature", "Temperature", "38.6", (), too_old=True),
    CitableFact("lactate", "Blood lactate", None, (), too_old=False),
)
CASE = blind(
    fact(),
    fact("112", "/min", name="heart_rate", title="Heart rate"),
    fact("Responds to pain", None, name="consciousness", title="Consciousness"),
    fact("38.6", "Cel", name="temperature", title="Temperature", stale=True),
)


def seat(member: str, leading: str | None, status: str = "valid", **changes: object) -> dict[str, Any]:
    """A seat's answer as a certificate has it."""
    document: dict[str, Any] = {
        "member": member,
        "title": f"Score {member}",
        "asks": "question",
        "family": "bedside-observations",
        "required": False,
        "veto": [],
        "status": status,
        "votes": {} if leading is None else {leading: 1},
        "samples": 1,
        "evidence": [],
        "missing": [],
        "rationale": "",
    }
    if leading is not None:
        document["leading"] = leading
    return document | changes


def cites(name: str, value: str, points: int | None = None, finding: str = "so") -> dict[str, Any]:
    """A citation as a certificate has it."""
    cited: dict[str, Any] = {"fact": name, "value": value, "finding": finding}
    return cited if points is None else cited | {"points": points}


def certificate(*seats: dict[str, Any], **changes: object) -> dict[str, Any]:
    """A certificate of an escalation."""
    return {
        "format": "arbiter/certificate/v1",
        "options": [
            {"id": "yes", "title": "Yes, now"},
            {"id": "no", "title": "No"},
            {"id": "later", "title": "Later"},
        ],
        "opinions": list(seats),
        "facets": {},
        "settings": settings(),
        "verdict": verdict(),
        "plain": "The question: Urgent?",
    } | changes


def settings(**changes: object) -> dict[str, Any]:
    """The settings that a page reads."""
    return {
        "strategy": "weighted",
        "greatest_between": "0.5",
        "greatest_within": "0.5",
        "least_valid": 2,
        "least_families": 2,
        "least_effective": "1.2",
    } | changes


def verdict(**changes: object) -> dict[str, Any]:
    """A verdict without reasons or numbers."""
    return {"kind": "escalate", "reasons": [], "numbers": [], "wanted": []} | changes


def measured(**numbers: str) -> dict[str, Any]:
    """A verdict with these numbers."""
    return verdict(numbers=numbered(numbers))


def numbered(numbers: dict[str, str]) -> list[dict[str, str]]:
    """Numbers as a verdict lists them."""
    return [{"name": name, "value": value} for name, value in numbers.items()]


def drawn(member: str, *citations: RefusedCitation, **counts: int) -> Draws:
    """How a member's samples ended."""
    ended = {"abstained": 0, "refused": 0, "unreadable": 0, "uncounted": 0, "further": 0} | counts
    return Draws(member=MemberId(member), citations=citations, **ended)


def revealed(
    document: dict[str, Any],
    own: OwnOpinion | None = OWN,
    *draws: Draws,
    owners: tuple[tuple[str, str], ...] = (),
) -> RevealedCase:
    """A revealed case with that certificate."""
    return RevealedCase(blind=CASE, own=own, certificate=document, grounds=Grounds(FACTS, draws, owners))


def shown(
    *seats: dict[str, Any],
    own: OwnOpinion | None = OWN,
    draws: tuple[Draws, ...] = (),
    owners: tuple[tuple[str, str], ...] = (),
    **changes: object,
) -> PanelPage:
    """The panel's page for these seats."""
    case = revealed(certificate(*seats, **changes), own, *draws, owners=owners)
    return panel_page(case, case_page(CASE, HERE))
