"""Writes the report as `report.json`: the fields of `arbiter.evaluation.figures` under their names, numbers to six decimals."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any

from arbiter.evaluation.figures.report import Report

DECIMALS = 6


def document_of(report: Report) -> dict[str, Any]:
    """Return the report as plain JSON values."""
    plain = _plain(report)
    assert isinstance(plain, dict)
    return plain


def json_of(report: Report) -> str:
    """Return the report as JSON text, one value a line."""
    return json.dumps(document_of(report), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        # NaN is no JSON, and no figure.
        return round(value, DECIMALS) + 0.0 if math.isfinite(value) else None
    return value
