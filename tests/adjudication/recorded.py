"""Records cases with their certificates, and opens what was recorded: certificates of older code are made again as they were.

`python -m tests.adjudication.recorded FILE` writes the cases with the certificates that the code of that moment makes.
`certificates_before_words.json` was written so by the code before certificates said by which words their paragraph is made.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbiter.adjudication.certifying import (
    Circumstances,
    adjudicate,
    calibration_read,
    certificate_again,
    escalation_certificate,
    signed_certificate,
)
from arbiter.calibration import Calibration, Level
from arbiter.documents.calibrations import calibration_bytes, calibration_from, sealed
from arbiter.documents.canonical import decode, encode
from arbiter.documents.opinions import opinion_document, opinion_from
from arbiter.documents.protocols import protocol_document, protocol_from
from arbiter.documents.scalars import instant_text
from arbiter.documents.taken import TakenFacts
from arbiter.evaluation.asking import TAKEN_AT, StandingClock
from arbiter.model import CaseId, MemberId, MemberStatus, Opinion, Reason, ReasonCode, RiskClass
from arbiter.panels.panel import address, ask_panel
from arbiter.policy import Ruling, compile_policy
from arbiter.protocols.intake import take_facts
from arbiter.protocols.loader import read_shipped
from arbiter.question import Protocol, Strategy
from arbiter.workflow.shelf import Shelved, shelve
from tests.houses import facts

SICK = {
    "respiratory_rate": (Decimal(32), "/min"),
    "spo2": (Decimal(89), "%"),
    "heart_rate": (Decimal(134), "/min"),
    "consciousness": ("confusion", None),
}
LATER = TAKEN_AT + timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """A document of a case: the entry that would commit to it, its name and its bytes."""

    seq: int
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """A case with everything its certificates are made from; `calibrations` by their hashes."""

    name: str
    protocol: Protocol
    documents: tuple[Kept, ...]
    calibrations: Mapping[str, Calibration]
    training: bool

    def certificates(self) -> Iterator[Kept]:
        return (kept for kept in self.documents if kept.name == "certificate")

    def opinions(self) -> tuple[Opinion, ...]:
        return tuple(opinion_from(decode(kept.content)) for kept in self.documents if kept.name == "opinion")

    def again(self, certificate: Kept, recorded: Mapping[str, Any] | None = None) -> bytes:
        """Make a certificate again; `recorded` is what it is said to state, if not what it states."""
        stated = decode(certificate.content) if recorded is None else recorded
        named = calibration_read(stated)
        return certificate_again(
            CaseId(self.name),
            RiskClass.ROUTINE,
            Ruling(self.protocol, compile_policy(self.protocol)),
            [kept for kept in self.documents if kept.seq < certificate.seq],
            stated,
            training=self.training,
            calibration=None if named is None else self.calibrations[named],
        )


def opened(path: Path) -> tuple[Recorded, ...]:
    """Return the cases that a file holds."""
    written = json.loads(path.read_text(encoding="utf-8"))
    protocols = [protocol_from(document) for document in written["protocols"]]
    known = [calibration_from(text.encode()) for text in written["calibrations"]]
    texts = [text.encode() for text in written["texts"]]
    return tuple(
        Recorded(
            case["name"],
            protocols[case["protocol"]],
            tuple(Kept(seq, name, texts[at]) for seq, (name, at) in enumerate(case["documents"])),
            {calibration.content_hash: calibration for calibration in known},
            case["training"],
        )
        for case in written["cases"]
    )


# --- recording ----------------------------------------------------------------------------------------------------------


class Recorder:
    """Puts one patient to a panel and writes down what came."""

    def __init__(self) -> None:
        self.shelved: Shelved = shelve(read_shipped("deterioration"))
        shipped = self.shelved.bundle.calibration
        assert shipped is not None
        self.shipped: Calibration = shipped
        self.protocols: list[Protocol] = []
        self.calibrations: list[Calibration] = []
        self.texts: list[str] = []
        self.cases: list[dict[str, Any]] = []

    def taken(self, **changes: Any) -> TakenFacts:
        question = self.shelved.protocol.question
        return TakenFacts.of(take_facts(question, facts(TAKEN_AT, **changes), TAKEN_AT), TAKEN_AT)

    def heard(self, taken: TakenFacts) -> tuple[Opinion, ...]:
        protocol = self.shelved.protocol
        asked = address(protocol, taken.facts, taken.hash, TAKEN_AT, LATER, 7, RiskClass.ROUTINE)

        async def ask() -> dict[MemberId, Opinion]:
            returned = ask_panel(self.shelved.members, asked, StandingClock())
            return {each.opinion.member: each.opinion async for each in returned}

        found = asyncio.run(ask())
        return tuple(found[seat.member] for seat in protocol.seats)

    def levels(self, **held: Level | None) -> Calibration:
        """Return the shipped calibration with another level for some options; None: the strictest tried failed."""
        failed = Level(Decimal("0.999388"), 60, 4, Decimal("0.145657"))
        strata = tuple(
            stratum
            if (name := stratum.option.replace("-", "_")) not in held
            else replace(stratum, certified=held[name], tested=(held[name] or failed,))
            for stratum in self.shipped.strata
        )
        return sealed(replace(self.shipped, strata=strata))

    def case(
        self,
        name: str,
        taken: TakenFacts,
        opinions: tuple[Opinion, ...],
        calibration: Calibration | None,
        *,
        protocol: Protocol | None = None,
        signed: tuple[str, str] | None = None,
        reasons: tuple[Reason, ...] = (),
        training: bool = False,
    ) -> None:
        ruled = self.shelved.protocol if protocol is None else protocol
        ruling = Ruling(ruled, compile_policy(ruled))
        around = Circumstances(
            CaseId(name), RiskClass.ROUTINE, False, True, LATER, training=training, calibration=calibration
        )
        excluded = ruling.exclusion_reasons(taken)
        documents = [("facts", taken.encode())]
        documents += [("opinion", encode(opinion_document(opinion))) for opinion in opinions]
        if excluded or reasons:
            shown = escalation_certificate(around, ruling, taken, opinions, excluded or reasons)
        else:
            shown = adjudicate(around, ruling, taken, opinions).certificate
        documents.append(("certificate", shown))
        if signed is not None:
            own, option = signed
            signature = {
                "reviewer": "a_anna",
                "name": "Anna",
                "option": option,
                "own_option": own,
                "meaning": "I have judged this case myself.",
                "reason": "" if own == option else "the trend",
                "shown": "0" * 64,
                "signed_at": instant_text(LATER),
            }
            documents.append(("signature", encode(signature)))
            again = signed_certificate(around, ruling, taken, opinions, decode(shown), encode(signature))
            documents.append(("certificate", again))
        if calibration is not None and calibration not in self.calibrations:
            self.calibrations.append(calibration)
        if ruled not in self.protocols:
            self.protocols.append(ruled)
        written = [(kind, self.text(content.decode())) for kind, content in documents]
        at = self.protocols.index(ruled)
        self.cases.append({"name": name, "protocol": at, "training": training, "documents": written})

    def text(self, text: str) -> int:
        """Return where a text stands; what several cases hold stands once."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text)

    def written(self) -> str:
        document = {
            "protocols": [protocol_document(protocol) for protocol in self.protocols],
            "calibrations": [calibration_bytes(known).decode() for known in self.calibrations],
            "cases": self.cases,
            "texts": self.texts,
        }
        return json.dumps(document, ensure_ascii=False, indent=0) + "\n"


