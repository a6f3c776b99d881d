"""The JSON form of a calibration, format `arbiter/calibration/v1`; its SHA-256 is the calibration's name.

Numbers are decimal strings. What deciding would stumble over is refused here, so that a calibration that can be read can be
decided with: shapes, probabilities, and levels that contradict what they are said to certify.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from arbiter.calibration import Calibration, Labels, Level, MemberRecord, Stratum
from arbiter.documents.canonical import decode, encode, refusal
from arbiter.documents.reader import Reader, sorted_object, whole
from arbiter.documents.scalars import decimal_text
from arbiter.model import MemberId

FORMAT: Final = "arbiter/calibration/v1"
_WHOLE: Final = Decimal(1)
_SLACK: Final = Decimal("0.00001")
"""Rows are written to six decimals each, so they sum to 1 within what rounding may leave."""


def calibration_bytes(calibration: Calibration) -> bytes:
    """Return the canonical bytes of a calibration; `content_hash` is not among them, being theirs."""
    return encode(
        {
            "format": FORMAT,
            "protocol": {
                "id": calibration.protocol,
                "version": calibration.protocol_version,
                "hash": calibration.protocol_hash,
            },
            "options": list(calibration.options),
            "prior": _texts(calibration.prior),
            "members": [_record_document(record) for record in calibration.records],
            "facet_members": sorted_object(calibration.facet_members, "/facet_members"),
            "correlations": [_texts(row) for row in calibration.correlations],
            "temperature": decimal_text(calibration.temperature),
            "delta": decimal_text(calibration.delta),
            "strata": [_stratum_document(stratum) for stratum in calibration.strata],
            "labels": _labels_document(calibration.labels),
            "fit": {
                "smoothing": decimal_text(calibration.smoothing),
                "shrinkage": decimal_text(calibration.shrinkage),
                "family_correlation": decimal_text(calibration.family_correlation),
            },
            "code_version": calibration.code_version,
        }
    )


def sealed(calibration: Calibration) -> Calibration:
    """Return the calibration with the content hash that its bytes have."""
    return replace(calibration, content_hash=hashlib.sha256(calibration_bytes(calibration)).hexdigest())


def calibration_from(content: bytes) -> Calibration:
    """Return the calibration that these bytes hold, under their hash.

    Raises:
        RefusedError: when they are not exactly the canonical bytes of one that can be decided with.
    """
    read = replace(
        whole(decode(content), "", _read_calibration), content_hash=hashlib.sha256(content).hexdigest()
    )
    if calibration_bytes(read) != content:
        raise refusal("", "not-canonical", "expected a calibration's canonical bytes")
    return read


def _texts(numbers: Sequence[Decimal]) -> list[str]:
    return [decimal_text(number) for number in numbers]


def _record_document(record: MemberRecord) -> dict[str, Any]:
    return {
        "member": record.member,
        "identity": record.identity,
        "reliability": [_texts(row) for row in record.reliability],
    }


def _level_document(level: Level) -> dict[str, Any]:
    return {
        "threshold": decimal_text(level.threshold),
        "accepted": level.accepted,
        "errors": level.errors,
        "bound": decimal_text(level.bound),
    }


def _stratum_document(stratum: Stratum) -> dict[str, Any]:
    document: dict[str, Any] = {
        "option": stratum.option,
        "alpha": decimal_text(stratum.alpha),
        "tested": [_level_document(level) for level in stratum.tested],
    }
    if stratum.certified is not None:
        document["certified"] = _level_document(stratum.certified)
    return document


def _labels_document(labels: Labels) -> dict[str, Any]:
    document: dict[str, Any] = {
        "cases_hash": labels.cases_hash,
        "opinions_hash": labels.opinions_hash,
        "provenance": sorted_object(labels.provenance, "/labels/provenance"),
        "fitting": labels.fitting,
        "tempering": labels.tempering,
        "guarantee": labels.guarantee,
        "synthetic": labels.synthetic,
    }
    return document | {"marks": list(labels.marks)} if labels.marks else document


def _read_calibration(reader: Reader) -> Calibration:
    if reader.text("format") != FORMAT:
        raise reader.refuse("format", "unknown", f"expected {FORMAT}")
    protocol, version, protocol_hash = reader.one(
        "protocol", lambda inner: (inner.text("id"), inner.text("version"), inner.text("hash"))
    )
    smoothing, shrinkage, family = reader.one(
        "fit",
        lambda inner: (
            inner.number("smoothing"),
            inner.number("shrinkage"),
            inner.number("family_correlation"),
        ),
    )
    calibration = Calibration(
        protocol=protocol,
        protocol_version=version,
        protocol_hash=protocol_hash,
        options=reader.texts("options"),
        prior=reader.numbers("prior"),
        records=reader.each("members", _read_record),
        facet_members=tuple(
            (MemberId(member), identity) for member, identity in reader.pairs("facet_members", str)
        ),
        correlations=reader.rows("correlations"),
        temperature=reader.number("temperature"),
        delta=reader.number("delta"),
        strata=reader.each("strata", _read_stratum),
        labels=reader.one("labels", _read_labels),
        smoothing=smoothing,
        shrinkage=shrinkage,
        family_correlation=family,
        code_version=reader.text("code_version"),
        content_hash="",
    )
    for name, fits, expected in _JUDGEMENTS:
        if not fits(calibration):
            raise reader.refuse(name, "out-of-range", f"expected {expected}")
    return calibration


def _read_record(reader: Reader) -> MemberRecord:
    return MemberRecord(
        member=MemberId(reader.text("member")),
        identity=reader.text("identity"),
        reliability=reader.rows("reliability"),
    )


def _read_level(reader: Reader) -> Level:
    return Level(
        threshold=reader.number("threshold"),
        accepted=reader.count("accepted"),
        errors=reader.count("errors"),
        bound=reader.number("bound"),
    )


def _read_stratum(reader: Reader) -> Stratum:
    return Stratum(
        option=reader.text("option"),
        alpha=reader.number("alpha"),
        certified=reader.optional("certified", _read_level),
        tested=reader.each("tested", _read_level),
    )


def _read_labels(reader: Reader) -> Labels:
    return Labels(
        cases_hash=reader.text("cases_hash"),
        opinions_hash=reader.text("opinions_hash"),
        provenance=reader.pairs("provenance", int),
        fitting=reader.count("fitting"),
        tempering=reader.count("tempering"),
        guarantee=reader.count("guarantee"),
        synthetic=reader.flag("synthetic"),
        marks=reader.optional_texts("marks"),
    )


def _is_distribution(numbers: Sequence[Decimal], size: int) -> bool:
    return (
        len(numbers) == size
        and all(number > 0 for number in numbers)
        and abs(sum(numbers) - _WHOLE) <= _SLACK
    )


def _reliable(calibration: Calibration) -> bool:
    size = len(calibration.options)
    return len({record.member for record in calibration.records}) == len(calibration.records) and all(
        len(record.reliability) == size and all(_is_distribution(row, size) for row in record.reliability)
        for record in calibration.records
    )


def _correlated(calibration: Calibration) -> bool:
    rows, size = calibration.correlations, len(calibration.records)
    if len(rows) != size or any(len(row) != size for row in rows):
        return False
    return all(
        row[at] == 1
        and all(-1 <= number <= 1 and number == rows[other][at] for other, number in enumerate(row))
        for at, row in enumerate(rows)
    )


def _certified(calibration: Calibration) -> bool:
    """Nothing is certified but a level that was tested, after others that all held, and that holds itself."""
    options = [stratum.option for stratum in calibration.strata]
    return (
        len(set(options)) == len(options)
        and set(options) <= set(calibration.options)
        and all(_holds(stratum) for stratum in calibration.strata)
    )


def _holds(stratum: Stratum) -> bool:
    if not 0 < stratum.alpha < 1 or not all(_is_level(level) for level in stratum.tested):
        return False
    held = [level for level in stratum.tested if level.bound <= stratum.alpha]
    thresholds = [level.threshold for level in stratum.tested]
    return (
        thresholds == sorted(set(thresholds), reverse=True)
        and len(stratum.tested) - len(held) <= 1
        and held == list(stratum.tested[: len(held)])
        and stratum.certified == (held[-1] if held else None)
    )


def _is_level(level: Level) -> bool:
    return level.errors <= level.accepted and 0 <= level.threshold < 1 and 0 <= level.bound <= 1


_JUDGEMENTS: Final[Sequence[tuple[str, Callable[[Calibration], bool], str]]] = (
    (
        "options",
        lambda calibration: len(set(calibration.options)) == len(calibration.options) > 1,
        "two options or more, each once",
    ),
    (
        "prior",
        lambda calibration: _is_distribution(calibration.prior, len(calibration.options)),
        "a probability above 0 for each option, summing to 1",
    ),
    ("members", _reliable, "each member once, with a row of probabilities above 0 for each option"),
    ("correlations", _correlated, "a symmetric matrix over the members, with ones on its diagonal"),
    ("temperature", lambda calibration: calibration.temperature > 0, "a number above 0"),
    ("delta", lambda calibration: 0 < calibration.delta < 1, "a number between 0 and 1"),
    (
        "strata",
        _certified,
        "options each once, and certified the last level that held of those tested in turn",
    ),
)
