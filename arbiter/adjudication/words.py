"""Says in plain English, by template and never by a model, what happened to a case and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from arbiter.adjudication.bench import Heard
from arbiter.model import MemberStatus, PolicyOutcome, Reason, ReasonCode, RuleEffect, Verdict, VerdictKind
from arbiter.question import QUESTION, Protocol

SENTENCES: Final[Mapping[ReasonCode, str]] = MappingProxyType(
    {
        ReasonCode.EXCLUDED: "The question is not meant for this patient, so no member was asked",
        ReasonCode.EXCLUSION_UNKNOWN: "Nobody can rule out that the question is not meant for this patient",
        ReasonCode.NEVER_AUTOMATIC: "Nothing under this protocol is decided here without a clinician",
        ReasonCode.STOPPED: "What this panel decides alone is stopped for the time being",
        ReasonCode.HUMAN_REQUIRED: "A clinician has been involved or asked for, so the panel no longer decides alone",
        ReasonCode.NO_ERROR_RATE: "No error rate is stated for this strategy, so it decides nothing here without a clinician",
        ReasonCode.NO_CALIBRATION: "Nothing is known of how often this panel is right, so it decides nothing alone",
        ReasonCode.UNRECORDED_MEMBER: "A member that answered is not the one whose record is known",
        ReasonCode.REQUIRED_MEMBER: "A member whose answer is needed gave none",
        ReasonCode.TOO_FEW_VALID: "Too few members gave a valid answer",
        ReasonCode.TOO_FEW_FAMILIES: "The answers come from too few families of members",
        ReasonCode.TOO_FEW_EFFECTIVE: "The members that answered are too alike to count for enough",
        ReasonCode.MISSING_COULD_CHANGE: "The answer of a member that is missing could change the outcome",
        ReasonCode.VETO: "A member that may not be outvoted disagrees",
        ReasonCode.DISAGREEMENT_BETWEEN: "The members disagree with one another more than is allowed",
        ReasonCode.DISAGREEMENT_WITHIN: "Members are in two minds themselves more than is allowed",
        ReasonCode.NO_MAJORITY: "No option has the support that the protocol asks for",
        ReasonCode.NOT_CERTIFIED: "The answer is less certain than the stated error rate asks for",
        ReasonCode.NEAR_THRESHOLD: "A measure is too close to its limit to be told from it",
        ReasonCode.POLICY_DENIES: "The hospital's policy asks for a clinician",
        ReasonCode.POLICY_SILENT: "No rule of the hospital's policy permits a decision without a clinician",
        ReasonCode.POLICY_FAILED: "A rule of the hospital's policy could not be evaluated",
        ReasonCode.POLICY_EXCLUDES_OPTION: "The hospital's policy does not leave this answer open",
        ReasonCode.FACTS_MISSING: "Facts are missing that would let the panel answer",
        ReasonCode.DEADLINE: "The time allowed was over",
        ReasonCode.CONTESTED: "The decision has been contested",
        ReasonCode.WITHDRAWN: "The decision was withdrawn before anybody saw it",
        ReasonCode.FAULT: "The work on the case failed",
    }
)

_COUNTS: Final = ("None", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


def sentence(reason: Reason) -> str:
    """Return a reason as one sentence, with the numbers or names behind it."""
    detail = reason.detail.strip().rstrip(".")
    return f"{SENTENCES[reason.code]}: {detail}." if detail else f"{SENTENCES[reason.code]}."


def paragraph(
    protocol: Protocol,
    heard: Sequence[Heard],
    outcome: PolicyOutcome | None,
    verdict: Verdict,
    signed: str,
    probable: Iterable[str] = (),
) -> str:
    """Return the paragraph that a clinician reads first: question, answers, policy, verdict, and who signed.

    `probable` are the sentences on how probable the answers make each option.
    """
    asked = any(voice.status is not None for voice in heard)
    said = [f"The question: {protocol.question.text}"]
    said += _panel_sentences(protocol, heard) if asked else ["No member of the panel was asked."]
    said += probable
    said += _policy_sentences(protocol, outcome) if outcome is not None else []
    said += _verdict_sentences(protocol, verdict)
    return " ".join([*said, signed] if signed else said)


def _panel_sentences(protocol: Protocol, heard: Sequence[Heard]) -> list[str]:
    """Say how many members voted, what each said, what became of the others, and the same for each facet."""
    voting = [voice for voice in heard if voice.votes_on_question]
    if voting:
        valid = sum(voice.is_valid for voice in voting)
        said = [f"{_count(valid)} of {_count(len(voting)).lower()} voting members gave a valid answer."]
    else:
        said = ["No member votes on it; the panel answers questions about parts of it."]
    said += _groups(protocol, voting, QUESTION)
    for facet in protocol.facets:
        said += _groups(protocol, [voice for voice in heard if voice.seat.asks == facet.id], facet.id)
    return said


def _groups(protocol: Protocol, voices: Sequence[Heard], asks: str) -> list[str]:
    """Say together what members said alike, options in their order, then the divided and the silent one by one."""
    about = "" if asks == QUESTION else f"On {asks}, "
    said: list[str] = []
    for option in protocol.options_for(asks):
        titles = [voice.seat.title for voice in voices if voice.leaders == (option.id,)]
        if titles:
            said.append(f"{about}{listed(titles)} said: {quoted(option.title)}.")
    fates: dict[str, list[str]] = {}
    for voice in voices:
        if not voice.is_valid:
            fates.setdefault(what_became(protocol, voice), []).append(voice.seat.title)
        elif len(voice.leaders) > 1:
            fates.setdefault("gave equal support to several answers", []).append(voice.seat.title)
    return said + [f"{about}{listed(titles)} {fate}." for fate, titles in fates.items()]


def what_became(protocol: Protocol, voice: Heard) -> str:
    """Return in words what became of asking a member."""
    match voice.status:
        case None:
            return "was not heard"
        case MemberStatus.VALID:
            return "answered"
        case MemberStatus.ABSTAINED:
            lacking = [fact_title(protocol, name) for name in voice.missing]
            return f"abstained, lacking a usable value of {listed(lacking)}" if lacking else "abstained"
        case MemberStatus.INVALID:
            return "gave no usable answer"
        case MemberStatus.TIMED_OUT:
            return "did not answer in time"
        case MemberStatus.DOWN:
            return "could not be reached"


def _policy_sentences(protocol: Protocol, outcome: PolicyOutcome) -> list[str]:
    """Return what the hospital's policy permits, denies and leaves open, each rule with its rationale."""
    said = [
        f"Rule {hit.rule} {_EFFECTS[hit.effect]}{_options(protocol, hit.options)}: {_ended(hit.rationale)}"
        for hit in outcome.hits
    ]
    said += [
        f"Rule {failure.rule} could not be evaluated: {_ended(failure.cause)}" for failure in outcome.failures
    ]
    return said or ["No rule of the hospital's policy applied."]


