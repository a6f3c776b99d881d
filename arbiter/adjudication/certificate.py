"""The certificate: everything a decision or an escalation rests on, in one document that a person can follow.

Format `arbiter/certificate/v1`: strings, integers, booleans, arrays and objects only, absent values as absent keys, so
that its canonical bytes can be hashed into the log and recomputed years later. It cites the values that members saw:
patient data, sealed like the rest of the case and released to the requester alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from arbiter.adjudication.bench import Bench, facets_heard, hear
from arbiter.adjudication.certainty import least_probability
from arbiter.adjudication.disagreement import self_consistency
from arbiter.adjudication.probable_words import probable_sentences
from arbiter.adjudication.records import calibration_fault
from arbiter.adjudication.words import option_title, paragraph, quoted, sentence
from arbiter.calibration import Level, Stratum
from arbiter.documents.opinions import opinion_document
from arbiter.documents.outcomes import outcome_document
from arbiter.documents.scalars import decimal_text, instant_text
from arbiter.documents.signing import Fate, Way, fate_of
from arbiter.documents.verdicts import verdict_document
from arbiter.lifecycle.states import DecidedBy
from arbiter.model import (
    ActorId,
    CaseId,
    MemberStatus,
    Opinion,
    PolicyOutcome,
    Verdict,
    VerdictKind,
)
from arbiter.question import Adjudication, Protocol, Seat

FORMAT: Final = "arbiter/certificate/v1"
WORDS: Final = 2
"""The templates that the paragraph is made by: the second say how probable the options are, and what is certified of that."""
TRAINING: Final = "TRAINING: this is a case for practice and decides nothing about anybody's care."


@dataclass(frozen=True, slots=True)
class Signature:
    """A reviewer's signed decision.

    `reviewer` is an opaque id; `meaning` says what the signature stands for. `own_option` is what the reviewer
    committed before the panel was shown, None where policy showed the panel first. `reason_hash` is the SHA-256 (hex) of
    the reason given, None where none was. `fate` is what became of the own opinion, `way` by which two components was signed
    and `shown` the hash of what was shown, where the signature's document says so: the first ones said none of them.
    """

    reviewer: ActorId
    option: str
    own_option: str | None
    meaning: str
    reason_hash: str | None
    signed_at: datetime
    fate: Fate | None = None
    way: Way | None = None
    shown: str | None = None


def certificate(
    *,
    case: CaseId,
    bench: Bench,
    facts_version: int,
    opinions: Sequence[Opinion],
    outcome: PolicyOutcome | None,
    verdict: Verdict,
    code_version: str,
    concluded_at: datetime,
    signature: Signature | None = None,
    training: bool = False,
    consistency: bool = True,
    words: int = WORDS,
    calibration: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the certificate of a decision, an escalation or a wait for facts.

    Args:
        case: the case's opaque id.
        bench: the protocol, the hash of the facts that were judged, and the case's risk class.
        facts_version: the version of these facts, from 1.
        opinions: all opinions about these facts, in any order; none where nobody was asked.
        outcome: the policy's word, None where it was not asked.
        verdict: what adjudication, or the workflow in its place, said.
        code_version: the version of the code that decided.
        concluded_at: aware; when the verdict fell.
        signature: the reviewer's, once there is one.
        training: whether the case is for practice: the document and its paragraph then begin by saying so.
        consistency: whether members that gave several samples have their self-consistency told, as they have since 0.4.0.
        words: by which templates its paragraph is made, 1 or `WORDS`; 1 is what a certificate without `words` has.
        calibration: `calibration_note` of the one the verdict was read from, None where none was.

    Raises:
        UndecidableError: when an opinion is not about these facts or from no seat of the panel.
    """
    protocol, heard = bench.protocol, hear(bench, opinions)
    probable = probable_sentences(protocol, heard, verdict, calibration) if words > 1 else []
    document: dict[str, Any] = {
        "format": FORMAT,
        "case": case,
        "protocol": {
            "id": protocol.id,
            "version": protocol.version,
            "title": protocol.title,
            "hash": protocol.content_hash,
            "policy_hash": protocol.policy_hash,
        },
        "code_version": code_version,
        "question": protocol.question.text,
        "options": [{"id": option.id, "title": option.title} for option in protocol.question.options],
        "facts": {"version": facts_version, "hash": bench.facts_hash},
        "risk_class": bench.risk_class.value,
        "human_required": bench.human_required,
        "concluded_at": instant_text(concluded_at),
        "opinions": _opinions(bench, opinions, verdict, consistency=consistency),
        "facets": facets_heard(bench, heard),
        "settings": _settings(bench.settings) | _asked(bench),
        "verdict": _verdict(verdict),
        "plain": paragraph(
            protocol, heard, outcome, verdict, _signature_sentence(protocol, signature), probable
        ),
    }
    if words > 1:
        document["words"] = words
    if training:
        document |= {"training": True, "plain": f"{TRAINING} {document['plain']}"}
    if outcome is not None:
        document["policy"] = outcome_document(outcome)
    if calibration is not None:
        document["calibration"] = dict(calibration)
    decision = _decision(protocol, verdict, signature)
    if decision is not None:
        document["decision"] = decision
    return document


