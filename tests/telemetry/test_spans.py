"""Traces across the house's borders: ids always, a caller's context as a link alone, and nothing but ids passed on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBasedTraceIdRatio
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from arbiter.telemetry.catalogue import CASE, DELIBERATION, RELEASE, Statement
from arbiter.telemetry.export import described, start_telemetry, stop_telemetry, tracer_provider
from arbiter.telemetry.spans import as_statement, link_to, outgoing_headers, spanned, trace_id, trace_with
from tests.telemetry.recording import recording

GOOD = f"00-{'ab' * 16}-{'cd' * 8}-01"


@pytest.fixture
def without_exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    start_telemetry()
    yield
    stop_telemetry()


@pytest.mark.usefixtures("without_exporter")
def test_without_an_exporter_there_are_trace_ids_all_the_same() -> None:
    seen = set()
    for _ in range(20):
        with spanned(DELIBERATION, {CASE: "c_x"}) as outer:
            above = trace_id()
            with spanned(RELEASE) as inner:
                assert trace_id() == above
                assert inner.get_span_context().span_id != outer.get_span_context().span_id
        seen.add(above)
        assert not outer.is_recording()
    assert len(seen) == 20
    assert all(len(one) == 32 and int(one, 16) for one in seen)
    assert not trace_id()


def test_where_nothing_was_started_a_span_is_none() -> None:
    with spanned(DELIBERATION) as span:
        assert not trace_id()
        assert outgoing_headers() == {}
    assert span is trace.INVALID_SPAN


def test_a_trace_that_is_not_sampled_has_an_id_too() -> None:
    exporter = InMemorySpanExporter()
    provider = tracer_provider(described(), SimpleSpanProcessor(exporter), ALWAYS_OFF)
    trace_with(provider.get_tracer("x"))
    try:
        with spanned(DELIBERATION):
            assert trace_id()
            assert outgoing_headers()["traceparent"].endswith("-00")
    finally:
        trace_with(None, ids=False)
    assert not exporter.get_finished_spans()


def test_a_callers_flag_or_trace_id_does_not_decide_what_is_sampled() -> None:
    """With the ratio sampler a low trace id is always taken, and a parent's flag is obeyed: neither reaches it."""
    exporter = InMemorySpanExporter()
    provider = tracer_provider(described(), SimpleSpanProcessor(exporter), ParentBasedTraceIdRatio(0.0))
    trace_with(provider.get_tracer("x"))
    try:
        for _ in range(50):
            with spanned(DELIBERATION, links=link_to(f"00-{1:032x}-{1:016x}-01")):
                assert trace_id() != f"{1:032x}"
    finally:
        trace_with(None, ids=False)
    assert not exporter.get_finished_spans()


def test_a_traceparent_becomes_a_link_without_flags_or_state() -> None:
    (link,) = link_to(GOOD)
    assert (link.context.trace_id, link.context.span_id) == (int("ab" * 16, 16), int("cd" * 8, 16))
    assert link.context.trace_flags == 0
    assert not link.context.trace_state


@pytest.mark.parametrize(
    "value",
    [None, "", "x", "00", GOOD[:-1], GOOD.replace("00-", "ff-", 1), f"00-{'0' * 32}-{'cd' * 8}-01",
     f"00-{'ab' * 16}-{'0' * 16}-01", GOOD + "-extra", "MRN-7714403", GOOD.replace("a", "g"), GOOD * 100],
)  # fmt: skip
def test_a_malformed_traceparent_is_no_link(value: str | None) -> None:
    assert link_to(value) == ()


def test_what_is_sent_on_is_a_traceparent_and_nothing_else() -> None:
    state = TraceState([("vendor", "jones")])
    span = NonRecordingSpan(SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(1), trace_state=state))
    carrying = baggage.set_baggage("patient", "Jones", trace.set_span_in_context(span))
    token = context.attach(carrying)
    try:
        assert outgoing_headers() == {"traceparent": f"00-{5:032x}-{6:016x}-01"}
    finally:
        context.detach(token)


@pytest.mark.usefixtures("without_exporter")
def test_no_library_passes_anything_on_either() -> None:
    sent: dict[str, str] = {}
    with spanned(DELIBERATION):
        propagate.inject(sent, baggage.set_baggage("patient", "Jones"))
    assert sent == {}
    assert propagate.extract({"traceparent": GOOD, "baggage": "patient=Jones"}, context.Context()) == {}


async def test_a_statement_has_a_span_inside_a_trace_and_none_outside() -> None:
    @as_statement(Statement.READ_DUE)
    async def read(patient: str) -> str:
        return patient

    with recording() as recorded:
        assert await read("Jones") == "Jones"
        assert not recorded.spans()
        with spanned(DELIBERATION):
            await read("Jones")
        statement = recorded.span("read what is due")
        assert statement.parent is not None
        assert statement.parent.span_id == recorded.span("deliberate").context.span_id
        assert dict(statement.attributes or {}) == {
            "db.system.name": "postgresql",
            "db.operation.name": "read what is due",
        }
