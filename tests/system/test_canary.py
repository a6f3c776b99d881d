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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest

from arbiter.api.app import create_app
from arbiter.api.security import route_rules
from arbiter.identity.accounts import create_account
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.protocols.loader import read_shipped, shipped
from arbiter.workflow.endpoints import register_endpoint
from arbiter.workflow.house import House
from tests.houses import PASSWORD
from tests.system.canaries import found_in, found_in_large, table_dumps
from tests.system.collector import Collector, attributes_of, points_of, wait_for
from tests.system.leaking import LEAK, PATH
from tests.system.service import COMMAND, Service, a_service, case_body, facts_body, until
from tests.system.told import Told, somebody_to_tell

pytestmark = pytest.mark.timeout(300)

WORDS = {
    "subject": "canary-subject-7714403",
    "system": "urn:canary:system-5190",
    "encounter": "canary-encounter-2238",
    "source": "canary-monitor-6641",
    "contest": "canary reason: the daughter called, Ms Ångström",
    "cancel": "canary cancelled: moved to ward nine",
    "retract": "canary retracted: the wrong Mr Kanarienvogel",
    "glass": "canary glass: brought in by Mrs Kanarienvogel",
    "note": "canary note: looks grey to me",
    "sign": "canary signature: I know her since 1987",
    "key": "canary-idempotency-4471",
    "refused": "canary-refused-9925",
    "path": "canary-path-MRN-330917",
    "query": "canary query Josephine Kanarienvogel",
    "header": "canary-header-118843",
    "login": "canary-login-k.vogel",
    "body": "canary-body-552210",
}
NUMBERS = {
    "white_cell_count": "612.37",
    "temperature": "97.863",
    "systolic_bp": "16.53",
    "diastolic_bp": "10.41",
    "refused number": "88123.40917",
    "instant": "37.613947",
}
"""What the facts hold, in units that are converted where whole numbers are wanted, and the second of their observation."""

UNITS = {"temperature": "[degF]", "systolic_bp": "kPa", "diastolic_bp": "kPa"}
CANARIES = [*WORDS.values(), *NUMBERS.values()]


def example_numbers() -> list[str]:
    """Facts of the shipped examples that nothing else here would spell so: no halves, which bound histograms."""
    values = {
        str(raw.value)
        for name in shipped()
        for example in read_shipped(name).examples
        for raw in example.facts
        if not isinstance(raw.value, str | bool)
    }
    return sorted(value for value in values if re.fullmatch(r"\d+\.\d*[1-46-9]", value))


# --- where it is looked for -------------------------------------------------------------------------------------


@dataclass
class Run:
    """A serving house that exports to a collector, and all that it answered."""

    service: Service
    collector: Collector
    told: Told
    replies: list[httpx.Response] = field(default_factory=list)
    case: str = ""


def _exported(run: Run, path: str) -> bytes:
    decoded = [str(message) for message in run.collector.messages(path)]
    raw = [body for at, body in run.collector.received if at == path]
    return b"\n".join([*raw, "\n".join(decoded).encode()])


def _error_bodies(run: Run) -> bytes:
    """All but forms with mistakes: such a page shows a clinician the case they hold and what they have just typed."""
    return b"\n".join(
        reply.content
        for reply in run.replies
        if reply.status_code >= 400
        and not (reply.status_code == 422 and "text/html" in reply.headers["content-type"])
    )


def _headers(run: Run) -> bytes:
    return b"\n".join(b"%s: %s" % pair for reply in run.replies for pair in reply.headers.raw)


def _entries(run: Run) -> bytes:
    with run.service.superuser() as superuser:
        return b"\n".join(bytes(row[0]) for row in superuser.execute("SELECT body FROM entry ORDER BY id"))


def _files(run: Run) -> bytes:
    """Each word found in a file of the data folder, with the file's name: searched where they lie, because they are large."""
    found = [
        f"{word} in {path.name}"
        for path in run.service.data.rglob("*")
        if path.is_file()
        for word in found_in_large(path.read_bytes(), [*CANARIES, LEAK, run.case])
    ]
    return "\n".join(found).encode()


@dataclass(frozen=True)
class Sink:
    """A way out of the house: what came out of it, and something that must be there for the search to mean anything."""

    name: str
    content: Callable[[Run], bytes]
    always_holds: Callable[[Run], str]