def _opinions(
    bench: Bench, opinions: Sequence[Opinion], verdict: Verdict, *, consistency: bool
) -> list[dict[str, Any]]:
    """Give each seat's answer in the order of the seats; a seat that was not heard stands as such."""
    by_member = {opinion.member: opinion for opinion in opinions}
    numbers = dict(verdict.numbers)
    documents = []
    for seat in bench.protocol.seats:
        opinion = by_member.get(seat.member)
        document = _opinion(seat, opinion, numbers.get(f"weight.{seat.member}"))
        if (
            consistency
            and opinion is not None
            and opinion.status is MemberStatus.VALID
            and opinion.samples > 1
        ):
            document["self_consistency"] = _self_consistency(bench, opinion)
        documents.append(document)
    return documents


def _opinion(seat: Seat, opinion: Opinion | None, weight: str | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "member": seat.member,
        "title": seat.title,
        "asks": seat.asks,
        "family": seat.family,
        "required": seat.required,
        "veto": list(seat.veto),
        "status": "not-heard",
    }
    if weight is not None:
        document["weight"] = weight
    if opinion is not None:
        document |= opinion_document(opinion)
        leading = opinion.leading_option() if opinion.status is MemberStatus.VALID else None
        if leading is not None:
            document["leading"] = leading
    return document


def _self_consistency(bench: Bench, opinion: Opinion) -> str:
    """Return how far a member's own samples agree, 0 to 1; those that voted for nothing are none of them."""
    votes = dict(opinion.votes)
    options = bench.protocol.options_for(opinion.asks)
    shares = [votes.get(option.id, 0) / opinion.valid_samples for option in options]
    return f"{self_consistency(shares):.6f}"


def _settings(settings: Adjudication) -> dict[str, Any]:
    document: dict[str, Any] = {
        "strategy": settings.strategy.value,
        "automatic": settings.automatic,
        "least_valid": settings.least_valid,
        "least_families": settings.least_families,
        "least_effective": decimal_text(settings.least_effective),
        "greatest_between": decimal_text(settings.greatest_between),
        "greatest_within": decimal_text(settings.greatest_within),
        "family_correlation": decimal_text(settings.family_correlation),
        "asks_for_facts": settings.asks_for_facts,
    }
    if settings.facts_on:
        document["facts_on"] = [code.value for code in settings.facts_on]
    if settings.threshold is not None:
        document["threshold"] = decimal_text(settings.threshold)
    if settings.guarantee is not None:
        document["guarantee"] = {
            "delta": decimal_text(settings.guarantee.delta),
            "error_rates": {option: decimal_text(rate) for option, rate in settings.guarantee.error_rates},
        }
    return document


def _asked(bench: Bench) -> dict[str, Any]:
    """Say that an error rate was asked for, or the panel stopped, where it was: older certificates stay as they are."""
    asked = {"needs_error_rate": bench.needs_error_rate, "stopped": bench.stopped}
    return {name: True for name, held in asked.items() if held}