def missing(opinions: tuple[Opinion, ...], *members: str) -> tuple[Opinion, ...]:
    """Return the opinions with some members' server away."""
    return tuple(
        replace(each, status=MemberStatus.DOWN, votes=(), evidence=(), rationale="")
        if each.member in members
        else each
        for each in opinions
    )


def record() -> str:
    """Return a file of cases: each way in which one can end, under the posterior and without."""
    recorder = Recorder()
    calm, sick = recorder.taken(), recorder.taken(**SICK)
    ease, alarm = recorder.heard(calm), recorder.heard(sick)
    none = recorder.levels(urgent_review=None)
    high = recorder.levels(urgent_review=Level(Decimal("0.999999"), 378, 1, Decimal("0.012488")))
    level = recorder.levels(urgent_review=Level(Decimal("0.931"), 385, 1, Decimal("0.012262")))
    stranger = sealed(replace(recorder.shipped, protocol_hash="0" * 64))
    settings = replace(
        recorder.shelved.protocol.adjudication,
        strategy=Strategy.MAJORITY,
        threshold=Decimal("0.6"),
        guarantee=None,
    )
    recorder.case("calm", calm, ease, recorder.shipped)
    recorder.case("sick", sick, alarm, recorder.shipped)
    recorder.case("practice", sick, alarm, recorder.shipped, training=True)
    recorder.case("one-missing", calm, missing(ease, "cart"), recorder.shipped)
    recorder.case("one-missing-and-decided", sick, missing(alarm, "sirs"), recorder.shipped)
    recorder.case("above-a-level", sick, alarm, level)
    recorder.case("all-missing", calm, missing(ease, "news2", "mews", "cart"), recorder.shipped)
    recorder.case("not-certain-enough", sick, alarm, high, signed=("urgent-review", "urgent-review"))
    recorder.case("nothing-certified", sick, alarm, none, signed=("continue-monitoring", "urgent-review"))
    recorder.case("no-calibration", sick, alarm, None)
    recorder.case("of-another-protocol", sick, alarm, stranger)
    several = tuple(
        replace(each, votes=(("continue-monitoring", 1), ("urgent-review", 3)), samples=4)
        if each.member == "mews"
        else each
        for each in alarm
    )
    recorder.case("several-samples", sick, several, recorder.shipped)
    unlike = tuple(
        replace(each, identity=replace(each.identity, version="another")) if each.member == "mews" else each
        for each in alarm
    )
    recorder.case("another-member", sick, unlike, recorder.shipped)
    recorder.case("excluded", recorder.taken(pregnant=(True, None)), (), recorder.shipped)
    late = (Reason(ReasonCode.DEADLINE, "the panel's time"),)
    recorder.case("late", sick, alarm[:2], recorder.shipped, reasons=late)
    majority = replace(recorder.shelved.protocol, adjudication=settings)
    recorder.case("by-majority", sick, alarm, None, protocol=majority)
    return recorder.written()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(record(), encoding="utf-8")
