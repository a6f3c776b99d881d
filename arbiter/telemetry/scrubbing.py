"""The last thing before every exporter: what is not in the catalogue does not leave, whoever recorded it.

A span is copied with the attributes its kind lists; events go (a recorded exception quotes what it choked on), so do
status texts, trace states and the attributes of links. A metric leaves with the attributes it lists and without
exemplars, which would bring back what a view had dropped. No exporter is reachable by another way: processors added to
`Provider` and the metric exporter are wrapped here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, TraceFlags

from arbiter.telemetry.catalogue import ATTRIBUTES, METHOD, METHODS, SPANS, Attribute
from arbiter.telemetry.metrics import METRICS, Metric

UNLISTED: Final = "unlisted"
"""The name of a span that is in no table."""

_BY_NAME: Final[Mapping[str, Attribute]] = {attribute.name: attribute for attribute in ATTRIBUTES}
_METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}
_FIXED_NAMES: Final = frozenset(span.name for span in SPANS if "{" not in span.name)
_MADE_OF: Final = tuple(tuple(re.findall(r"{(.+?)}", span.name)) for span in SPANS if "{" in span.name)
"""The attributes whose values, a space between them, make a span's name."""
_OF_SPANS: Final = frozenset(attribute.name for span in SPANS for attribute in span.attributes)
_RESOURCE: Final = (
    "service.", "deployment.", "host.", "k8s.", "container.", "cloud.", "os.", "telemetry.sdk.",
)  # fmt: skip
"""What may describe the process: the operator's own words. A command line or a user's name is none of it."""

_Point = TypeVar("_Point", bound=sdk.DataPointT)


def fitting(attributes: Mapping[str, Any] | None, listed: frozenset[str]) -> dict[str, Any]:
    """Return those of `attributes` that are among `listed` and hold what the catalogue lets them hold."""
    return {
        name: value
        for name, value in (attributes or {}).items()
        if name in listed and _BY_NAME[name].values.take(value)
    }


def describing(resource: Resource) -> Resource:
    """Return a resource without what only libraries' detectors say."""
    kept = {name: value for name, value in resource.attributes.items() if name.startswith(_RESOURCE)}
    return Resource(kept)


# --- spans -------------------------------------------------------------------------------------------------------


def scrubbed_span(span: ReadableSpan, resource: Resource) -> ReadableSpan:
    """Return a copy that holds nothing but what the catalogue lists, of a process described so."""
    attributes = fitting(span.attributes, _OF_SPANS)
    return ReadableSpan(
        name=_span_name(span.name, attributes),
        context=_bare(span.context),
        parent=_bare(span.parent),
        resource=resource,
        attributes=attributes,
        links=[Link(bare) for link in span.links if (bare := _bare(link.context)) is not None],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=_scope(span.instrumentation_scope),
    )


def _span_name(name: str, attributes: Mapping[str, Any]) -> str:
    """Return the name if it is a listed one, or one made of values that have just been found fit."""
    if name in _FIXED_NAMES or name in METHODS:
        return name
    for needed in _MADE_OF:
        if all(each in attributes for each in needed) and name == " ".join(
            str(attributes[each]) for each in needed
        ):
            return name
    method = attributes.get(METHOD.name)
    return UNLISTED if method is None else str(method)


def _bare(context: SpanContext | None) -> SpanContext | None:
    """Return a span's context without its trace state, where a caller may have put anything."""
    if context is None:
        return None
    return SpanContext(
        context.trace_id, context.span_id, context.is_remote, TraceFlags(context.trace_flags & 1)
    )


def _scope(scope: InstrumentationScope | None) -> InstrumentationScope | None:
    return None if scope is None else InstrumentationScope(scope.name, scope.version)


class ScrubbedSpans(SpanProcessor):
    """Hands finished spans on, scrubbed."""

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner
        self._described: tuple[Resource, Resource] | None = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing: what is only begun may still hold anything."""

    def on_end(self, span: ReadableSpan) -> None:
        """Hand on a scrubbed copy."""
        if self._described is None or self._described[0] is not span.resource:
            self._described = (span.resource, describing(span.resource))
        self._inner.on_end(scrubbed_span(span, self._described[1]))

    def shutdown(self) -> None:
        """End the inner processor."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the inner processor."""
        return self._inner.force_flush(timeout_millis)


class Provider(TracerProvider):
    """A tracer provider to which nobody can add a processor that sees more than the catalogue lists."""

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor behind the scrubbing."""
        super().add_span_processor(ScrubbedSpans(span_processor))


# --- metrics -----------------------------------------------------------------------------------------------------


def scrubbed_metrics(data: sdk.MetricsData) -> sdk.MetricsData:
    """Return a copy that holds nothing but listed metrics with listed attributes."""
    return sdk.MetricsData(
        [
            sdk.ResourceMetrics(
                describing(one.resource), [_scrubbed_scope(scope) for scope in one.scope_metrics], ""
            )
            for one in data.resource_metrics
        ]
    )


def _scrubbed_scope(scope: sdk.ScopeMetrics) -> sdk.ScopeMetrics:
    bare = InstrumentationScope(scope.scope.name, scope.scope.version)
    listed = [
        _scrubbed_metric(metric, _METRICS[metric.name]) for metric in scope.metrics if metric.name in _METRICS
    ]
    return sdk.ScopeMetrics(bare, listed, "")


def _scrubbed_metric(metric: sdk.Metric, listed: Metric) -> sdk.Metric:
    names = frozenset(attribute.name for attribute in listed.attributes)
    # One dataclass for each way of aggregating, alike in this field.
    data: Any = metric.data
    kept = [_scrubbed_point(point, names) for point in data.data_points]
    return sdk.Metric(metric.name, listed.says, listed.unit, replace(data, data_points=kept))


def _scrubbed_point(point: _Point, listed: frozenset[str]) -> _Point:
    return replace(point, attributes=fitting(point.attributes, listed), exemplars=[])


class ScrubbedMetrics(sdk.MetricExporter):
    """Hands metrics on, scrubbed."""

    def __init__(self, inner: sdk.MetricExporter) -> None:
        super().__init__(inner._preferred_temporality, inner._preferred_aggregation)  # noqa: SLF001 - as the SDK's own
        self._inner = inner

    def export(
        self, metrics_data: sdk.MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> sdk.MetricExportResult:
        """Hand on a scrubbed copy."""
        return self._inner.export(scrubbed_metrics(metrics_data), timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the inner exporter."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """End the inner exporter."""
        self._inner.shutdown(timeout_millis, **kwargs)