SINKS = (
    Sink("exported spans", lambda run: _exported(run, "/v1/traces"), lambda run: run.case),
    Sink("exported metrics", lambda run: _exported(run, "/v1/metrics"), lambda _: "arbiter.case.taken_in"),
    Sink("exported logs", lambda run: _exported(run, "/v1/logs"), lambda run: run.case),
    Sink("log lines", lambda run: run.service.log.encode(), lambda run: run.case),
    Sink("bodies of errors", _error_bodies, lambda _: "urn:problem-type:arbiter:invalid-case"),
    Sink("headers and addresses of replies", _headers, lambda run: f"/v1/cases/{run.case}"),
    Sink("webhooks", lambda run: b"\n".join(run.told.webhooks), lambda run: run.case),
    Sink("mails", lambda run: b"\n".join(run.told.mails), lambda run: run.case),
    Sink("entries of the log", _entries, lambda run: run.case),
    Sink(
        "tables", lambda run: b"\n".join(dump for _, dump in table_dumps(run.service)), lambda run: run.case
    ),
    Sink("files of the data folder", _files, lambda run: run.case),
)
TELEMETRY = SINKS[:4]
"""Where numbers of the shipped examples have no business. The database holds the examples themselves; pages and durations
of requests hold short numbers of their own."""


# --- a patient's way through the house ----------------------------------------------------------------------------


def patient(**more: Any) -> dict[str, Any]:
    """A case all of whose words and numbers are canaries."""
    body = case_body(encounter=WORDS["encounter"])
    body["subject"] = {"system": WORDS["system"], "value": WORDS["subject"]}
    body["facts"] |= facts_body()
    for name, fact in body["facts"].items():
        fact["source"] = WORDS["source"]
        fact["observed_at"] = re.sub(r"\d\d\.\d+(?=[+Z])", NUMBERS["instant"], fact["observed_at"])
        if name in NUMBERS:
            fact["value"] = float(NUMBERS[name])
            fact["unit"] = UNITS.get(name, fact["unit"])
    return body | more


HEADERS = {
    "User-Agent": WORDS["header"],
    "Referer": f"http://{WORDS['header']}/",
    "X-Request-Id": WORDS["header"],
    "Baggage": f"patient={WORDS['header']}",
    "Tracestate": f"vendor={WORDS['header']}",
    "Traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01",
}


class Visitor:
    """Calls and keeps every reply."""

    def __init__(self, run: Run, door: httpx.AsyncClient) -> None:
        self._run, self._door = run, door
        self._token = ""

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = httpx.Headers(HEADERS)
        headers.update(more.pop("headers", {}))
        reply = await self._door.request(method, path, headers=headers, **more)
        self._run.replies.append(reply)
        if found := re.search(r'name="csrf_token" value="([^"]*)"', reply.text):
            self._token = found[1]
        return reply

    async def hand_in(self, number: int, body: dict[str, Any]) -> str:
        reply = await self.call(
            "POST",
            "/v1/cases",
            json=body,
            headers={"Idempotency-Key": f"{WORDS['key']}-{number}", "Prefer": "wait=20"},
        )
        assert reply.status_code in {201, 202}, reply.text
        return str(reply.json()["id"])

    async def form(self, path: str, **fields: str) -> httpx.Response:
        return await self.call("POST", path, data={"csrf_token": self._token} | fields)