_EFFECTS: Final[Mapping[RuleEffect, str]] = MappingProxyType(
    {
        RuleEffect.PERMIT: "permits a decision without a clinician",
        RuleEffect.DENY: "asks for a clinician",
        RuleEffect.REQUIRE: "leaves open only",
        RuleEffect.FORBID: "rules out",
        RuleEffect.SHOW_PANEL_FIRST: "lets the reviewer see the panel first",
        RuleEffect.SECOND_READER: "asks for a second reader",
    }
)


def _verdict_sentences(protocol: Protocol, verdict: Verdict) -> list[str]:
    """Return what adjudication said: the answer, or every reason why a human gives it."""
    match verdict.kind:
        case VerdictKind.DECIDE:
            return [f"The panel decided: {quoted(option_title(protocol, verdict.option))}."]
        case VerdictKind.ESCALATE:
            opening = (
                "The panel did not decide; a clinician does."
                if any(seat.asks == QUESTION for seat in protocol.seats)
                else "The panel advises; a clinician decides."
            )
        case VerdictKind.ASK_FACTS:
            titles = [fact_title(protocol, name) for name in verdict.wanted]
            opening = f"The panel asks for {listed(titles)}; if nothing comes in time, a clinician decides."
    leaning = (
        []
        if verdict.leading is None
        else [f"It leant to: {quoted(option_title(protocol, verdict.leading))}."]
    )
    return [opening, *leaning, *(sentence(reason) for reason in verdict.reasons)]


def option_title(protocol: Protocol, option: str | None) -> str:
    """Return the title of an option of the question, or its id when the question lacks it."""
    titles = {known.id: known.title for known in protocol.question.options}
    return titles.get(option or "", option or "nothing")


def fact_title(protocol: Protocol, name: str) -> str:
    """Return the title of a fact of the question, or its name when the question lacks it."""
    spec = protocol.question.spec(name)
    return name if spec is None else spec.title


def _options(protocol: Protocol, options: Iterable[str]) -> str:
    titles = [quoted(option_title(protocol, option)) for option in options]
    return f" {listed(titles)}" if titles else ""


def _count(number: int) -> str:
    return _COUNTS[number] if number < len(_COUNTS) else str(number)


def listed(words: Sequence[str]) -> str:
    """Return one or more words as a list in a sentence: `a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def quoted(title: str) -> str:
    """Return a title in typographic quotation marks, so that it stands out from the sentence around it."""
    return f"\N{LEFT DOUBLE QUOTATION MARK}{title}\N{RIGHT DOUBLE QUOTATION MARK}"


def _ended(text: str) -> str:
    return text.strip().rstrip(".") + "."
