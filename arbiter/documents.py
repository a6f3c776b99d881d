"""JSON forms of the core values: canonical on the way out, strict on the way in.

Only strings, integers, booleans, arrays and objects are ever written: numbers travel as normalised plain
strings (`"38.5"`), instants as `"2026-11-22T03:00:00.000000Z"`, absent values as absent keys. So equal values have
equal bytes, and a hash over them means something. Reading refuses unknown, missing and ill-typed members, and
every refusal names its place by an RFC 6901 pointer and never a value.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from arbiter.errors import Problem, RefusedError
from arbiter.model import (
    Evidence,
    Fact,
    FactSet,
    FactStatus,
    FactValue,
    MemberId,
    MemberIdentity,
    MemberStatus,
    Opinion,
    PolicyOutcome,
    Reason,
    ReasonCode,
    RuleEffect,
    RuleFailure,
    RuleHit,
    Verdict,
    VerdictKind,
)
from arbiter.question import FactKind

_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)

_GREATEST_INTEGER = 2**53 - 1
_GREATEST_DIGITS = 40
_GREATEST_DEPTH = 64
_SURROGATE = re.compile("[\ud800-\udfff]")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?", re.ASCII)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", re.ASCII)


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
)


def _refusal(pointer: str, code: str, detail: str) -> RefusedError:
    return RefusedError(f"{pointer or '/'}: {detail}", (Problem(pointer, code, detail),))


# --- bytes -------------------------------------------------------------------------------------------------------


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the canonical UTF-8 JSON of a document: sorted keys, no white space, no escapes beyond JSON's own.

    Raises:
        RefusedError: for a float, a null, an integer beyond 2**53 - 1, a lone surrogate, or any other type.
    """
    _check(document)
    return _CANONICAL.encode(document).encode("utf-8")


def decode(content: bytes) -> dict[str, Any]:
    """Return the object that these JSON bytes hold.

    Raises:
        RefusedError: for malformed JSON or UTF-8, a duplicate key, a float, NaN, infinity, null, an integer beyond
            2**53 - 1, a lone surrogate, nesting beyond 64 levels, or a top level that is no object.
    """
    try:
        document = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_unique_pairs,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except RecursionError as error:
        raise _refusal("", "too-deep", "expected shallow JSON, got nesting beyond the limit") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError and the limit on digits
        raise _refusal("", "malformed", "expected well-formed UTF-8 JSON") from error
    if not isinstance(document, dict):
        raise _refusal("", "not-an-object", f"expected an object, got {_kind(document)}")
    _check(document)
    return document


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _refusal("", "duplicate-key", "expected each key once in an object, got one twice")
    return document


def _refuse_number(_text: str) -> Any:
    raise _refusal("", "not-an-integer", "expected integers or decimal strings, got another number")


def _check(document: object) -> None:
    """Check first whether all is well, and look for the place only where it is not: the former is the hot path."""
    if not _is_plain(document):
        _check_writable(document, "")


def _is_plain(document: object) -> bool:
    """Return True for what is surely writable, a level at a time: no recursion, no call per value."""
    names: set[Any] = set()
    level: list[Any] = [document]
    for _ in range(_GREATEST_DEPTH + 1):
        deeper: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is str:
                if not value.isascii() and _SURROGATE.search(value) is not None:
                    return False
            elif kind is dict:
                # Names are checked as values are: an object's are few, and most are seen again and again.
                deeper.extend(value.values())
                names.update(value)
            elif kind is list:
                deeper.extend(value)
            elif kind is not bool and (kind is not int or abs(value) > _GREATEST_INTEGER):
                return False
        if not deeper:
            return all(type(name) is str and name.isascii() for name in names)
        level = deeper
    return False


def _check_writable(value: object, pointer: str, depth: int = 0) -> None:
    if depth > _GREATEST_DEPTH:
        raise _refusal(pointer, "too-deep", f"expected at most {_GREATEST_DEPTH} levels")
    match value:
        case bool():
            return
        case int():
            if abs(value) > _GREATEST_INTEGER:
                raise _refusal(pointer, "too-large", "expected an integer within 53 bits")
        case str():
            _check_text(value, pointer)
        case Mapping():
            for key, member in value.items():
                _check_text(key, pointer)
                _check_writable(member, f"{pointer}/{key}", depth + 1)
        case list() | tuple():
            for index, member in enumerate(value):
                _check_writable(member, f"{pointer}/{index}", depth + 1)
        case _:
            raise _refusal(
                pointer,
                "not-json",
                f"expected a string, integer, boolean, array or object, got {_kind(value)}",
            )


