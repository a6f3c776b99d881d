"""Turns recorded inputs into a verdict and its certificate, live, in replay, and in the hands of an outsider alike.

Whatever a certificate is made from is recorded beside it (facts, opinions, the protocol by hash, a signature), so that
`certificate_again` can make each again and its bytes can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from typing import Protocol as Structure

from arbiter import __version__
from arbiter.adjudication.bench import Bench
from arbiter.adjudication.certificate import WORDS, Signature, calibration_note, certificate
from arbiter.adjudication.deciding import escalation
from arbiter.adjudication.replay import recompute
from arbiter.adjudication.signatures import Kept, signature_block
from arbiter.calibration import Calibration
from arbiter.documents.canonical import decode, encode
from arbiter.documents.opinions import opinion_from
from arbiter.documents.outcomes import outcome_from
from arbiter.documents.taken import TakenFacts
from arbiter.documents.verdicts import verdict_from
from arbiter.errors import UndecidableError, VerificationError
from arbiter.lifecycle.states import DecidedBy
from arbiter.model import (
    CaseId,
    FactSet,
    Opinion,
    PolicyOutcome,
    Reason,
    ReasonCode,
    RiskClass,
    RuleEffect,
    Verdict,
)
from arbiter.question import Protocol, Strategy

_CONSISTENCY = "self_consistency"
_CALIBRATION = "calibration"
_WORDS = "words"
_NOT_THE_PANELS = frozenset({ReasonCode.DEADLINE, ReasonCode.WITHDRAWN, ReasonCode.FAULT})


class Rulebook(Structure):
    """A protocol and the word of its policy: evaluated where a case is decided, recorded where it is checked."""

    @property
    def protocol(self) -> Protocol:
        """The protocol."""
        ...

    def outcome(
        self, taken: TakenFacts, facets: Mapping[str, str], risk_class: RiskClass, valid: int
    ) -> PolicyOutcome:
        """Return the policy's word on these facts, answers to facets, and number of valid voting members."""
        ...

    def exclusion_reasons(self, taken: TakenFacts) -> tuple[Reason, ...]:
        """Return why no member may be asked about these facts."""
        ...


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a certificate says beside the panel's part; `code_version` is that of the code that concluded.

    `automatic` says whether this installation may decide anything without a clinician. `consistency` says whether each
    member's self-consistency is told, `words` by which templates the paragraph is made: certificates from before are made
    again as they were. `calibration` is the one in force, None where there is none or none is read. `needs_error_rate` says
    whether what is decided alone here needs a stated error rate, which it did not always; `stopped`, whether an alarm keeps the
    panel from deciding alone.
    """

    case: CaseId
    risk_class: RiskClass
    human_required: bool
    automatic: bool
    concluded_at: datetime
    code_version: str = __version__
    training: bool = False
    consistency: bool = True
    words: int = WORDS
    calibration: Calibration | None = None
    needs_error_rate: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with the policy's word on it, and the certificate of both (canonical JSON)."""

    verdict: Verdict
    outcome: PolicyOutcome | None
    certificate: bytes
    needs_second_reader: bool = False

    @property
    def shows_panel_first(self) -> bool:
        """True when policy lets the reviewer see the panel before judging alone."""
        return self.outcome is not None and self.outcome.shows_panel_first


def adjudicate(
    around: Circumstances, rulebook: Rulebook, taken: TakenFacts, opinions: tuple[Opinion, ...]
) -> Judged:
    """Weigh what the panel said. What must not be weighed together goes to a human."""
    bench = _bench(around, rulebook, taken)

    def policy(
        _facts: FactSet, facets: Mapping[str, str], risk_class: RiskClass, valid: int
    ) -> PolicyOutcome:
        return rulebook.outcome(taken, facets, risk_class, valid)

    try:
        outcome, verdict = recompute(bench, taken.facts, opinions, policy)
    except UndecidableError as error:
        reasons = (Reason(ReasonCode.FAULT, str(error)),)
        return Judged(
            escalation(reasons),
            None,
            escalation_certificate(around, rulebook, taken, (), reasons),
            needs_second_reader(rulebook.protocol, None),
        )
    note = calibration_note(bench, opinions, verdict, around.words)
    return Judged(
        verdict,
        outcome,
        _render(around, rulebook, taken, opinions, outcome, verdict, calibration=note),
        needs_second_reader(rulebook.protocol, outcome),
    )


def needs_second_reader(protocol: Protocol, outcome: PolicyOutcome | None) -> bool:
    """Return whether two readers are needed: where policy says so, and where it could not be asked whether it does."""
    if not any(rule.effect is RuleEffect.SECOND_READER for rule in protocol.rules):
        return False
    return outcome is None or bool(outcome.failures) or outcome.needs_second_reader


def escalation_certificate(
    around: Circumstances,
    rulebook: Rulebook,
    taken: TakenFacts,
    opinions: tuple[Opinion, ...],
    reasons: tuple[Reason, ...],
) -> bytes:
    """Return the certificate of a case that goes to a human for the workflow's own reasons."""
    return _render(around, rulebook, taken, opinions, None, escalation(reasons))


def signed_certificate(
    around: Circumstances,
    rulebook: Rulebook,
    taken: TakenFacts,
    opinions: tuple[Opinion, ...],
    shown: Mapping[str, Any],
    signature: bytes,
) -> bytes:
    """Return the certificate of a reviewer's decision: the panel's part as it was shown, and the signature.

    Raises:
        VerificationError: when what was shown is in words that this code does not know.
    """
    as_shown = replace(around, words=_words_of(shown))
    block = signature_block(decode(signature))
    outcome = outcome_from(shown["policy"]) if "policy" in shown else None
    note = shown.get(_CALIBRATION)
    return _render(as_shown, rulebook, taken, opinions, outcome, verdict_in(shown), block, calibration=note)