async def live(run: Run) -> None:
    """Everything a case full of canaries can go through."""
    async with run.service.house() as house:
        if not await house.identities.sites() or "south" not in dict(await house.identities.sites()):
            await add_site(house.identities, "south", "South Hospital")
            await register_endpoint(house, run.told.hook_url, client=run.service.token.split("_")[1])
            _, away = await register_client(
                house.identities, house.clock, house.chance, "away",
                {Role.INTEGRATION_CLIENT, Role.EMERGENCY_ACCESS}, {"south"},
            )  # fmt: skip
            _, index = await register_client(
                house.identities, house.clock, house.chance, "index", {Role.PATIENT_INDEX}, {"north"}
            )
        if "anna" not in {account.login for account in await house.identities.accounts()}:
            await create_account(
                house.identities, house.clock, house.chance, "anna", "Anna", PASSWORD,
                frozenset({Role.REVIEWER}), frozenset({"north"}),
            )  # fmt: skip
    async with (
        run.service.door() as door,
        httpx.AsyncClient(base_url=run.service.url, trust_env=False, timeout=30) as page,
    ):
        client, reviewer = Visitor(run, door), Visitor(run, page)
        run.case = await client.hand_in(1, patient())
        await _read_everything(client, run.case)
        await _find_and_join(client, index)
        await _break_the_glass(client, run.case, away)
        await _by_fhir(client)
        contested = await client.call(
            "POST", f"/v1/cases/{run.case}/contest", json={"reason": WORDS["contest"]}
        )
        assert contested.status_code == 200, contested.text
        await _review(reviewer, run.case)
        retracted = await client.call(
            "POST", f"/v1/cases/{run.case}/retract", json={"reason": WORDS["retract"]}
        )
        assert retracted.status_code == 200, retracted.text
        waiting = await client.hand_in(2, _incomplete())
        amended = await client.call("POST", f"/v1/cases/{waiting}/facts", json={"facts": patient()["facts"]})
        assert amended.status_code in {200, 202}, amended.text
        excluded = patient()
        excluded["facts"]["pregnant"]["value"] = True
        cancelled = await client.hand_in(3, excluded)
        assert (
            await client.call("POST", f"/v1/cases/{cancelled}/cancel", json={"reason": WORDS["cancel"]})
        ).status_code == 200
        assert (
            await client.call("POST", f"/v1/cases/{cancelled}/contest", json={"reason": WORDS["contest"]})
        ).status_code == 409
        await _hand_in_examples(client)
        await _spoil(client)
        await _wander(client, reviewer)
        async with httpx.AsyncClient(base_url=run.service.url, trust_env=False) as nobody:
            await _wander(Visitor(run, nobody), Visitor(run, nobody))


def _incomplete() -> dict[str, Any]:
    body = patient()
    del body["facts"]["temperature"]
    return body


def _as(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _find_and_join(client: Visitor, index: str) -> None:
    """The patient is looked for by number, joined to another number and parted again."""
    known = {"system": WORDS["system"], "value": WORDS["subject"]}
    other = {"system": WORDS["system"], "value": f"{WORDS['subject']}-2"}
    found = await client.call("POST", "/v1/subjects/search", json={"subject": known})
    assert found.json()["cases"], "the canary is found by its number"
    for path, body in (
        ("merge", {"absorbed": other, "surviving": known}),
        ("separate", {"absorbed": other}),
        ("separate", {"absorbed": other}),
        ("merge", {"absorbed": known, "surviving": known}),
    ):
        reply = await client.call("POST", f"/v1/subjects/{path}", json=body, headers=_as(index))
        assert reply.status_code in {200, 409}, reply.text


async def _break_the_glass(client: Visitor, case: str, away: str) -> None:
    reason = {"reason": WORDS["glass"]}
    broken = await client.call("POST", f"/v1/cases/{case}/break-glass", json=reason, headers=_as(away))
    assert broken.status_code == 200, broken.text
    assert (await client.call("GET", f"/v1/cases/{case}/content", headers=_as(away))).status_code == 200
    assert (await client.call("GET", "/v1/notices", params={"after": 0})).status_code == 200


async def _by_fhir(client: Visitor) -> None:
    """The same patient as a Bundle, whole and spoilt."""
    good = json.dumps(_bundle())
    query = {"protocol": "deterioration", "site": "north", "risk-class": "urgent"}
    spoilt = (
        good.replace('"Patient"', f'"{WORDS["refused"]}"'),
        good.replace("http://loinc.org", WORDS["system"]),
        good.replace('"birthDate"', f'"{WORDS["refused"]}"'),
        good[:-30],
        good.replace('"final"', f'"{WORDS["refused"]}"'),
    )
    for number, bundle in enumerate((good, *spoilt)):
        reply = await client.call(
            "POST",
            "/fhir/Bundle/$submit-case",
            params=query,
            content=bundle,
            headers={"Content-Type": "application/fhir+json", "Idempotency-Key": f"bundle-{number}"},
        )
        assert reply.status_code < 500, reply.text
    await client.call("POST", f"/fhir/Patient/{WORDS['path']}", content=good, params={"name": WORDS["query"]})


def _bundle() -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    subject = {"reference": f"Patient/{WORDS['path']}"}
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {
                "resource": {
                    "resourceType": "Patient",
                    "id": WORDS["path"],
                    "identifier": [{"use": "official", "system": WORDS["system"], "value": WORDS["subject"]}],
                    "name": [{"family": WORDS["query"]}],
                    "birthDate": "1950-01-01",
                }
            },
            {
                "resource": {
                    "resourceType": "Observation",
                    "id": WORDS["body"],
                    "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": "6690-2"}]},
                    "subject": subject,
                    "effectiveDateTime": at,
                    "performer": [{"display": WORDS["query"]}],
                    "note": [{"text": WORDS["note"]}],
                    "valueQuantity": {
                        "value": float(NUMBERS["white_cell_count"]),
                        "system": "http://unitsofmeasure.org",
                        "code": "10*9/L",
                    },
                }
            },
        ],
    }