def _check_text(value: object, pointer: str) -> None:
    if not isinstance(value, str):
        raise _refusal(pointer, "not-a-string", f"expected string keys, got {_kind(value)}")
    if not value.isascii() and _SURROGATE.search(value):
        raise _refusal(pointer, "lone-surrogate", "expected Unicode scalar values")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


# --- scalars -----------------------------------------------------------------------------------------------------


def decimal_text(value: Decimal) -> str:
    """Return a finite number as a normalised plain string: no exponent, no trailing zeros, no negative zero.

    Raises:
        RefusedError: when it is not finite or has more than 40 digits before or after the point.
    """
    exponent = value.as_tuple().exponent
    if (
        not isinstance(exponent, int)
        or abs(exponent) > _GREATEST_DIGITS
        or value.adjusted() > _GREATEST_DIGITS
    ):
        raise _refusal("", "not-a-number", "expected a finite number of at most 40 digits")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").removesuffix(".")
    return "0" if text == "-0" else text


def instant_text(instant: datetime) -> str:
    """Return an aware instant in UTC with microseconds, `2026-11-22T03:00:00.000000Z`.

    Raises:
        RefusedError: when it is naive.
    """
    if instant.utcoffset() is None:
        raise _refusal("", "naive-instant", "expected an aware instant")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class _Reader:
    """Takes members out of one object, and refuses what is left over at the end."""

    def __init__(self, document: object, pointer: str = "") -> None:
        if not isinstance(document, dict):
            raise _refusal(pointer, "not-an-object", f"expected an object, got {_kind(document)}")
        self._left: dict[str, Any] = dict(document)
        self._pointer = pointer

    def _take(self, name: str, kind: type[_T]) -> _T:
        if name not in self._left:
            raise _refusal(f"{self._pointer}/{name}", "missing", "expected a value, got none")
        value = self._left.pop(name)
        if type(value) is not kind:
            expected = _kind(kind())
            raise _refusal(
                f"{self._pointer}/{name}", "wrong-type", f"expected {expected}, got {_kind(value)}"
            )
        return value

    def text(self, name: str) -> str:
        return self._take(name, str)

    def optional_text(self, name: str) -> str | None:
        return self._take(name, str) if name in self._left else None

    def flag(self, name: str) -> bool:
        return self._take(name, bool)

    def count(self, name: str, least: int = 0) -> int:
        value = self._take(name, int)
        if value < least:
            raise _refusal(
                f"{self._pointer}/{name}", "out-of-range", f"expected an integer of at least {least}"
            )
        return value

    def optional_integer(self, name: str) -> int | None:
        return self._take(name, int) if name in self._left else None

    def one_of(self, name: str, kind: type[_E]) -> _E:
        try:
            return kind(self.text(name))
        except ValueError as error:
            allowed = ", ".join(kind)
            raise _refusal(f"{self._pointer}/{name}", "unknown", f"expected one of {allowed}") from error

    def instant(self, name: str) -> datetime:
        value = self.text(name)
        if not _INSTANT.fullmatch(value):
            raise _refusal(
                f"{self._pointer}/{name}", "not-an-instant", "expected UTC with microseconds and a Z"
            )
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            raise _refusal(
                f"{self._pointer}/{name}", "not-an-instant", "expected a date that exists"
            ) from error

    def number(self, name: str) -> Decimal:
        value = self.text(name)
        if len(value) > 2 * _GREATEST_DIGITS or not _DECIMAL.fullmatch(value) or value == "-0":
            raise _refusal(f"{self._pointer}/{name}", "not-a-number", "expected a normalised decimal string")
        return Decimal(value)

    def each(self, name: str, read: Callable[[_Reader], _T]) -> tuple[_T, ...]:
        items = self._take(name, list)
        return tuple(
            _whole(item, f"{self._pointer}/{name}/{index}", read) for index, item in enumerate(items)
        )

    def one(self, name: str, read: Callable[[_Reader], _T]) -> _T:
        return _whole(self._take(name, dict), f"{self._pointer}/{name}", read)

    def texts(self, name: str) -> tuple[str, ...]:
        items = self._take(name, list)
        for index, item in enumerate(items):
            if type(item) is not str:
                place = f"{self._pointer}/{name}/{index}"
                raise _refusal(place, "wrong-type", f"expected a string, got {_kind(item)}")
        return tuple(items)

    def pairs(self, name: str, kind: type[_T]) -> tuple[tuple[str, _T], ...]:
        members = self._take(name, dict)
        for key, value in members.items():
            if type(value) is not kind:
                place = f"{self._pointer}/{name}/{key}"
                raise _refusal(place, "wrong-type", f"expected {_kind(kind())}, got {_kind(value)}")
        return tuple(sorted(members.items()))

    def refuse(self, name: str, code: str, detail: str) -> RefusedError:
        return _refusal(f"{self._pointer}/{name}", code, detail)

    def finish(self) -> None:
        for name in sorted(self._left):
            raise _refusal(f"{self._pointer}/{name}", "unknown", "expected no such member")


