"""The tables of `compliance/telemetry.md`, made from the catalogue that the exporters obey."""

from __future__ import annotations

from collections.abc import Sequence

from arbiter.telemetry.catalogue import ATTRIBUTES, SPANS, Attribute
from arbiter.telemetry.metrics import METRICS


def spans_table() -> str:
    """Return the table of spans as Markdown."""
    rows = [(f"`{span.name}`", span.says, _named(span.attributes)) for span in SPANS]
    return _table(("span", "what it covers", "attributes"), rows)


def metrics_table() -> str:
    """Return the table of metrics as Markdown."""
    rows = [
        (
            f"`{metric.name}`",
            metric.instrument.value,
            f"`{metric.unit}`",
            metric.says,
            _named(metric.attributes),
        )
        for metric in METRICS
    ]
    return _table(("metric", "kind", "unit", "what it counts or measures", "attributes"), rows)


def attributes_table() -> str:
    """Return the table of attributes and what each may hold as Markdown."""
    rows = [(f"`{each.name}`", each.says, each.values.told) for each in ATTRIBUTES]
    return _table(("attribute", "what it says", "what it may hold"), rows)


def _named(attributes: tuple[Attribute, ...]) -> str:
    return ", ".join(f"`{attribute.name}`" for attribute in attributes)


def _table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