async def _hand_in_examples(client: Visitor) -> None:
    """The shipped examples that have numbers to look for."""
    told = set(example_numbers())
    examples = [(name, example) for name in shipped() for example in read_shipped(name).examples]
    telling = [each for each in examples if told & {str(fact.value) for fact in each[1].facts}]
    for number, (protocol, example) in enumerate(telling):
        facts = {
            name: {
                "value": float(raw.value) if isinstance(raw.value, Decimal) else raw.value,
                **({} if raw.unit is None else {"unit": raw.unit}),
                "observed_at": raw.observed_at.isoformat(),
                "status": raw.status,
                "source": WORDS["source"],
            }
            for name, raw in example.raw_facts(datetime.now(UTC)).items()
        }
        subject = {"system": WORDS["system"], "value": f"{WORDS['subject']}-{number}"}
        await client.hand_in(100 + number, patient(protocol=protocol, subject=subject, facts=facts))


async def _read_everything(client: Visitor, case: str) -> None:
    content = await client.call("GET", f"/v1/cases/{case}/content")
    for name in ("subject", "system", "encounter", "source"):
        assert WORDS[name] in content.text, "the canary was not kept at all"
    assert NUMBERS["white_cell_count"] in content.text
    await until(lambda: _ok(client, f"/v1/cases/{case}/certificate"))
    for part in ("", "/decision", "/receipt", "/events"):
        assert (await client.call("GET", f"/v1/cases/{case}{part}")).status_code == 200


async def _ok(client: Visitor, path: str) -> bool:
    return (await client.call("GET", path)).status_code == 200


async def _review(reviewer: Visitor, case: str) -> None:
    """A clinician's whole way through the pages, with notes and mistakes."""
    await reviewer.call("GET", "/login", params={"next": WORDS["query"]})
    wrong = await reviewer.form("/login", login=WORDS["login"], password="wrong")
    assert wrong.status_code >= 400
    assert (await reviewer.form("/login", login="anna", password=PASSWORD)).status_code == 303
    await reviewer.call("GET", "/work")
    assert (await reviewer.form(f"/work/{case}/claim")).status_code == 303
    shown = await reviewer.call("GET", f"/cases/{case}")
    assert WORDS["subject"] in shown.text
    bad = await reviewer.form(
        f"/cases/{case}/opinion", option=WORDS["refused"], confidence="x", note=WORDS["note"]
    )
    assert bad.status_code >= 400
    opinion = {"option": "continue-monitoring", "confidence": "80", "note": WORDS["note"]}
    assert (await reviewer.form(f"/cases/{case}/opinion", **opinion)).status_code == 303
    assert (await reviewer.form(f"/cases/{case}/reveal")).status_code == 303
    await reviewer.call("GET", f"/cases/{case}")
    signature = {"option": "urgent-review", "reason": WORDS["sign"]}
    assert (await reviewer.form(f"/cases/{case}/sign", **signature, password="wrong")).status_code == 422
    signed = await reviewer.form(f"/cases/{case}/sign", **signature, password=PASSWORD)
    assert signed.status_code == 303, signed.text
    await reviewer.call("GET", f"/cases/{case}/done")