def _whole(document: object, pointer: str, read: Callable[[_Reader], _T]) -> _T:
    reader = _Reader(document, pointer)
    value = read(reader)
    reader.finish()
    return value


def _pairs_object(pairs: Sequence[tuple[str, _T]], pointer: str) -> dict[str, _T]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _refusal(pointer, "duplicate-key", "expected each name once")
    return dict(sorted(members.items()))


# --- facts -------------------------------------------------------------------------------------------------------


def facts_document(facts: FactSet) -> dict[str, Any]:
    """Return the JSON form of the facts of one version of a case."""
    return {"version": facts.version, "facts": [_fact_document(fact) for fact in facts]}


def facts_from(document: Mapping[str, Any]) -> FactSet:
    """Return the facts that `facts_document` wrote.

    Raises:
        RefusedError: when the document is not exactly such a form.
    """
    return _whole(document, "", _read_facts)


def facts_hash(facts: FactSet) -> str:
    """Return the SHA-256, in hex, over the canonical bytes of the facts' document; it binds every opinion."""
    return hashlib.sha256(encode(facts_document(facts))).hexdigest()


def _fact_document(fact: Fact) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": fact.name,
        "observed_at": instant_text(fact.observed_at),
        "status": fact.status.value,
        "source": fact.source,
    }
    if fact.unit is not None:
        document["unit"] = fact.unit
    match fact.value:
        case bool():
            document |= {"kind": FactKind.FLAG.value, "value": fact.value}
        case str():
            document |= {"kind": FactKind.CODE.value, "value": fact.value}
        case Decimal():
            document |= {"kind": FactKind.NUMBER.value, "value": decimal_text(fact.value)}
    return document


def _read_fact(reader: _Reader) -> Fact:
    kind = reader.one_of("kind", FactKind)
    value: FactValue
    match kind:
        case FactKind.FLAG:
            value = reader.flag("value")
        case FactKind.CODE:
            value = reader.text("value")
        case FactKind.NUMBER:
            value = reader.number("value")
    return Fact(
        name=reader.text("name"),
        value=value,
        unit=reader.optional_text("unit"),
        observed_at=reader.instant("observed_at"),
        status=reader.one_of("status", FactStatus),
        source=reader.text("source"),
    )


def _read_facts(reader: _Reader) -> FactSet:
    version = reader.count("version", least=1)
    facts = reader.each("facts", _read_fact)
    try:
        return FactSet(version, facts)
    except ValueError as error:
        raise reader.refuse("facts", "not-sorted", "expected facts sorted by name and unique") from error


# --- opinions ----------------------------------------------------------------------------------------------------


def opinion_document(opinion: Opinion) -> dict[str, Any]:
    """Return the JSON form of one member's opinion."""
    return {
        "member": opinion.member,
        "asks": opinion.asks,
        "status": opinion.status.value,
        "facts_hash": opinion.facts_hash,
        "votes": _pairs_object(opinion.votes, "/votes"),
        "samples": opinion.samples,
        "evidence": [_evidence_document(evidence) for evidence in opinion.evidence],
        "missing": list(opinion.missing),
        "rationale": opinion.rationale,
        "identity": {
            "kind": opinion.identity.kind,
            "name": opinion.identity.name,
            "version": opinion.identity.version,
            "digest": opinion.identity.digest,
            "details": _pairs_object(opinion.identity.details, "/identity/details"),
        },
        "asked_at": instant_text(opinion.asked_at),
        "answered_at": instant_text(opinion.answered_at),
    }


def opinion_from(document: Mapping[str, Any]) -> Opinion:
    """Return the opinion that `opinion_document` wrote, its votes and details sorted by name.

    Raises:
        RefusedError: when the document is not exactly such a form, or counts more votes than samples.
    """
    return _whole(document, "", _read_opinion)


def _evidence_document(evidence: Evidence) -> dict[str, Any]:
    document: dict[str, Any] = {"fact": evidence.fact, "value": evidence.value, "finding": evidence.finding}
    if evidence.points is not None:
        document["points"] = evidence.points
    return document