def _words_of(recorded: Mapping[str, Any]) -> int:
    """Return by which templates a certificate's paragraph was made: before it said so, by the first."""
    stated = recorded.get(_WORDS, 1)
    if not isinstance(stated, int) or not 1 <= stated <= WORDS:
        raise VerificationError(
            f"expected a certificate in words 1 to {WORDS}, came {stated!r:.20}: newer code made it, or nobody"
        )
    return stated


def verdict_in(document: Mapping[str, Any]) -> Verdict:
    """Return the verdict a certificate states, without the sentences made from it."""
    stated = dict(document["verdict"])
    stated["reasons"] = [
        {name: value for name, value in reason.items() if name != "sentence"} for reason in stated["reasons"]
    ]
    return verdict_from(stated)


def _render(
    around: Circumstances,
    rulebook: Rulebook,
    taken: TakenFacts,
    opinions: tuple[Opinion, ...],
    outcome: PolicyOutcome | None,
    verdict: Verdict,
    signature: Signature | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> bytes:
    bench = _bench(around, rulebook, taken)
    return encode(
        certificate(
            case=around.case,
            bench=bench,
            facts_version=taken.facts.version,
            opinions=opinions,
            outcome=outcome,
            verdict=verdict,
            code_version=around.code_version,
            concluded_at=around.concluded_at,
            signature=signature,
            training=around.training,
            consistency=around.consistency,
            words=around.words,
            calibration=calibration,
        )
    )


def _bench(around: Circumstances, rulebook: Rulebook, taken: TakenFacts) -> Bench:
    """Return what the panel is weighed against; where nothing may be decided alone, no protocol is automatic."""
    settings = rulebook.protocol.adjudication
    adjudication = replace(settings, automatic=settings.automatic and around.automatic)
    protocol = replace(rulebook.protocol, adjudication=adjudication)
    reads = settings.strategy is Strategy.POSTERIOR
    return Bench(
        protocol,
        taken.hash,
        around.risk_class,
        around.human_required,
        around.calibration if reads else None,
        # Where a clinician decides by the protocol itself, nothing is missed by its stating no rate.
        needs_error_rate=around.needs_error_rate and settings.automatic,
        stopped=around.stopped and settings.automatic,
    )


def certificate_again(
    case: CaseId,
    risk_class: RiskClass,
    rulebook: Rulebook,
    before: Sequence[Kept],
    recorded: Mapping[str, Any],
    *,
    training: bool,
    calibration: Calibration | None = None,
) -> bytes:
    """Return the certificate that the inputs recorded `before` it make, oldest first; `recorded` says when and how.

    `calibration` is the one that `calibration_read` names.

    Raises:
        VerificationError: when an input is not there; RefusedError: when one cannot be read.
    """
    around = Circumstances(
        case=case,
        risk_class=risk_class,
        human_required=recorded["human_required"],
        automatic=recorded["settings"]["automatic"],
        concluded_at=datetime.fromisoformat(recorded["concluded_at"]),
        code_version=recorded["code_version"],
        training=training,
        consistency=any(_CONSISTENCY in opinion for opinion in recorded["opinions"]),
        words=_words_of(recorded),
        calibration=calibration,
        needs_error_rate=recorded["settings"].get("needs_error_rate", False),
        stopped=recorded["settings"].get("stopped", False),
    )
    facts = _latest(before, "facts")
    taken = TakenFacts.decode(facts.content)
    opinions = tuple(
        opinion_from(decode(kept.content))
        for kept in before
        if kept.name == "opinion" and kept.seq > facts.seq
    )
    if recorded.get("decision", {}).get("by") == DecidedBy.REVIEWER.value:
        shown = decode(_latest(before, "certificate").content)
        signature = _latest(before, "signature").content
        return signed_certificate(around, rulebook, taken, opinions, shown, signature)
    said = verdict_in(recorded)
    excluded = rulebook.exclusion_reasons(taken)
    if excluded:
        return escalation_certificate(around, rulebook, taken, (), excluded)
    if {reason.code for reason in said.reasons} & _NOT_THE_PANELS:
        # Clocks and faults are not recomputed: the log says when and why, the certificate must say the same.
        return escalation_certificate(around, rulebook, taken, opinions, said.reasons)
    return adjudicate(around, rulebook, taken, opinions).certificate


def calibration_read(recorded: Mapping[str, Any]) -> str | None:
    """Return the hash of the calibration that a certificate's numbers were read from, None where none was."""
    note = recorded.get(_CALIBRATION)
    return None if note is None else str(note["hash"])


def words_of_recomputing(recorded: Mapping[str, Any], content: bytes, again: bytes) -> str:
    """Return in words whether a certificate, `recorded` once decoded, came out as the same bytes again."""
    found = "the same bytes" if again == content else "OTHER BYTES than recorded"
    return f"{headline(recorded)}: recomputed to {found} ({len(content)})"


def headline(recorded: Mapping[str, Any]) -> str:
    """Return what a certificate concludes: the title of the option decided on, else the kind of its verdict."""
    said = recorded["decision"]["title"] if "decision" in recorded else recorded["verdict"]["kind"]
    return str(said)


def _latest(before: Sequence[Kept], name: str) -> Kept:
    for kept in reversed(before):
        if kept.name == name:
            return kept
    raise VerificationError(f"expected a document {name} before this certificate, came none")
