"""What a calibration certifies, in words for whoever is asked to approve it, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from arbiter.calibration import Calibration, Level, Stratum
from arbiter.errors import counted


def told(calibration: Calibration) -> Iterator[str]:
    """Yield what a calibration certifies, a line each: its protocol, each option, its labels, the panel."""
    yield f"calibration {calibration.content_hash}"
    yield f"of protocol {calibration.protocol} {calibration.protocol_version}, {calibration.protocol_hash}"
    sure = _percent(1 - calibration.delta)
    for option in calibration.options:
        stratum = calibration.stratum(option)
        if stratum is None:
            yield f"{option}: never decided without a clinician"
        else:
            yield f"{option}: {_certified(stratum, sure)}"
    labels = calibration.labels
    sources = ", ".join(f"{name} {count}" for name, count in labels.provenance)
    yield f"labels: {sources}; {labels.fitting} to fit, {labels.tempering} to temper, {labels.guarantee} to certify"
    if labels.synthetic:
        yield "SYNTHETIC: a generator invented these cases; they say nothing of patients, and count in a demonstration alone"
    yield f"members: {', '.join(record.member for record in calibration.records)}"
    yield f"made by arbiter {calibration.code_version}"


def document(calibration: Calibration) -> dict[str, Any]:
    """Return the same as a JSON object; numbers are decimal text."""
    labels = calibration.labels
    return {
        "calibration": calibration.content_hash,
        "protocol": calibration.protocol,
        "version": calibration.protocol_version,
        "protocol_hash": calibration.protocol_hash,
        "delta": _text(calibration.delta),
        "options": {option: _stratum(calibration.stratum(option)) for option in calibration.options},
        "labels": {
            "provenance": dict(labels.provenance),
            "fitting": labels.fitting,
            "tempering": labels.tempering,
            "guarantee": labels.guarantee,
            "synthetic": labels.synthetic,
        },
        "members": {record.member: record.identity for record in calibration.records},
        "code_version": calibration.code_version,
    }


def _certified(stratum: Stratum, sure: str) -> str:
    allowed = f"{_percent(stratum.alpha)} may be wrong"
    level = stratum.certified
    if level is None:
        tried = f" ({_seen(stratum.tested[0])})" if stratum.tested else ""
        return f"never decided without a clinician: {allowed}, and no threshold is certified{tried}"
    return (
        f"decided alone above probability {_text(level.threshold)}: {allowed}; {_seen(level)}, "
        f"so at most {_percent(level.bound)} at confidence {sure}"
    )


def _seen(level: Level) -> str:
    return (
        f"of {counted(level.accepted, 'labelled case')} above {_text(level.threshold)}, {level.errors} wrong"
    )


def _stratum(stratum: Stratum | None) -> dict[str, Any] | None:
    if stratum is None:
        return None
    level = stratum.certified
    return {
        "alpha": _text(stratum.alpha),
        "threshold": None if level is None else _text(level.threshold),
        "cases": None if level is None else level.accepted,
        "errors": None if level is None else level.errors,
        "bound": None if level is None else _text(level.bound),
        "tested": len(stratum.tested),
    }


def _percent(share: Decimal) -> str:
    return f"{_text(share * 100)}%"


def _text(number: Decimal) -> str:
    return format(number.normalize(), "f")
