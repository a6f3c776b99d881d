"""The JSON form of a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arbiter.documents.reader import Reader, whole
from arbiter.model import Reason, ReasonCode, Verdict, VerdictKind


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
    return whole(document, "", _read_verdict)


def _read_reason(reader: Reader) -> Reason:
    return Reason(code=reader.one_of("code", ReasonCode), detail=reader.text("detail"))


def _read_measure(reader: Reader) -> tuple[str, str]:
    return reader.text("name"), reader.text("value")


def _read_verdict(reader: Reader) -> Verdict:
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