def _read_evidence(reader: _Reader) -> Evidence:
    return Evidence(
        fact=reader.text("fact"),
        value=reader.text("value"),
        finding=reader.text("finding"),
        points=reader.optional_integer("points"),
    )


def _read_identity(reader: _Reader) -> MemberIdentity:
    return MemberIdentity(
        kind=reader.text("kind"),
        name=reader.text("name"),
        version=reader.text("version"),
        digest=reader.text("digest"),
        details=reader.pairs("details", str),
    )


def _read_opinion(reader: _Reader) -> Opinion:
    opinion = Opinion(
        member=MemberId(reader.text("member")),
        asks=reader.text("asks"),
        status=reader.one_of("status", MemberStatus),
        facts_hash=reader.text("facts_hash"),
        votes=reader.pairs("votes", int),
        samples=reader.count("samples"),
        evidence=reader.each("evidence", _read_evidence),
        missing=reader.texts("missing"),
        rationale=reader.text("rationale"),
        identity=reader.one("identity", _read_identity),
        asked_at=reader.instant("asked_at"),
        answered_at=reader.instant("answered_at"),
    )
    if any(count < 1 for _, count in opinion.votes) or opinion.valid_samples > opinion.samples:
        raise reader.refuse("votes", "out-of-range", "expected counts from 1 that sum to at most the samples")
    return opinion


# --- policy outcome ----------------------------------------------------------------------------------------------


def outcome_document(outcome: PolicyOutcome) -> dict[str, Any]:
    """Return the JSON form of a policy outcome."""
    return {
        "permitted": list(outcome.permitted),
        "hits": [
            {
                "rule": hit.rule,
                "effect": hit.effect.value,
                "options": list(hit.options),
                "rationale": hit.rationale,
            }
            for hit in outcome.hits
        ],
        "failures": [{"rule": failure.rule, "cause": failure.cause} for failure in outcome.failures],
        "policy_hash": outcome.policy_hash,
    }


def outcome_from(document: Mapping[str, Any]) -> PolicyOutcome:
    """Return the policy outcome that `outcome_document` wrote.

    Raises:
        RefusedError: when the document is not exactly such a form.
    """
    return _whole(document, "", _read_outcome)


def _read_hit(reader: _Reader) -> RuleHit:
    return RuleHit(
        rule=reader.text("rule"),
        effect=reader.one_of("effect", RuleEffect),
        options=reader.texts("options"),
        rationale=reader.text("rationale"),
    )


def _read_failure(reader: _Reader) -> RuleFailure:
    return RuleFailure(rule=reader.text("rule"), cause=reader.text("cause"))


def _read_outcome(reader: _Reader) -> PolicyOutcome:
    return PolicyOutcome(
        permitted=reader.texts("permitted"),
        hits=reader.each("hits", _read_hit),
        failures=reader.each("failures", _read_failure),
        policy_hash=reader.text("policy_hash"),
    )


# --- verdict -----------------------------------------------------------------------------------------------------


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Return the JSON form of a verdict; `option` and `leading` stand in it only where they are set."""
    document: dict[str, Any] = {
        "kind": verdict.kind.value,
        "reasons": [{"code": reason.code.value, "detail": reason.detail} for reason in verdict.reasons],
        "wanted": list(verdict.wanted),
        "numbers": [{"name": name, "value": value} for name, value in verdict.numbers],
    }
    if verdict.option is not None:
        document["option"] = verdict.option
    if verdict.leading is not None:
        document["leading"] = verdict.leading
    return document


def verdict_from(document: Mapping[str, Any]) -> Verdict:
    """Return the verdict that `verdict_document` wrote.

    Raises:
        RefusedError: when the document is not exactly such a form, or an option stands in it without a decision.
    """
    return _whole(document, "", _read_verdict)


def _read_reason(reader: _Reader) -> Reason:
    return Reason(code=reader.one_of("code", ReasonCode), detail=reader.text("detail"))


def _read_measure(reader: _Reader) -> tuple[str, str]:
    return reader.text("name"), reader.text("value")


def _read_verdict(reader: _Reader) -> Verdict:
    verdict = Verdict(
        kind=reader.one_of("kind", VerdictKind),
        option=reader.optional_text("option"),
        leading=reader.optional_text("leading"),
        reasons=reader.each("reasons", _read_reason),
        wanted=reader.texts("wanted"),
        numbers=reader.each("numbers", _read_measure),
    )
    if (verdict.kind is VerdictKind.DECIDE) != (verdict.option is not None):
        raise reader.refuse(
            "option", "contradiction", "expected an option with a decision and with nothing else"
        )
    return verdict
