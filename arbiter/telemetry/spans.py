"""Spans as the use cases see them: one context manager, trace ids that are always there, headers for those we call.

A caller's `traceparent` becomes a link, never the parent: its trace id stays out of our entries, and whether we sample
is nobody's decision but ours. Only trace id and span id cross this house, in either direction; trace state and baggage,
where a caller may have put anything, never do.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ParamSpec, TypeAlias, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from arbiter.telemetry.catalogue import (
    DB_OPERATION,
    DB_SYSTEM,
    ERROR_TYPE,
    STATEMENT,
    Attribute,
    SpanKindOf,
    Statement,
)

Said: TypeAlias = Mapping[Attribute, str | int | bool]

P = ParamSpec("P")
T = TypeVar("T")

_PROPAGATOR = TraceContextTextMapPropagator()


class _Tracing:
    """The tracer in use; `arbiter.telemetry.export` puts the real one here when there is somewhere to export to."""

    tracer: Tracer | None = None
    has_ids: bool = False


def trace_with(tracer: Tracer | None, *, ids: bool = True) -> None:
    """Use this tracer from now on; without one, spans have ids, if those are wanted, and record nothing."""
    _Tracing.tracer, _Tracing.has_ids = tracer, ids


def _ids_alone() -> Span:
    """Return a span in the present trace, or in a new one, that costs two random numbers and records nothing."""
    if not _Tracing.has_ids:
        return trace.INVALID_SPAN
    above = trace.get_current_span().get_span_context()
    trace_id = above.trace_id if above.is_valid else secrets.randbits(128) or 1
    return NonRecordingSpan(SpanContext(trace_id, secrets.randbits(64) or 1, is_remote=False))


def trace_id() -> str:
    """Return the present W3C trace id as 32 hex digits, or the empty string outside a trace."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def begin(
    kind: SpanKindOf,
    said: Said | None = None,
    *,
    name: str | None = None,
    links: Sequence[Link] = (),
    role: SpanKind = SpanKind.INTERNAL,
    start_time_ns: int | None = None,
) -> Span:
    """Begin a span under the present one; whoever begins it ends it."""
    tracer = _Tracing.tracer
    if tracer is None:
        return _ids_alone()
    attributes = {attribute.name: value for attribute, value in (said or {}).items()}
    return tracer.start_span(
        kind.name if name is None else name,
        kind=role,
        attributes=attributes,
        links=links,
        start_time=start_time_ns,
        record_exception=False,
        set_status_on_exception=False,
    )


@contextmanager
def within(span: Span) -> Iterator[Span]:
    """Make a span the present one without ending it. What is raised inside marks it by class alone."""
    if span is trace.INVALID_SPAN:
        yield span
        return
    token = attach(trace.set_span_in_context(span))
    try:
        yield span
    except Exception as error:
        failed(span, error)
        raise
    finally:
        detach(token)


@contextmanager
def spanned(
    kind: SpanKindOf,
    said: Said | None = None,
    *,
    name: str | None = None,
    links: Sequence[Link] = (),
    role: SpanKind = SpanKind.INTERNAL,
    start_time_ns: int | None = None,
) -> Iterator[Span]:
    """Do what is inside as a span."""
    span = begin(kind, said, name=name, links=links, role=role, start_time_ns=start_time_ns)
    try:
        with within(span):
            yield span
    finally:
        span.end()


@contextmanager
def statement(operation: Statement) -> Iterator[None]:
    """Run a statement of the database as a span named by what it does; its text and parameters stay here."""
    if not trace.get_current_span().get_span_context().is_valid:
        # Work that looks every moment whether there is something to do is no trace of its own.
        yield
        return
    said: Said = {DB_SYSTEM: "postgresql", DB_OPERATION: operation.value}
    with spanned(STATEMENT, said, name=operation.value, role=SpanKind.CLIENT):
        yield


def as_statement(operation: Statement) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Run every call of a function of the store as such a span."""

    def wrap(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @functools.wraps(function)
        async def running(*arguments: P.args, **named: P.kwargs) -> T:
            with statement(operation):
                return await function(*arguments, **named)

        return running

    return wrap


def say(span: Span, said: Said) -> None:
    """Set attributes of the catalogue on a span."""
    if span.is_recording():
        for attribute, value in said.items():
            span.set_attribute(attribute.name, value)


def failed(span: Span, error: BaseException) -> None:
    """Mark a span as failed, with the class of what was raised."""
    if span.is_recording():
        span.set_attribute(ERROR_TYPE.name, type(error).__name__)
        span.set_status(StatusCode.ERROR)


class Silence(TextMapPropagator):
    """What libraries use where they would carry a context across a border: nothing comes in, nothing goes out."""

    def extract(
        self,
        carrier: CarrierT,  # noqa: ARG002 - the interface's
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,  # noqa: ARG002 - as above
    ) -> Context:
        """Return the context that was there."""
        return get_current() if context is None else context

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write nothing."""

    @property
    def fields(self) -> set[str]:
        """No field is written."""
        return set()


def outgoing_headers() -> dict[str, str]:
    """Return the headers by which a service of ours that we call joins the present trace: `traceparent` alone."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"}


def link_to(traceparent: str | None) -> tuple[Link, ...]:
    """Return a link to the span that a `traceparent` names, or none when it names none."""
    if not traceparent:
        return ()
    found = trace.get_current_span(
        _PROPAGATOR.extract({"traceparent": traceparent}, Context())
    ).get_span_context()
    if not found.is_valid:
        return ()
    return (Link(SpanContext(found.trace_id, found.span_id, is_remote=True, trace_flags=TraceFlags(0))),)
