"""A whole served house, a patient made of unmistakable words and numbers, and a search of all that leaves it.

Cases are handed in, decided, contested, reviewed, cancelled, retracted and spoilt, every route is called with identifiers
where none belong, and then each sink is searched for every canary in every form it could have taken. A house with leaks
built in shows that each search can fail. A new way out of the house is one more line of `SINKS`.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.system.canaries import CANARIES, example_numbers, found_in
from tests.system.canary_stay import live
from tests.system.collector import Collector, attributes_of, points_of, wait_for
from tests.system.leaking import LEAK, PATH
from tests.system.service import COMMAND, a_service, case_body
from tests.system.sinks import SINKS, TELEMETRY, Run, Sink, entries_of, exported
from tests.system.told import somebody_to_tell

pytestmark = pytest.mark.timeout(300)

DUTY = """\
groups:
  - id: outreach
    title: Critical care outreach
    contacts:
      - {id: mail, mail: outreach@hospital.example}
ladders:
  - duty_groups: [critical-care-outreach, anticoagulation-clinic, preoperative-assessment]
    routine: [{group: outreach, acknowledge_within: PT2H}]
    urgent: [{group: outreach, acknowledge_within: PT10M}]
    emergency: [{group: outreach, acknowledge_within: PT3M}]
"""


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """The house, lived in, with everything exported."""
    with Collector() as collector, somebody_to_tell() as told, a_service() as service:
        duty = service.data.parent / "duty.yaml"
        duty.write_text(DUTY)
        service.variables = {
            "ARBITER_DUTY": str(duty),
            "ARBITER_MAIL_SERVER": told.mail_url,
            "ARBITER_MAIL_FROM": "arbiter@hospital.example",
            "ARBITER_LOG_LEVEL": "debug",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_METRIC_EXPORT_INTERVAL": "10000",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_BLRP_SCHEDULE_DELAY": "200",
        }
        service.start()
        lived = Run(service, collector, told)
        asyncio.run(live(lived))
        wait_for(lambda: b"case.retracted" in b"".join(told.webhooks) and told.mails)
        # Stopped, so that what was queued is sent.
        assert service.stop() == 0
        yield lived


@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.name)
def test_no_sink_holds_a_patients_words(run: Run, sink: Sink) -> None:
    content = sink.content(run)
    assert sink.always_holds(run).encode() in content, "the sink is empty, so the search says nothing"
    assert found_in(content, CANARIES) == set()


@pytest.mark.parametrize("sink", TELEMETRY, ids=lambda sink: sink.name)
def test_no_telemetry_holds_a_number_of_the_shipped_examples(run: Run, sink: Sink) -> None:
    numbers = example_numbers()
    assert len(numbers) > 10
    content = sink.content(run)
    assert sink.always_holds(run).encode() in content, "the sink is empty, so the search says nothing"
    # A duration is spelt like a fact, and a short number in hex stands in an id of a request or a trace by accident.
    others = re.sub(rb"\d+\.\d ms|\b[0-9a-f]{16}\b|\b[0-9a-f]{32}\b", b"", content)
    assert found_in(others, numbers) == set()


def test_every_route_and_every_kind_of_refusal_was_met(run: Run) -> None:
    seen = {reply.status_code for reply in run.replies}
    assert {200, 201, 202, 303, 400, 401, 404, 405, 409, 413, 415, 422} <= seen
    assert not {reply.status_code for reply in run.replies if reply.status_code >= 500}


def test_what_is_exported_stands_in_the_catalogue(run: Run) -> None:
    from arbiter.telemetry.catalogue import ATTRIBUTES  # noqa: PLC0415 - beside its only use
    from arbiter.telemetry.metrics import METRICS  # noqa: PLC0415 - beside its only use

    listed = {attribute.name: attribute for attribute in ATTRIBUTES}
    things = [*run.collector.spans(), *run.collector.log_records()]
    things += [point for metric in run.collector.metrics() for point in points_of(metric)]
    assert len(things) > 500
    for thing in things:
        for name, value in attributes_of(thing).items():
            assert listed[name].values.take(value), (name, value)
    assert {metric.name for metric in run.collector.metrics()} <= {metric.name for metric in METRICS}
    assert not [
        span for span in run.collector.spans() if span.events or span.trace_state or span.status.message
    ]


def test_no_span_continues_a_callers_trace_and_each_is_linked_to_it(run: Run) -> None:
    spans = run.collector.spans()
    assert bytes.fromhex("ab" * 16) not in {span.trace_id for span in spans}
    requests = [span for span in spans if span.name == "POST /v1/cases"]
    assert requests
    assert {link.trace_id for span in requests for link in span.links} == {bytes.fromhex("ab" * 16)}


def test_every_entry_names_a_trace_and_its_span_was_exported(run: Run) -> None:
    exported = {span.trace_id.hex() for span in run.collector.spans()}
    entries = [json.loads(line) for line in entries_of(run).split(b"\n")]
    assert len(entries) > 30
    assert {entry["trace"] for entry in entries} <= exported
    assert {"case.released", "case.decided", "content.read"} <= {entry["type"] for entry in entries}


def test_a_leak_into_any_sink_would_have_been_found(run: Run) -> None:
    service = run.service
    service.command = [sys.executable, "-c", "from tests.system.leaking import main; main()"]
    try:
        service.start()
        run.replies.append(httpx.get(service.url + PATH, trust_env=False))
        excluded = case_body("leaking", {"pregnant": (True, None)})
        headers = {"Authorization": f"Bearer {service.token}", "Idempotency-Key": "leaking"}
        httpx.post(f"{service.url}/v1/cases", json=excluded, headers=headers, trust_env=False)
        wait_for(
            lambda: (
                found_in(b"".join(run.told.webhooks), [LEAK]) and found_in(b"".join(run.told.mails), [LEAK])
            )
        )
        with service.superuser() as superuser:
            superuser.execute("INSERT INTO entry (chain, seq, body) VALUES (0, 0, %s)", [LEAK.encode()])
        time.sleep(1)
        assert service.stop() == 0
    finally:
        service.command = COMMAND
    wait_for(lambda: found_in(exported(run, "/v1/metrics"), [LEAK]))
    for sink in SINKS:
        assert found_in(sink.content(run), [LEAK]) == {LEAK}, sink.name
