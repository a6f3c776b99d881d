"""Whatever is recorded, by us or by a library, only what the catalogue lists reaches an exporter."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.metrics import Meter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags, TraceState

from arbiter.telemetry.catalogue import ATTRIBUTES, CASE, PROTOCOL, RISK, SPANS
from arbiter.telemetry.meters import count
from arbiter.telemetry.metrics import HTTP_SECONDS, TAKEN_IN
from arbiter.telemetry.scrubbing import UNLISTED, describing, fitting
from arbiter.telemetry.spans import spanned
from tests.telemetry.recording import Recording, recording

SECRET = "Jones 7714403"
CASE_ID = "c_" + "abcdefgh234567" + "abcdefghij"


def test_a_librarys_span_leaves_bare() -> None:
    with recording() as recorded:
        tracer = recorded.provider.get_tracer("library", "1", attributes={"secret": SECRET})
        state = TraceState([("vendor", "jones")])
        context = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
        span = tracer.start_span(
            f"GET /patients/{SECRET}",
            attributes={
                "url.path": SECRET,
                "user.id": SECRET,
                CASE.name: SECRET,
                "http.request.method": SECRET,
            },
            links=[Link(context, {"secret": SECRET})],
        )
        span.add_event(SECRET, {"secret": SECRET})
        span.record_exception(ValueError(SECRET))
        span.set_status(Status(StatusCode.ERROR, SECRET))
        span.end()
        (left,) = recorded.spans()
    assert left.name == UNLISTED
    assert (dict(left.attributes or {}), left.events, left.status.description) == ({}, (), None)
    assert left.status.status_code is StatusCode.ERROR
    assert [(link.context.trace_id, dict(link.attributes or {})) for link in left.links] == [(7, {})]
    assert not left.links[0].context.trace_state
    assert "ones" not in left.to_json()


def test_an_attribute_with_a_listed_name_and_another_kind_of_value_is_dropped() -> None:
    with recording() as recorded:
        with recorded.provider.get_tracer("x").start_as_current_span("seal") as span:
            span.set_attributes(
                {"arbiter.entries": SECRET, "arbiter.tree.size": 5, "arbiter.case.id": CASE_ID}
            )
        assert dict(recorded.span("seal").attributes or {}) == {
            "arbiter.tree.size": 5,
            "arbiter.case.id": CASE_ID,
        }


def test_what_is_raised_inside_a_span_of_ours_is_told_by_its_class() -> None:
    with recording() as recorded:
        with pytest.raises(LookupError), spanned(SPANS[1], {CASE: CASE_ID}):
            raise LookupError(SECRET)
        left = recorded.span("deliberate")
    assert dict(left.attributes or {}) == {CASE.name: CASE_ID, "error.type": "LookupError"}
    assert (left.events, left.status.description) == ((), None)


def test_a_processor_that_somebody_adds_sees_no_more() -> None:
    exporter = InMemorySpanExporter()
    with recording() as recorded:
        recorded.provider.add_span_processor(SimpleSpanProcessor(exporter))
        recorded.provider.get_tracer("x").start_span(SECRET, attributes={"secret": SECRET}).end()
        assert SECRET not in "".join(span.to_json() for span in exporter.get_finished_spans())
        assert exporter.get_finished_spans()


async def test_the_frameworks_own_telemetry_would_leave_without_addresses() -> None:
    """FastAPI's is switched off; were it on, the scrubbing would hold."""
    with recording() as recorded:
        app = FastAPI(telemetry={"tracer_provider": recorded.provider, "logs": False, "metrics": False})

        @app.get("/v1/cases/{case}")
        async def fail(case: str) -> None:
            raise ValueError(case)

        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://jones.test") as http:
            await http.get(f"/v1/cases/{SECRET}", params={"name": SECRET})
        assert len(recorded.spans()) >= 1
        assert "ones" not in recorded.text()
        server = recorded.span("GET /v1/cases/{case}")
    assert (server.attributes or {})["http.response.status_code"] == 500


def test_a_metric_outside_the_catalogue_does_not_leave() -> None:
    with recording() as recorded:
        meter = _meter(recorded)
        meter.create_counter("library.requests").add(1, {"secret": SECRET})
        meter.create_histogram(HTTP_SECONDS.name, "s").record(1.0, {"url.path": SECRET, "http.route": SECRET})
        count(TAKEN_IN, {PROTOCOL: "deterioration", RISK: SECRET})
        metrics = recorded.metrics()
        assert set(metrics) == {HTTP_SECONDS.name, TAKEN_IN.name}
        (point,) = metrics[TAKEN_IN.name].data.data_points
        assert dict(point.attributes or {}) == {PROTOCOL.name: "deterioration"}
        assert SECRET not in recorded.text()


def test_no_exemplar_brings_back_what_a_view_dropped() -> None:
    with recording() as recorded:
        with spanned(SPANS[1]):
            _meter(recorded).create_histogram(HTTP_SECONDS.name, "s").record(1.0, {"url.path": SECRET})
        (point,) = recorded.metrics()[HTTP_SECONDS.name].data.data_points
        assert not point.exemplars


def _meter(recorded: Recording) -> Meter:
    return recorded.meters.get_meter("library")


def test_a_resource_keeps_the_operators_words_and_no_command_line() -> None:
    resource = Resource({"service.name": "arbiter", "k8s.pod.name": "a-1", "process.command_args": SECRET})
    assert dict(describing(resource).attributes) == {"service.name": "arbiter", "k8s.pod.name": "a-1"}


@given(
    st.dictionaries(
        st.one_of(st.sampled_from([attribute.name for attribute in ATTRIBUTES]), st.text()),
        st.one_of(
            st.text(), st.floats(), st.lists(st.text()), st.sampled_from([SECRET, "9434765919", "1987-03-12"])
        ),
    )
)
def test_no_text_that_a_person_types_fits_an_attribute(attributes: dict[str, object]) -> None:
    words = {word for attribute in ATTRIBUTES for word in attribute.values.words}
    listed = frozenset(attribute.name for attribute in ATTRIBUTES)
    for name, value in fitting(attributes, listed).items():
        assert isinstance(value, str)
        assert " " not in value or value in words, name
        assert value not in {SECRET, "9434765919", "1987-03-12"} or name == "gen_ai.request.model"