async def _spoil(client: Visitor) -> None:
    """Cases that are refused for each kind of reason."""
    refused = WORDS["refused"]
    good = patient()
    spoilt: list[Any] = [
        {**good, "risk_class": refused},
        {**good, "site": refused},
        {**good, "protocol": refused},
        {**good, refused: refused},
        {**good, "subject": refused},
        {**good, "supersedes": refused},
        {**good, "facts": {refused: good["facts"]["age"]}},
        *(_with(good, "consciousness", part, refused) for part in ("value", "unit", "observed_at", "status")),
        _with(good, "heart_rate", "value", float(NUMBERS["refused number"])),
        _with(good, "heart_rate", "value", refused),
        _with(good, "heart_rate", refused, refused),
        [refused],
        refused,
    ]
    for number, body in enumerate(spoilt):
        reply = await client.call(
            "POST", "/v1/cases", json=body, headers={"Idempotency-Key": f"spoilt-{number}"}
        )
        assert reply.status_code == 422, reply.text
    reused = await client.call(
        "POST",
        "/v1/cases",
        json={**good, "risk_class": "routine"},
        headers={"Idempotency-Key": f"{WORDS['key']}-1"},
    )
    assert reused.status_code == 422
    text = json.dumps(good)
    for content, kind in (
        (text[:-20], "application/json"),
        (text.replace('"site"', f'"site": "{WORDS["body"]}", "site"', 1), "application/json"),
        (text.encode("utf-16"), "application/json"),
        (text + WORDS["body"], "application/json"),
        (text, f"text/{WORDS['header']}"),
        (b"\xff\xfe" + WORDS["body"].encode(), "application/json"),
        (text + " " * 2_000_000, "application/json"),
    ):
        headers = {"Content-Type": kind, "Idempotency-Key": "spoilt"}
        assert (await client.call("POST", "/v1/cases", content=content, headers=headers)).status_code >= 400
    for header, value in (("Idempotency-Key", "ü" + WORDS["key"]), ("Prefer", f"wait={WORDS['header']}")):
        sent = httpx.Headers({"Idempotency-Key": "spoilt"}, encoding="utf-8")
        sent[header] = value
        await client.call("POST", "/v1/cases", json=good, headers=sent)


def _with(body: dict[str, Any], fact: str, part: str, value: Any) -> dict[str, Any]:
    return {**body, "facts": {**body["facts"], fact: {**body["facts"][fact], part: value}}}


FORMS = ("opinion", "reveal", "sign", "renew", "hand-back")
PAGES = (
    "/login",
    "/logout",
    "/work",
    "/work/list",
    "/work/print",
    "/work/{case}/claim",
    "/work/{case}/acknowledge",
    "/glass",
    "/cases/{case}",
    "/cases/{case}/done",
)


async def _wander(client: Visitor, reviewer: Visitor) -> None:
    """Every route with identifiers where none belong: in its path, its query, its body, and without a token."""
    routes = [(method, path) for method, path, _ in route_rules(create_app(cast(House, None)))]
    pages = [*PAGES, *(f"/cases/{{case}}/{form}" for form in FORMS)]
    routes += [(method, path) for path in pages for method in ("GET", "POST")]
    assert len(routes) > 35
    for method, template in routes:
        path = re.sub(r"\{[^}]*\}", WORDS["path"], template)
        visitor = client if template.startswith(("/v1", "/fhir")) else reviewer
        await visitor.call(method, path, params={"name": WORDS["query"], "cursor": WORDS["query"]})
        await visitor.call(method, path, params={WORDS["refused"]: WORDS["query"], WORDS["query"]: ""})
        if method == "POST":
            await visitor.call(method, path, json={"reason": {"text": WORDS["body"]}, WORDS["refused"]: 1})
            await visitor.call(method, path, data={WORDS["refused"]: WORDS["body"], "next": WORDS["path"]})
        await visitor.call(method, path, headers={"Authorization": f"Bearer {WORDS['header']}"})
    for path in (
        f"/v1/{WORDS['path']}",
        f"/{WORDS['path']}",
        f"/v1/patients/{WORDS['path']}/",
        f"/static/{WORDS['path']}",
    ):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            await client.call(method, path, params={WORDS["query"]: WORDS["query"]})


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

# --- the search ---------------------------------------------------------------------------------------------------


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
    without_durations = re.sub(rb"\d+\.\d ms", b"", sink.content(run))
    assert found_in(without_durations, numbers) == set()


def test_every_route_and_every_kind_of_refusal_was_met(run: Run) -> None:
    seen = {reply.status_code for reply in run.replies}
    assert {200, 201, 202, 303, 400, 401, 404, 405, 409, 413, 415, 422} <= seen
    assert not {reply.status_code for reply in run.replies if reply.status_code >= 500}


def test_what_is_exported_stands_in_the_catalogue(run: Run) -> None:
    from arbiter.telemetry.catalogue import ATTRIBUTES, METRICS  # noqa: PLC0415 - beside its only use

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
    entries = [json.loads(line) for line in _entries(run).split(b"\n")]
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
            superuser.execute(
                "INSERT INTO entry (case_id, seq, body) VALUES ('leak', 0, %s)", [LEAK.encode()]
            )
        time.sleep(1)
        assert service.stop() == 0
    finally:
        service.command = COMMAND
    wait_for(lambda: found_in(_exported(run, "/v1/metrics"), [LEAK]))
    for sink in SINKS:
        assert found_in(sink.content(run), [LEAK]) == {LEAK}, sink.name