def calibration_note(
    bench: Bench, opinions: Sequence[Opinion], verdict: Verdict, words: int = WORDS
) -> dict[str, Any] | None:
    """Return what a certificate says of the calibration its numbers were read from, which is kept under its hash.

    Beside its hash that is what is certified of deciding for the option that leads, and, where members are missing, how
    probable that option is at least, whatever they had said. None where nothing was read.
    """
    calibration = bench.calibration
    if calibration is None:
        return None
    document: dict[str, Any] = {
        "hash": calibration.content_hash,
        "delta": decimal_text(calibration.delta),
        "labels": sum(count for _, count in calibration.labels.provenance),
        "synthetic": calibration.labels.synthetic,
        "code_version": calibration.code_version,
    }
    if words == 1 or verdict.leading is None or calibration_fault(bench) is not None:
        return document
    stratum = calibration.stratum(verdict.leading)
    if stratum is not None:
        document["stratum"] = _stratum(stratum)
    if any(voice.is_missing and voice.votes_on_question for voice in hear(bench, opinions)):
        least = least_probability(bench, opinions, verdict.leading)
        if least is not None:
            document["least_probability"] = f"{least:.6f}"
    return document


def _stratum(stratum: Stratum) -> dict[str, Any]:
    """Give the level that holds; where none does, the first that was tried, which failed."""
    document: dict[str, Any] = {"option": stratum.option, "alpha": decimal_text(stratum.alpha)}
    if stratum.certified is not None:
        document["certified"] = _level(stratum.certified)
    elif stratum.tested:
        document["failed"] = _level(stratum.tested[0])
    return document


def _level(level: Level) -> dict[str, Any]:
    return {
        "threshold": decimal_text(level.threshold),
        "cases": level.accepted,
        "errors": level.errors,
        "bound": decimal_text(level.bound),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    document = verdict_document(verdict)
    for given, reason in zip(document["reasons"], verdict.reasons, strict=True):
        given["sentence"] = sentence(reason)
    return document


def _decision(protocol: Protocol, verdict: Verdict, signature: Signature | None) -> dict[str, Any] | None:
    """A signature decides; without one only the panel's own verdict does."""
    if signature is None:
        if verdict.kind is not VerdictKind.DECIDE or verdict.option is None:
            return None
        return {
            "option": verdict.option,
            "title": option_title(protocol, verdict.option),
            "by": DecidedBy.PANEL.value,
        }
    signed: dict[str, Any] = {
        "reviewer": signature.reviewer,
        "meaning": signature.meaning,
        "own_opinion": _fate(signature).value,
        "signed_at": instant_text(signature.signed_at),
    }
    if signature.own_option is not None:
        signed["own_option"] = signature.own_option
    if signature.reason_hash is not None:
        signed["reason_hash"] = signature.reason_hash
    if signature.way is not None:
        signed["way"] = signature.way.value
    if signature.shown is not None:
        signed["shown"] = signature.shown
    return {
        "option": signature.option,
        "title": option_title(protocol, signature.option),
        "by": DecidedBy.REVIEWER.value,
        "signature": signed,
    }


def _fate(signature: Signature) -> Fate:
    """Return what became of the own opinion; where the signature does not say, nothing was called adopted yet."""
    return signature.fate or fate_of(signature.option, signature.own_option, None)


def _signature_sentence(protocol: Protocol, signature: Signature | None) -> str:
    if signature is None:
        return ""
    title = quoted(option_title(protocol, signature.option))
    fate = _fate(signature)
    if signature.own_option is None:
        adopted = ", adopted what it leant to" if fate is Fate.ADOPTED else ""
        return f"A clinician saw the panel first, as policy allows here{adopted}, and signed: {title}."
    if fate is Fate.KEPT:
        return f"A clinician judged alone first, kept that judgement after seeing the panel, and signed: {title}."
    own = quoted(option_title(protocol, signature.own_option))
    adopted = " adopted what it leant to," if fate is Fate.ADOPTED else ""
    return f"A clinician judged alone first: {own}; then, having seen the panel,{adopted} gave a reason and signed: {title}."
